import { copyBlobs } from '../../content/copy-graph.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import type { MovingTarget } from '../publish/move-archive.ts'
import { wrongBytes } from '../wrong-bytes.ts'
import type { PreparedMirror } from './prepare.ts'
import type { MirrorDependencies } from './request.ts'

/**
 * Brings each blob to the first repository that needs it, and from there to the others, which the registry does by itself where it
 * links blobs. `again`: after a repository lost what it had, so nothing is taken from the source's.
 */
export async function move(mirror: PreparedMirror, dependencies: MirrorDependencies, again = false): Promise<void> {
  const { request, blobs, homes, images } = mirror
  const { source, concurrency } = request
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'transferring' })
  try {
    if (blobs.length > 0) {
      const linked = again ? [] : linkedFrom(mirror)
      await source.move(blobs, sharedOut(homes, request.destination.registry), {
        concurrency,
        mountFrom: async () => linked,
        signal,
        onEvent,
      })
    }
    await spread(mirror, dependencies)
  } finally {
    for (const repository of new Set(images.map((image) => image.repository))) await repository.releasePush()
  }
}

/** Inside one registry blobs are linked from where the package lies. */
export function linkedFrom({
  request: { source, destination },
}: Pick<PreparedMirror, 'request'>): readonly { repository: string }[] {
  const { repository } = source
  return repository?.registry === destination.registry ? [{ repository: repository.repository }] : []
}

/** One target in place of all: each blob has a first repository. */
export function sharedOut(homes: PreparedMirror['homes'], registry: string): MovingTarget {
  const at = (digest: Digest): Repository => {
    const [home] = homes.get(digest) ?? []
    if (!home) throw new AppError('INTERNAL', `no image needs ${digest}`)
    return home
  }
  return {
    registry,
    stat: (digest, options) => at(digest).stat(digest, options),
    exists: (blob, options) => at(blob.digest).exists(blob, options),
    findsOnPush: () => false,
    push: (blob, open, options) => at(blob.digest).push(blob, open, options),
  }
}

/** What several images share: their bytes have moved, so that no row of the job begins again. */
async function spread(
  { homes, blobs, request: { concurrency } }: PreparedMirror,
  { signal }: MirrorDependencies,
): Promise<void> {
  const wanted = new Map<Repository, Map<Repository, Descriptor[]>>()
  for (const blob of blobs) {
    const [home, ...others] = homes.get(blob.digest) ?? []
    for (const other of others) {
      const fromHomes = wanted.get(other) ?? new Map<Repository, Descriptor[]>()
      wanted.set(other, fromHomes)
      if (home) fromHomes.set(home, [...(fromHomes.get(home) ?? []), blob])
    }
  }
  for (const [target, fromHomes] of wanted) {
    for (const [home, shared] of fromHomes) {
      await copyBlobs(shared, home, target, {
        concurrency,
        mountFrom: async () => [{ repository: home.repository }],
        verify: (blob) => wrongBytes(blob, home),
        signal,
        onEvent: () => undefined,
      })
    }
  }
}
