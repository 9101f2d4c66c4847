import { AppError } from '../../../lib/errors.ts'

/** The least that a sender of a body must bring. */
export interface BodyPace {
  bytesPerSecond: number
  /** Over so much time of waiting for it. */
  overMs: number
}

export const LEAST_PACE: BodyPace = { bytesPerSecond: 1024, overMs: 30_000 }

/** A wait is looked at so many times in the whole span. */
const LOOKS = 30

/**
 * The bytes as they come. Throws BODY_TOO_SLOW when the sender brought less than `pace` over a span of waiting for it. Only
 * that counts: not the time in which nobody asked for bytes, nor that in which this process did not run.
 */
export async function* paced(
  bytes: AsyncIterable<Buffer>,
  pace: BodyPace,
  { now = clockNow, hint = NOTHING_KEPT, signal }: PacedOptions = {},
): AsyncGenerator<Buffer> {
  using judge = new Judge(pace, now, hint)
  const end = () => judge.end(signal?.reason as Error)
  if (signal?.aborted) end()
  signal?.addEventListener('abort', end, { once: true })
  const source = bytes[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await judge.wait(source.next())
      if (next.done) return
      judge.came(next.value.length)
      yield next.value
    }
  } finally {
    signal?.removeEventListener('abort', end)
    // Not awaited: it may come after a read that nothing ends but the connection.
    source.return?.().catch(() => undefined)
  }
}

export interface PacedOptions {
  now?: () => number
  /** What who was too slow can do. Default: send it again. */
  hint?: string
  /** Ends the bytes with its reason, also while they are waited for. */
  signal?: AbortSignal
}

const clockNow = () => performance.now()
const NOTHING_KEPT = 'Nothing of it was kept: send it again over a better connection.'

class Judge implements Disposable {
  readonly #pace: BodyPace
  readonly #now: () => number
  readonly #hint: string
  readonly #lookMs: number
  readonly #looks: NodeJS.Timeout
  /** Of the wait that is on. */
  #since: number | undefined
  #giveUp: (error: Error) => void = () => undefined
  #ended: Error | undefined
  #waitedMs = 0
  #bytes = 0

  constructor(pace: BodyPace, now: () => number, hint: string) {
    this.#pace = pace
    this.#now = now
    this.#hint = hint
    this.#lookMs = pace.overMs / LOOKS
    this.#looks = setInterval(() => this.#look(), this.#lookMs)
  }

  async wait<T>(next: Promise<T>): Promise<T> {
    this.#since = this.#now()
    // No race: a promise that lives as long as the body would remember each of its waits.
    const outcome = await new Promise<T>((resolve, reject) => {
      this.#giveUp = reject
      if (this.#ended) reject(this.#ended)
      next.then(resolve, reject)
    })
    this.#count()
    this.#since = undefined
    return outcome
  }

  /** What is waited for, now or next, ends so. */
  end(error: Error): void {
    this.#ended = error
    this.#giveUp(error)
  }

  came(bytes: number): void {
    this.#bytes += bytes
    if (this.#waitedMs < this.#pace.overMs) return
    if (this.#tooFew) throw this.#error()
    this.#waitedMs = 0
    this.#bytes = 0
  }

  [Symbol.dispose](): void {
    clearInterval(this.#looks)
  }

  #look(): void {
    this.#count()
    if (!this.#isLate) return
    // What came while this process was busy is read before it is judged.
    setImmediate(() => {
      if (this.#isLate) this.#giveUp(this.#error())
    })
  }

  /** A look that comes late tells of this process and not of the sender. */
  #count(): void {
    if (this.#since === undefined) return
    const now = this.#now()
    this.#waitedMs += Math.min(now - this.#since, 2 * this.#lookMs)
    this.#since = now
  }

  get #isLate(): boolean {
    return this.#since !== undefined && this.#waitedMs >= this.#pace.overMs && this.#tooFew
  }

  get #tooFew(): boolean {
    return this.#bytes < (this.#pace.bytesPerSecond * this.#pace.overMs) / 1000
  }

  #error(): AppError {
    const { bytesPerSecond, overMs } = this.#pace
    return new AppError(
      'BODY_TOO_SLOW',
      `the body came too slowly: ${this.#bytes} bytes in ${overMs / 1000} s, at least ${bytesPerSecond} bytes a second are wanted`,
      {
        hint: this.#hint,
        details: { bytes: this.#bytes, overMs, minBytesPerSecond: bytesPerSecond },
      },
    )
  }
}
