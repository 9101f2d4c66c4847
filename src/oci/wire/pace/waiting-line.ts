import { childController, untilAborted } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'
import { createTurns, type TurnsOptions } from './turns.ts'
import { limitedBy, type WaitCause } from './wait-cause.ts'

/** Who waits. */
export interface Waiting {
  /** Ends the wait. Default: it ends with the process's connections alone. */
  readonly signal?: AbortSignal
  /** Told of each wait until when it lasts (ms since the epoch) and for what, and with undefined once it is over, however it ended. */
  readonly onWait?: (until: number | undefined, cause: WaitCause) => void
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
  closeUntil(until: number, cause: WaitCause): void
  readonly closedUntil: number
}

export interface LineOptions {
  clock: Clock
  /** Ends all waits. */
  closed: AbortSignal
  /** How many go in a second at that time; undefined: all at once. */
  rate: (at: number) => number | undefined
  /** Why they don't all go at once. */
  cause: () => WaitCause
  /** Where other processes are asked for the same. Default: there are none. */
  ask?: TurnsOptions['ask']
}

/** Each takes the next free place, as a time to go at; when the line is closed meanwhile, another one. */
export function createWaitingLine({ clock, closed, rate, cause, ask }: LineOptions): WaitingLine {
  let closedUntil = 0
  let closedBy = limitedBy(429)
  let closings = 0
  /** The first place that nobody has. */
  let nextAt = 0

  const sleep = async (until: number, { signal, onWait }: Waiting): Promise<void> => {
    using either = childController(signal, closed)
    const why = until <= closedUntil ? closedBy : cause()
    onWait?.(until, why)
    try {
      await clock.sleep(Math.max(0, until - clock.now()), either.signal)
    } finally {
      onWait?.(undefined, why)
    }
  }
  const takePlace = (now: number): number => {
    const at = Math.max(now, nextAt, closedUntil)
    const perSecond = rate(at)
    nextAt = perSecond === undefined ? at : at + 1000 / perSecond
    return at
  }
  const turns = ask && createTurns({ clock, ask, alone: takePlace })
  const takeTurn = async (waiting: Waiting): Promise<void> => {
    for (;;) {
      // Nobody is asked for turns of a time that is not known yet.
      if (turns) await pauseOver(waiting)
      const seen = closings
      const at = turns ? await handed(turns.next(), waiting, closed) : takePlace(clock.now())
      if (at > clock.now()) await sleep(at, waiting)
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
    closeUntil(until, by) {
      if (until <= closedUntil) return
      closedUntil = until
      closedBy = by
      nextAt = until
      closings += 1
      turns?.drop()
    },
    get closedUntil() {
      return closedUntil
    },
  }
}

async function handed(at: number | Promise<number>, { signal }: Waiting, closed: AbortSignal): Promise<number> {
  if (typeof at === 'number') return at
  using either = childController(signal, closed)
  return await untilAborted(at, either.signal)
}
