import type { Remaining } from './remaining.ts'
import { fewLeft, type WaitCause } from './wait-cause.ts'

/** Less than this share left, and what is left goes evenly over the rest of the time. */
const FEW = 0.1
/** What is said to be left is a hint: nobody waits longer between two, nor longer for the next one, whatever it says. */
const SLOWEST_PER_SECOND = 1 / 5
const LONGEST_MS = 600_000

export interface Slowed {
  readonly perSecond: number
  readonly cause: WaitCause
}

/** What an answer's word of what is left means for the requests that it is about. */
export interface Forecast {
  /** Of those requests, at that time; undefined: nothing slows them down. */
  slowed(at: number): Slowed | undefined
  /** Until when none goes out, where nothing is left. */
  heard(remaining: Remaining, now: number): { until: number; cause: WaitCause } | undefined
}

export type Forecasts = Readonly<Record<Remaining['counts'], Forecast>>

export function createForecast(): Forecast {
  let slow: (Slowed & { until: number }) | undefined
  /** Where it does not say of how many. */
  let most = 0
  return {
    slowed: (at) => (slow && at < slow.until ? slow : undefined),
    heard({ remaining, limit, resetMs, windowMs, counts }, now) {
      // Where nobody says when the window ends, it moves on, and one more is let in after its share of it.
      const nextMs = resetMs ?? (windowMs !== undefined && limit ? windowMs / limit : undefined)
      const cause = fewLeft(counts, remaining, limit)
      slow = undefined
      most = Math.max(most, remaining)
      if (nextMs === undefined) return undefined
      if (remaining < 1) return { until: now + Math.min(LONGEST_MS, nextMs), cause }
      if (remaining >= FEW * (limit ?? most)) return undefined
      const perSecond = (resetMs === undefined ? 1000 : remaining * 1000) / Math.max(1, nextMs)
      slow = { perSecond: Math.max(SLOWEST_PER_SECOND, perSecond), cause, until: now + Math.min(LONGEST_MS, nextMs) }
      return undefined
    },
  }
}
