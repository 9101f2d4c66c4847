import type { Repository } from '../../oci/registry.ts'
import { announce, hasConfig, packageBlobs, type Publishable, totalBytes } from '../plan.ts'
import type { PreparedPublish } from './prepare.ts'
import type { PublishDependencies } from './request.ts'

/** A publish whose layers are all there. */
export interface MovedPublish extends PreparedPublish {
  readonly contents: Publishable
}

/**
 * Brings over what the repository lacks of the layers; where the plan was not known it is told now. `again`: after the
 * registry lost what it had, so nothing is taken from elsewhere.
 */
export async function move(
  publish: PreparedPublish | MovedPublish,
  { signal, onEvent }: PublishDependencies,
  again = false,
): Promise<MovedPublish> {
  const { source, repository, known, mounts, request } = publish
  const announced = again || known.contents !== undefined
  onEvent({ type: 'phase', phase: 'transferring' })
  const contents = await releasing(repository, () =>
    source.move({
      repository,
      concurrency: request.concurrency,
      announced,
      mountFrom: async (blob) => (again ? [] : await mounts.candidates(blob)),
      signal,
      onEvent,
    }),
  )
  if (!announced) onEvent({ type: 'package', identity: contents.identity })
  if (!announced && contents.identity.name === publish.identity.name) {
    const { manifest = 'image' } = request
    if (hasConfig(manifest)) announce(contents.config.descriptor, onEvent)
    const blobs = packageBlobs(contents, manifest)
    onEvent({ type: 'plan', layers: blobs.length, bytes: totalBytes(blobs) })
  }
  return { ...publish, contents }
}

/** Gives up the upload session of the preparation when nothing used it, whatever happened. */
export async function releasing<T>(repository: Repository, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await repository.releasePush()
  }
}
