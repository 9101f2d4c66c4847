import type { JobEvent } from '../../jobs/model/definitions.ts'
import type { LoggedEvent } from '../../jobs/progress/events.ts'

/** An event as it is put into a stream. An empty id is left out: the client's Last-Event-ID stays as it is. */
export interface Message {
  readonly id: string
  readonly type: string
  /** One line, a JSON object that is not empty. */
  readonly json: string
}

/** How events become bytes; pure. */
export interface Framing {
  readonly contentType: string
  /** The first bytes of a stream; empty where the format has nothing to say before the first event. */
  opening(retryMs: number): string
  message(message: Message): string
  /** Shows that the connection lives: half-open TCP looks just like silence. */
  heartbeat(ping: Message): string
  /** The last bytes before layerd ends the stream by itself; clients come back after `retryMs`. */
  goodbye(retryMs: number): string
}

/**
 * Server-sent events. `id` is the Redis stream entry's, made by XADD as the event is written (`emit` in
 * jobs/redis/scripts/jobs/record.lua), so a client's Last-Event-ID is where it goes on; a job's ping has none and leaves it untouched.
 * JSON has no raw line breaks, so `data` is always one line. Source: WHATWG HTML "Server-sent events", 9.2.5 and 9.2.6.
 */
export const sseFraming: Framing = {
  contentType: 'text/event-stream; charset=utf-8',
  opening: (retryMs) => `retry: ${retryMs}\n\n`,
  message: ({ id, type, json }) => `${id === '' ? '' : `id: ${id}\n`}event: ${type}\ndata: ${json}\n\n`,
  heartbeat: (ping) => `: still here\n${sseFraming.message(ping)}`,
  goodbye: (retryMs) => `retry: ${retryMs}\n\n`,
}

/** One JSON object a line, with the event's id in it. Source: github.com/ndjson/ndjson-spec 1.0.0. */
export const ndjsonFraming: Framing = {
  contentType: 'application/x-ndjson; charset=utf-8',
  opening: () => '',
  message: (message) => `${withId(message)}\n`,
  heartbeat: (ping) => ndjsonFraming.message(ping),
  goodbye: () => '',
}

/** The event's JSON with its id in it, as where there is no other place for that. */
export function withId({ id, json }: Message): string {
  return id === '' ? json : `{"id":${JSON.stringify(id)},${json.slice(1)}`
}

export function messageOf({ id, event }: LoggedEvent): Message {
  return { id, type: event.type, json: JSON.stringify(event) }
}

/** An event on its way to many clients: rendered once for each format, not once for each client. */
export abstract class SharedMessage {
  readonly #rendered = new Map<Framing, Buffer>()

  /** About how many bytes it has. */
  abstract readonly size: number

  protected abstract render(framing: Framing): Buffer

  /** What goes in place of `older`, which a reader that is behind has not had; undefined: it has to have both. */
  abstract over(older: SharedMessage): SharedMessage | undefined

  bytes(framing: Framing): Buffer {
    const known = this.#rendered.get(framing)
    if (known) return known
    const bytes = this.render(framing)
    this.#rendered.set(framing, bytes)
    return bytes
  }
}

/** An event of one job. */
export class Frame extends SharedMessage {
  readonly logged: LoggedEvent
  #told: Message | undefined
  /** Of those that are behind by the same, all are given the same. */
  #merged: WeakMap<Frame, Frame> | undefined

  constructor(logged: LoggedEvent) {
    super()
    this.logged = logged
  }

  get #message(): Message {
    this.#told ??= messageOf(this.logged)
    return this.#told
  }

  get size(): number {
    return this.#message.json.length
  }

  protected render(framing: Framing): Buffer {
    return Buffer.from(framing.message(this.#message))
  }

  over(older: SharedMessage): Frame | undefined {
    const { id, event } = this.logged
    if (event.type !== 'progress' || !(older instanceof Frame)) return undefined
    const before = older.logged.event
    if (before.type !== 'progress') return undefined
    this.#merged ??= new WeakMap()
    const both = this.#merged.get(older) ?? new Frame({ id, event: merged(before, event) })
    this.#merged.set(older, both)
    return both
  }
}

type ProgressEvent = Extract<JobEvent, { type: 'progress' }>

/** The newer figures, with the transfers that changed in either. */
function merged(older: ProgressEvent, newer: ProgressEvent): ProgressEvent {
  const transfers = new Map(
    [...older.transfers, ...newer.transfers].map((transfer) => [transfer.digest, transfer] as const),
  )
  return { ...newer, transfers: [...transfers.values()] }
}
