import { copyBlobs } from '../../content/copy-graph.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentSource } from '../../content/endpoints.ts'
import { bufferOpener } from '../../content/streams.ts'
import type { Repository } from '../../oci/registry.ts'
import { wrongBytes } from '../wrong-bytes.ts'
import type { PreparedCopy } from './prepare.ts'
import type { CopyDependencies } from './request.ts'

/**
 * Brings over what the destination lacks, each blob hashed on its way: inside one registry by mounts, else as a stream that
 * is never held in full. `again`: after the destination lost what it had, so nothing is taken from elsewhere.
 */
export async function move(copy: PreparedCopy, dependencies: CopyDependencies, again = false): Promise<void> {
  const { source, destination, mounts, request, made } = copy
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'transferring' })
  try {
    // The largest first: the end of the job is then many short tails instead of one long one.
    await copyBlobs(
      copy.blobs.toSorted((a, b) => b.size - a.size),
      withMade(source, made),
      destination,
      {
        concurrency: request.concurrency,
        signal,
        onEvent,
        mountFrom: async (blob) => (again || made.has(blob.digest) ? [] : await mounts.candidates(blob)),
        verify: (blob) => wrongBytes(blob, source),
      },
    )
  } finally {
    await destination.releasePush()
  }
}

/** What signing made comes from memory. */
function withMade(source: Repository, made: ReadonlyMap<Digest, Buffer>): ContentSource {
  if (made.size === 0) return source
  return {
    get ranges() {
      return source.ranges ?? false
    },
    open(blob, options) {
      const bytes = made.get(blob.digest)
      return bytes ? bufferOpener(bytes)(options) : source.open(blob, options)
    },
  }
}
