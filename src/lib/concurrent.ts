import { childController } from './abort.ts'

/**
 * Runs `task` for each item, at most `limit` at once, in order. The first failure aborts the others; every started task
 * has settled before the call rejects with that first error, so nothing goes on in the background.
 */
export async function forEachConcurrent<T>(
  items: Iterable<T>,
  options: { limit: number; signal: AbortSignal },
  task: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  using controller = childController(options.signal)
  const { signal } = controller
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const lane = async (): Promise<void> => {
    while (!signal.aborted) {
      const next = iterator.next()
      if (next.done) return
      try {
        await task(next.value, signal)
      } catch (error) {
        failures.push(error)
        controller.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, options.limit) }, lane))
  if (failures.length > 0) throw failures[0]
  if (options.signal.aborted) throw options.signal.reason
}
