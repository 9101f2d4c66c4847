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
