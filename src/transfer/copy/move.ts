import { copyBlobs } from '../../content/copy-graph.ts'
import { wrongBytes } from '../wrong-bytes.ts'
import type { PreparedCopy } from './prepare.ts'
import type { CopyDependencies } from './request.ts'

/**
 * Brings over what the destination lacks, each blob hashed on its way: inside one registry by mounts, else as a stream that
 * is never held in full. `again`: after the destination lost what it had, so nothing is taken from elsewhere.
 */
export async function move(copy: PreparedCopy, dependencies: CopyDependencies, again = false): Promise<void> {
  const { source, destination, mounts, request } = copy
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'transferring' })
  try {
    // The largest first: the end of the job is then many short tails instead of one long one.
    await copyBlobs(
      copy.blobs.toSorted((a, b) => b.size - a.size),
      source,
      destination,
      {
        concurrency: request.concurrency,
        signal,
        onEvent,
        mountFrom: async (blob) => (again ? [] : await mounts.candidates(blob)),
        verify: (blob) => wrongBytes(blob, source),
      },
    )
  } finally {
    await destination.releasePush()
  }
}
