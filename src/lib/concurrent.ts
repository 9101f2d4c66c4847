import { childController } from './abort.ts'
import { createLimiter, type LeaveSlot, type SpareSlot } from './limiter.ts'

/** What a task may do about its own place and the others. */
export interface Places {
  leave: LeaveSlot
  /** A place that no task uses now, until disposed. */
  spare: () => SpareSlot | undefined
}

/**
 * Runs `task` for each item, at most `limit` at once, in order. The first failure aborts the others; every started task
 * has settled before the call rejects with that first error, so nothing goes on in the background. A task that waits for
 * somebody else's work does so in `leave`: a further item is begun in its place meanwhile. One that can use more takes
 * what is `spare`.
 */
export async function forEachConcurrent<T>(
  items: Iterable<T>,
  options: { limit: number; signal: AbortSignal },
  task: (item: T, signal: AbortSignal, places: Places) => Promise<void>,
): Promise<void> {
  using controller = childController(options.signal)
  const { signal } = controller
  const limit = Math.max(1, options.limit)
  const limiter = createLimiter(limit)
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const lanes = new Set<Promise<void>>()
  const turn = (): Promise<boolean> =>
    limiter.run(async (leave) => {
      const next = signal.aborted ? { done: true as const } : iterator.next()
      if (next.done) return false
      await task(next.value, signal, {
        leave(wait) {
          startLane()
          return leave(wait)
        },
        spare: () => limiter.spare(),
      })
      return true
    }, signal)
  const lane = async (): Promise<void> => {
    try {
      while (await turn());
    } catch (error) {
      failures.push(error)
      controller.abort(error)
    }
  }
  const startLane = (): void => {
    const run = lane().finally(() => lanes.delete(run))
    lanes.add(run)
  }
  for (let count = 0; count < limit; count += 1) startLane()
  while (lanes.size > 0) await Promise.all(lanes)
  if (failures.length > 0) throw failures[0]
  if (options.signal.aborted) throw options.signal.reason
}
