/** At most `limit` holders at once, first come first served. */
export interface Limiter {
  /** Runs `task` when a slot is free. A waiter whose signal aborts leaves the line and rejects with the reason. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>
  readonly active: number
  readonly waiting: number
}

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

  return {
    async run(task, signal) {
      await enter(signal)
      try {
        return await task()
      } finally {
        active -= 1
        line.shift()?.()
      }
    },
    get active() {
      return active
    },
    get waiting() {
      return line.length
    },
  }
}
