import { type Message, messages } from '../../../clients/typescript/src/messages.ts'
import { callerIsUnknown, unreachable } from './client.ts'
import type { Problem } from './types.ts'

export type StreamState = 'connecting' | 'live' | 'away'

export interface StreamOptions<T> {
  /** Path and query. */
  address: string
  onEvent(event: T): void
  /** `away`: it broke, and is tried again by itself. */
  onState(state: StreamState): void
  /** The daemon will not give it; it is not tried again. */
  onRefused(problem: Problem): void
  /** The last event of all; it is not tried again. */
  isLast?(event: T): boolean
}

/** Until the stream itself names a time. */
const RETRY_MS = 2000
/** Nobody waits longer for a daemon that is back. */
const LONGEST_RETRY_MS = 5000
/** Three heartbeats: a connection that says less is dead, though the network does not say so. */
const SILENT_MS = 45_000

/**
 * Server-sent events by fetch, as EventSource does not show a 401. It goes on after its last event whenever it broke, and is closed
 * while the tab is hidden: eight tabs of one address share six connections (HTTP/1.1).
 */
export class EventStream<T> {
  readonly #options: StreamOptions<T>
  #lastId: string | undefined
  #retryMs = RETRY_MS
  #ended = false
  #open: AbortController | undefined

  constructor(options: StreamOptions<T>) {
    this.#options = options
    document.addEventListener('visibilitychange', this.#onVisibility)
    if (!document.hidden) void this.#run()
  }

  close(): void {
    this.#finish()
    this.#open?.abort()
  }

  readonly #onVisibility = (): void => {
    this.#open?.abort()
    if (!document.hidden) void this.#run()
  }

  #finish(): void {
    this.#ended = true
    document.removeEventListener('visibilitychange', this.#onVisibility)
  }

  async #run(): Promise<void> {
    const { signal } = (this.#open = new AbortController())
    this.#options.onState(this.#lastId === undefined ? 'connecting' : 'away')
    for (let failures = 0; !this.#ended && !signal.aborted; failures += 1) {
      const heard = await this.#once(signal)
      if (this.#ended || signal.aborted) return
      if (heard) failures = 0
      this.#options.onState('away')
      await pause(Math.min(this.#retryMs * (failures + 1), LONGEST_RETRY_MS), signal)
    }
  }

  /** One connection to its end, in whatever way; gives whether it was one. */
  async #once(signal: AbortSignal): Promise<boolean> {
    const silence = new Silence(signal)
    try {
      const response = await fetch(this.#options.address, {
        headers: {
          accept: 'text/event-stream',
          ...(this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId }),
        },
        credentials: 'same-origin',
        signal: silence.signal,
      })
      if (response.status === 204) this.#finish()
      if (!response.ok || !response.body || this.#ended) return await this.#refused(response)
      this.#options.onState('live')
      for await (const message of messages(chunks(response.body, () => silence.broken()))) this.#take(message)
      return true
    } catch {
      return false
    } finally {
      silence.stop()
    }
  }

  /** What may pass is tried again; the rest is said. */
  async #refused(response: Response): Promise<boolean> {
    if (response.ok || response.status >= 500 || response.status === 429) return false
    this.#finish()
    if (response.status === 401) callerIsUnknown()
    this.#options.onRefused((await response.json().catch(() => unreachable())) as Problem)
    return false
  }

  #take({ id, retryMs, data }: Message): void {
    this.#lastId = id ?? this.#lastId
    this.#retryMs = retryMs ?? this.#retryMs
    if (data === undefined || data === '' || this.#ended) return
    const event = JSON.parse(data) as T
    this.#options.onEvent(event)
    if (this.#options.isLast?.(event)) this.close()
  }
}

/** Aborts with `outer`, and when nothing has come for too long. */
class Silence {
  readonly signal: AbortSignal
  readonly #long = new AbortController()
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#long.signal])
    this.broken()
  }

  broken(): void {
    this.stop()
    this.#timer = setTimeout(() => this.#long.abort(), SILENT_MS)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

/** Not every browser iterates a body. */
async function* chunks(body: ReadableStream<Uint8Array>, heard: () => void): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      heard()
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const stop = () => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}
