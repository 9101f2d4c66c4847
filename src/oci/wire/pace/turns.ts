import type { Clock } from '../../../lib/clock.ts'

/** Times to go at, as they were handed out to this process. Ends nothing: whoever waits for one waits by itself. */
export interface Turns {
  /** ms since the epoch, by this process's clock. */
  next(): number | Promise<number>
  /** Those in hand are worth nothing any more. */
  drop(): void
}

export interface TurnsOptions {
  clock: Clock
  /** Asks for so many; undefined: nobody can be asked. */
  ask: (wanted: number) => Promise<{ count: number; delayMs: number; everyMs: number } | undefined>
  /** The next one where nobody can be asked. */
  alone: (now: number) => number
}

/** As many as were used lately are asked for again, so that a limit of thousands a second takes a few calls a second. */
const MOST_AHEAD = 1000
/** Many that are not used could go out at once later. */
const STALE_MS = 250

export function createTurns({ clock, ask, alone }: TurnsOptions): Turns {
  const waiting: Array<(at: number) => void> = []
  let inHand: number[] = []
  let used = 0
  let drops = 0
  let asking = false

  const fetch = async (): Promise<void> => {
    const seen = drops
    const wanted = Math.max(waiting.length, Math.min(MOST_AHEAD, 2 * used))
    used = 0
    const found = await ask(wanted)
    const now = clock.now()
    if (!found || found.count < 1) {
      for (const take of waiting.splice(0)) take(alone(now))
      return
    }
    const times = Array.from({ length: found.count }, (_, at) => now + found.delayMs + at * found.everyMs)
    const taken = waiting.splice(0, times.length)
    taken.forEach((take, at) => take(times[at] ?? now))
    used += taken.length
    if (seen === drops) inHand = times.slice(taken.length)
  }
  const serve = async (): Promise<void> => {
    asking = true
    while (waiting.length > 0) await fetch()
    asking = false
  }
  return {
    next() {
      const fresh = clock.now() - STALE_MS
      while ((inHand[0] ?? Infinity) < fresh) inHand.shift()
      const at = waiting.length === 0 ? inHand.shift() : undefined
      if (at !== undefined) {
        used += 1
        return at
      }
      const { promise, resolve } = Promise.withResolvers<number>()
      waiting.push(resolve)
      if (!asking) void serve()
      return promise
    },
    drop() {
      inHand = []
      drops += 1
    },
  }
}
