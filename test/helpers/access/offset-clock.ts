import { type Clock, systemClock } from '../../../src/lib/clock.ts'

export interface OffsetClock extends Clock {
  advance(ms: number): void
}

/** The time of day, and what it was put forward by: for what is compared with the times of another program. */
export function createOffsetClock(): OffsetClock {
  let ahead = 0
  return {
    now: () => systemClock.now() + ahead,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    advance(ms) {
      ahead += ms
    },
  }
}
