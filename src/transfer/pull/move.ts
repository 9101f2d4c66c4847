import { copyBlobs } from '../../content/copy-graph.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import { toAppError } from '../../lib/errors.ts'
import { wrongBytes } from '../wrong-bytes.ts'
import type { PreparedPull } from './prepare.ts'
import type { PullDependencies, PullRequest } from './request.ts'

/** As much of a pull as its blobs need. */
export type MovablePull = Pick<PreparedPull, 'repository' | 'source' | 'blobs'> & {
  readonly request: Pick<PullRequest, 'concurrency'>
}

/** Brings what the store lacks of the layers, each verified, and asks last whether this run may still go on. */
export async function move(pull: MovablePull, dependencies: PullDependencies): Promise<void> {
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

/**
 * Writes what was brought: blobs that were in the store and turn out damaged when they are read have been taken away, and are
 * brought anew, each once.
 */
export async function unlessDamaged<T>(
  pull: MovablePull,
  dependencies: PullDependencies,
  write: () => Promise<T>,
): Promise<T> {
  const damaged = new Set<unknown>()
  for (;;) {
    try {
      return await write()
    } catch (thrown) {
      const error = toAppError(thrown)
      const name = error.details?.['name']
      if (error.code !== 'STORE_CORRUPT' || name === undefined || damaged.has(name)) throw error
      damaged.add(name)
      dependencies.onEvent({ type: 'log', level: 'warn', message: `${error.message}; it is pulled anew` })
      await move(pull, dependencies)
    }
  }
}

/** Holds the blobs, and room for those to come, while `task` runs. */
export async function holding<T>(
  { blobs, besideBytes }: { blobs: readonly Descriptor[]; besideBytes: number },
  { store }: PullDependencies,
  task: () => Promise<T>,
): Promise<T> {
  await using _lease = await store.lease(blobs, { besideBytes })
  return await task()
}
