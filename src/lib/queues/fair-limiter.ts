export interface FairLimits {
  /** Holders at once. */
  readonly all: number
  /** Of one key. Less than `all`, so that one alone never holds everything. */
  readonly perKey: number
  /** Who may stand in line of one key. Default: any number. */
  readonly waitingPerKey?: number
  /** What a further one is refused with. */
  readonly tooMany?: (key: string, waiting: number) => Error
}

/** Places that all share: keys that wait take turns, and none holds or fills more than its own part. */
export interface FairLimiter {
  /** Runs `task` when it is its turn. A waiter whose signal aborts leaves the line and rejects with the reason. */
  run<T>(key: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T>
  readonly active: number
  readonly waiting: number
}

export function createFairLimiter(limits: FairLimits): FairLimiter {
  return new Places(limits)
}

class Places implements FairLimiter {
  readonly #limits: FairLimits
  readonly #holders = new Map<string, number>()
  /** Whose turn is next comes first; none is empty. */
  readonly #lines = new Map<string, Set<() => void>>()
  active = 0
  waiting = 0

  constructor(limits: FairLimits) {
    this.#limits = limits
  }

  async run<T>(key: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    if (this.active < this.#limits.all && this.#mayHold(key)) this.#hold(key)
    else await this.#wait(key, signal)
    try {
      return await task()
    } finally {
      this.#release(key)
    }
  }

  #mayHold(key: string): boolean {
    return (this.#holders.get(key) ?? 0) < this.#limits.perKey
  }

  #hold(key: string): void {
    this.active += 1
    this.#holders.set(key, (this.#holders.get(key) ?? 0) + 1)
  }

  #release(key: string): void {
    this.active -= 1
    const left = (this.#holders.get(key) ?? 1) - 1
    if (left === 0) this.#holders.delete(key)
    else this.#holders.set(key, left)
    this.#next()
  }

  async #wait(key: string, signal: AbortSignal | undefined): Promise<void> {
    const { waitingPerKey = Infinity, tooMany = refused } = this.#limits
    const line = this.#lines.get(key) ?? new Set()
    if (line.size >= waitingPerKey) throw tooMany(key, line.size)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const giveUp = (): void => {
      this.#leave(key, resolve)
      reject(signal?.reason as Error)
    }
    this.#lines.set(key, line.add(resolve))
    this.waiting += 1
    signal?.addEventListener('abort', giveUp, { once: true })
    await promise.finally(() => signal?.removeEventListener('abort', giveUp))
  }

  #leave(key: string, waiter: () => void): void {
    const line = this.#lines.get(key)
    if (!line?.delete(waiter)) return
    this.waiting -= 1
    if (line.size === 0) this.#lines.delete(key)
  }

  #next(): void {
    for (const [key, line] of this.#lines) {
      const [first] = line
      if (!first || !this.#mayHold(key)) continue
      this.#leave(key, first)
      // Behind all others that wait.
      if (this.#lines.delete(key)) this.#lines.set(key, line)
      this.#hold(key)
      first()
      return
    }
  }
}

function refused(key: string, waiting: number): Error {
  return new Error(`${waiting} wait for "${key}"`)
}
