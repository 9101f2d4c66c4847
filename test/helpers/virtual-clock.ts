import type { Clock } from '../../src/lib/clock.ts'

export interface VirtualClock extends Clock {
  /** Runs the waits in their order, each when all that the ones before it set off has been done, until `done`. */
  runUntil(done: () => boolean): Promise<void>
}

/** A clock that goes from wait to wait: what takes minutes is over at once, and everything comes in its order. */
export function createVirtualClock(): VirtualClock {
  let now = Date.parse('2026-03-01T12:00:00Z')
  const waits: Array<{ at: number; wake: () => void }> = []
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((wake, refuse) => {
        signal?.throwIfAborted()
        const wait = { at: now + ms, wake }
        waits.push(wait)
        signal?.addEventListener('abort', () => {
          if (waits.includes(wait)) waits.splice(waits.indexOf(wait), 1)
          refuse(signal.reason as Error)
        })
      }),
    async runUntil(done) {
      for (;;) {
        // What a wait sets off in this process is done before the next turn of the event loop.
        await new Promise((resolve) => setImmediate(resolve))
        if (done()) return
        const next = waits.reduce((first, wait) => (wait.at < first.at ? wait : first), waits[0] ?? never())
        waits.splice(waits.indexOf(next), 1)
        now = Math.max(now, next.at)
        next.wake()
      }
    },
  }
}

function never(): never {
  throw new Error('nobody waits for anything')
}
