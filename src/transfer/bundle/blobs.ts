import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import type { Repository } from '../../oci/registry.ts'
import type { Bundle, ReadBlob } from '../../uds/contents/bundle.ts'
import { checkLeftOut } from '../../uds/contents/left-out.ts'
import type { OnEvent } from '../events.ts'

const LOOKED_FOR_AT_ONCE = 8

/**
 * Those of a bundle's blobs that its repository has: its packages' manifests name more where components were left out. Throws
 * PACKAGE_INVALID naming package and file for one that should be there (uds/contents/left-out.ts).
 */
export async function findBundleBlobs(
  bundle: Bundle,
  options: PresentOptions & { repository: Pick<Repository, 'exists'> },
): Promise<readonly Descriptor[]> {
  const { repository, signal } = options
  const there = new Set<Digest>()
  await forEachConcurrent(bundle.blobs, { limit: LOOKED_FOR_AT_ONCE, signal }, async (blob, stop) => {
    if (await repository.exists(blob, { signal: stop })) there.add(blob.digest)
  })
  return await presentBlobs(bundle, there, options)
}

interface PresentOptions {
  read: ReadBlob
  where: string
  onEvent: OnEvent
  signal: AbortSignal
}

/** The same of blobs that were looked for already; says how many are left out. */
export async function presentBlobs(
  bundle: Bundle,
  there: ReadonlySet<Digest>,
  { read, where, onEvent, signal }: PresentOptions,
): Promise<readonly Descriptor[]> {
  const absent = new Set(bundle.blobs.flatMap(({ digest }) => (there.has(digest) ? [] : [digest])))
  await checkLeftOut(bundle, absent, { read, where, signal })
  tellLeftOut(absent.size, onEvent)
  return bundle.blobs.filter(({ digest }) => there.has(digest))
}

function tellLeftOut(count: number, onEvent: OnEvent): void {
  if (count === 0) return
  const message = `${count} files of the bundle's packages are not in it: components that it leaves out`
  onEvent({ type: 'log', level: 'info', message })
}
