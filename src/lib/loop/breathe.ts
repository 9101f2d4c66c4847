import { setImmediate } from 'node:timers/promises'

/** Well below what other work of the process notices. */
const SLICE_MS = 10

/**
 * For a long loop over what others chose the length of: `await breathe()` in each turn lets the event loop go on when this
 * one has held it for 10 ms.
 */
export function createBreathing(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < SLICE_MS) return undefined
    return setImmediate().then(() => void (since = performance.now()))
  }
}

/** Between two pieces of work that each hold the loop for some ten milliseconds. */
export async function nextTurn(): Promise<void> {
  await setImmediate()
}

/** Calls that are begun in one turn: to begin thousands holds the loop for long. */
const AT_ONCE = 256

/** `task` of each item, some hundred at once. Rejects with the first failure. */
export async function mapInBatches<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map((item) => task(item)))))
  }
  return results
}
