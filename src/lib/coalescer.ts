import type { Clock } from './clock.ts'

/**
 * Runs `send` for any number of requests: one at a time, at most one start an interval, and once more for what was asked
 * meanwhile. A slow `send` makes fewer calls, never more.
 */
export interface Coalescer {
  /** `soon` does not wait for the interval. */
  request(soon: boolean): void
  /** Starts nothing more and waits for what is under way. */
  close(): Promise<void>
}

/** `send` must not throw. */
export function createCoalescer(options: { intervalMs: number; clock: Clock; send: () => Promise<void> }): Coalescer {
  const { clock } = options
  let lastStart = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> | undefined
  let asked = false
  let closed = false

  const start = (): void => {
    timer = undefined
    asked = false
    lastStart = clock.now()
    sending = options.send().finally(() => {
      sending = undefined
      if (asked) arm(false)
    })
  }
  const arm = (soon: boolean): void => {
    if (closed || sending || (timer && !soon)) return
    clearTimeout(timer)
    timer = setTimeout(start, soon ? 0 : Math.max(0, lastStart + options.intervalMs - clock.now()))
  }
  return {
    request(soon) {
      asked = true
      arm(soon)
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await sending
    },
  }
}
