import { setTimeout as delay } from 'node:timers/promises'

export interface WaitOptions {
  /** Bound, after which the wait fails. Default 60 s: it is met only where something hangs, on a busy machine too. */
  timeoutMs?: number
  /** Pause between two looks. Default 20 ms. */
  intervalMs?: number
}

/**
 * Waits until `condition` gives something other than undefined, null and false, and returns it. What the condition
 * throws counts as "not yet" and is the failure's cause. `what` completes the sentence "waited 60000 ms for ...".
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 60_000, intervalMs = 20 }: WaitOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const end = performance.now() + timeoutMs
  let cause: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>
      }
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() >= end) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause })
    await delay(intervalMs)
  }
}
