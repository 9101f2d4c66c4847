import { copyBlobs } from '../../content/copy-graph.ts'
import { wrongBytes } from '../wrong-bytes.ts'
import type { PreparedPull } from './prepare.ts'
import type { PullDependencies } from './request.ts'

/** Brings what the store lacks of the layers, each verified, and asks last whether this run may still go on. */
export async function move(pull: PreparedPull, dependencies: PullDependencies): Promise<void> {
  const { repository, source, request } = pull
  const { store, signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'transferring' })
  // The largest first: the end of the job is then many short tails instead of one long one.
  const blobs = pull.blobs.toSorted((a, b) => b.size - a.size)
  await copyBlobs(blobs, source, store.from(repository), {
    concurrency: request.concurrency,
    signal,
    onEvent,
    verify: (blob) => wrongBytes(blob, repository),
  })
  onEvent({ type: 'phase', phase: 'committing' })
  await dependencies.checkOwnership()
}
