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
  options: {
    repository: Pick<Repository, 'exists'>
    read: ReadBlob
    where: string
    onEvent: OnEvent
    signal: AbortSignal
  },
): Promise<readonly Descriptor[]> {
  const { repository, read, where, onEvent, signal } = options
  const absent = new Set<Digest>()
  await forEachConcurrent(bundle.blobs, { limit: LOOKED_FOR_AT_ONCE, signal }, async (blob, stop) => {
    if (!(await repository.exists(blob, { signal: stop }))) absent.add(blob.digest)
  })
  await checkLeftOut(bundle, absent, { read, where, signal })
  tellLeftOut(absent.size, onEvent)
  return bundle.blobs.filter(({ digest }) => !absent.has(digest))
}

export function tellLeftOut(count: number, onEvent: OnEvent): void {
  if (count === 0) return
  const message = `${count} files of the bundle's packages are not in it: components that it leaves out`
  onEvent({ type: 'log', level: 'info', message })
}
