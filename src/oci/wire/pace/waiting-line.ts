import { childController } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'

/** Who waits. */
export interface Waiting {
  /** Ends the wait. Default: it ends with the process's connections alone. */
  readonly signal?: AbortSignal
  /** Told of each wait until when it lasts (ms since the epoch), and with undefined once it is over, however it ended. */
  readonly onWait?: (until: number | undefined) => void
}

/** Requests that wait to go out, first come first served. */
export interface WaitingLine {
  /** Nobody has to wait. */
  readonly open: boolean
  /** Resolves when the line is not closed any more. Rejects with the signal's reason. */
  pause(waiting: Waiting): Promise<void>
  /** The same, when it is the turn of the request that comes right after. */
  turn(waiting: Waiting): Promise<void>
  /** Lets nobody go before that time (ms since the epoch), or a later one that was said before. */
  closeUntil(until: number): void
  readonly closedUntil: number
}

export interface LineOptions {
  clock: Clock
  /** Ends all waits. */
  closed: AbortSignal
  /** How many go in a second at that time; undefined: all at once. */
  rate: (at: number) => number | undefined
}

/** Each takes the next free place, as a time to go at; when the line is closed meanwhile, another one. */
export function createWaitingLine({ clock, closed, rate }: LineOptions): WaitingLine {
  let closedUntil = 0
  let closings = 0
  /** The first place that nobody has. */
  let nextAt = 0

  const sleep = async (until: number, { signal, onWait }: Waiting): Promise<void> => {
    using either = childController(signal, closed)
    onWait?.(until)
    try {
      await clock.sleep(Math.max(0, until - clock.now()), either.signal)
    } finally {
      onWait?.(undefined)
    }
  }
  const takePlace = (now: number): number => {
    const at = Math.max(now, nextAt, closedUntil)
    const perSecond = rate(at)
    nextAt = perSecond === undefined ? at : at + 1000 / perSecond
    return at
  }
  const takeTurn = async (waiting: Waiting): Promise<void> => {
    for (;;) {
      const seen = closings
      const now = clock.now()
      const at = takePlace(now)
      if (at <= now) return
      await sleep(at, waiting)
      if (seen === closings) return
    }
  }
  const pauseOver = async (waiting: Waiting): Promise<void> => {
    for (let seen = -1; seen !== closings && clock.now() < closedUntil; ) {
      seen = closings
      await sleep(closedUntil, waiting)
    }
  }
  return {
    get open() {
      const now = clock.now()
      return now >= closedUntil && rate(now) === undefined
    },
    pause: pauseOver,
    turn: takeTurn,
    closeUntil(until) {
      if (until <= closedUntil) return
      closedUntil = until
      nextAt = until
      closings += 1
    },
    get closedUntil() {
      return closedUntil
    },
  }
}
