/** At most `limit` holders at once, first come first served. */
export interface Limiter {
  /** Runs `task` when a slot is free. A waiter whose signal aborts leaves the line and rejects with the reason. */
  run<T>(task: (leave: LeaveSlot) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** A slot that is free now and that nobody waits for, until disposed. */
  spare(): SpareSlot | undefined
  readonly active: number
  readonly waiting: number
}

export interface SpareSlot extends Disposable {
  /** Whether somebody stands in line by now. */
  readonly wanted: boolean
}

/**
 * Gives the slot to the next in line while `wait` runs, and stands in line again before it resolves. A `wait` that
 * rejects does so at once; its task has no slot any more and should end.
 */
export type LeaveSlot = <T>(wait: () => Promise<T>) => Promise<T>

export function createLimiter(limit: number): Limiter {
  let active = 0
  const line: Array<() => void> = []

  const enter = (signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    if (active < limit) {
      active += 1
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const go = () => {
        signal?.removeEventListener('abort', leave)
        active += 1
        resolve()
      }
      const leave = () => {
        line.splice(line.indexOf(go), 1)
        reject(signal?.reason as Error)
      }
      line.push(go)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }
  const exit = (): void => {
    active -= 1
    line.shift()?.()
  }

  return {
    async run(task, signal) {
      await enter(signal)
      let inside = true
      const leave: LeaveSlot = async (wait) => {
        inside = false
        exit()
        const result = await wait()
        await enter(signal)
        inside = true
        return result
      }
      try {
        return await task(leave)
      } finally {
        if (inside) exit()
      }
    },
    spare() {
      if (active >= limit) return undefined
      active += 1
      return spareSlot(line, exit)
    },
    get active() {
      return active
    },
    get waiting() {
      return line.length
    },
  }
}

function spareSlot(line: readonly unknown[], exit: () => void): SpareSlot {
  return {
    get wanted() {
      return line.length > 0
    },
    [Symbol.dispose]: exit,
  }
}
