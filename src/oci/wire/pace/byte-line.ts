import { childController, untilAborted } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'
import { bytesPerSecond } from './wait-cause.ts'
import type { Waiting } from './waiting-line.ts'

/** A shorter wait is no news. */
const TOLD_FROM_MS = 1000
/** So much of a second is asked for at once. */
const AHEAD = 1 / 4
/** Pieces of so much of a second, so that the far end never waits long for the next one. */
const PIECE = 1 / 16
const LEAST_PIECE = 8 * 1024
const MOST_PIECE = 1024 * 1024
/** Smaller ones may lie in a socket's queue while their source uses the buffer again (ByteStream). */
const REUSED_FROM_BYTES = 64 * 1024

interface Share {
  readonly bytes: number
  readonly delayMs: number
}

export interface ByteLineOptions {
  clock: Clock
  closed: AbortSignal
  /** Bytes a second; undefined: no limit now. */
  limit: () => number | undefined
  /** Asks for bytes of what all processes may move; undefined: nobody can be asked. */
  ask: (limit: number, wanted: number) => Promise<Share | undefined>
}

/** Bytes of bodies that go on when a limit lets them, first come first served. */
export interface ByteLine {
  /** Undefined where nobody has to wait. Rejects with the signal's reason. */
  take(bytes: number, waiting: Waiting): Promise<void> | undefined
  /** A chunk in the pieces that it is sent in. */
  pieces(chunk: Buffer): readonly Buffer[]
}

export function createByteLine({ clock, closed, limit, ask }: ByteLineOptions): ByteLine {
  const alone = createAlone(clock)
  const queue = createQueue(async (left) => {
    const perSecond = limit()
    if (perSecond === undefined) return left
    const wanted = Math.max(left, Math.ceil(perSecond * AHEAD))
    const share = (await ask(perSecond, wanted)) ?? alone(perSecond, wanted)
    if (share.delayMs > 0) await clock.sleep(share.delayMs, closed)
    return share.bytes
  })
  const wait = async (bytes: number, perSecond: number, { signal, onWait }: Waiting): Promise<void> => {
    const { taken, leave, waitBytes } = queue.join(bytes)
    const waitMs = (waitBytes * 1000) / perSecond
    const cause = bytesPerSecond(perSecond)
    const isTold = waitMs >= TOLD_FROM_MS
    using either = childController(signal, closed)
    if (isTold) onWait?.(clock.now() + waitMs, cause)
    try {
      await untilAborted(taken, either.signal)
    } finally {
      leave()
      if (isTold) onWait?.(undefined, cause)
    }
  }
  return {
    take(bytes, waiting) {
      const perSecond = limit()
      return perSecond === undefined || queue.spend(bytes) ? undefined : wait(bytes, perSecond, waiting)
    },
    pieces(chunk) {
      const perSecond = limit()
      return perSecond === undefined ? [chunk] : cut(chunk, perSecond)
    },
  }
}

function cut(chunk: Buffer, perSecond: number): readonly Buffer[] {
  const size = Math.round(Math.min(MOST_PIECE, Math.max(LEAST_PIECE, perSecond * PIECE)))
  if (chunk.length <= size) return [chunk]
  return Array.from({ length: Math.ceil(chunk.length / size) }, (_, at) => {
    const piece = chunk.subarray(at * size, (at + 1) * size)
    return piece.length < REUSED_FROM_BYTES ? Buffer.from(piece) : piece
  })
}

/** What a process lets itself move where nobody can be asked. */
function createAlone(clock: Clock): (perSecond: number, wanted: number) => Share {
  let nextAt = 0
  return (perSecond, wanted) => {
    const now = clock.now()
    const bytes = Math.min(wanted, Math.ceil(perSecond * AHEAD))
    const from = Math.max(nextAt, now)
    nextAt = from + (bytes * 1000) / perSecond
    return { bytes, delayMs: from - now }
  }
}

interface Waiter {
  left: number
  readonly resolve: () => void
}

/** `more`: so many further bytes may go, once it resolves; asked as long as anybody waits. It rejects at the end of all. */
function createQueue(more: (left: number) => Promise<number>) {
  const line: Waiter[] = []
  let credit = 0
  let serving = false

  const hand = (): void => {
    for (let [first] = line; first; [first] = line) {
      const given = Math.min(credit, first.left)
      credit -= given
      first.left -= given
      if (first.left > 0) return
      line.shift()
      first.resolve()
    }
  }
  const left = (): number => line.reduce((sum, waiter) => sum + waiter.left, 0)
  const serve = async (): Promise<void> => {
    serving = true
    try {
      while (line.length > 0) {
        credit += await more(left())
        hand()
      }
    } catch {
      // Whoever waits hears of the end by the same signal.
    }
    serving = false
  }
  return {
    /** Whether they may go at once. */
    spend(bytes: number): boolean {
      if (line.length > 0 || credit < bytes) return false
      credit -= bytes
      return true
    },
    join(bytes: number) {
      const { promise: taken, resolve } = Promise.withResolvers<void>()
      const waiter: Waiter = { left: bytes, resolve }
      line.push(waiter)
      const waitBytes = left() - credit
      if (!serving) void serve()
      const leave = (): void => {
        const at = line.indexOf(waiter)
        if (at !== -1) line.splice(at, 1)
      }
      return { taken, leave, waitBytes }
    },
  }
}
