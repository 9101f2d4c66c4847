import type { Clock } from '../../src/lib/clock.ts'

export interface StepClock extends Clock {
  /** Each wait that was asked for, in ms. */
  readonly slept: number[]
  advance(ms: number): void
}

/** A clock that stands still but for its waits, which pass at once. */
export function createStepClock(startAt = Date.parse('2026-03-01T12:00:00Z')): StepClock {
  let now = startAt
  const slept: number[] = []
  return {
    slept,
    now: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      slept.push(ms)
      now += ms
    },
    advance(ms) {
      now += ms
    },
  }
}
