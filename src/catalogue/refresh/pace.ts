import type { Clock } from '../../lib/clock.ts'

/** Turns at even distances, for who does not hurry. */
export interface Pace {
  /** Resolves when it is this one's turn; rejects with the signal's reason. */
  turn(signal: AbortSignal): Promise<void>
}

export function createPace(perSecond: number, clock: Clock): Pace {
  const everyMs = 1000 / perSecond
  let next = 0
  return {
    async turn(signal) {
      const now = clock.now()
      // A wall clock that jumps holds nobody up.
      if (next > now + 60_000) next = now
      const at = Math.max(now, next)
      next = at + everyMs
      if (at > now) await clock.sleep(at - now, signal)
      else signal.throwIfAborted()
    },
  }
}
