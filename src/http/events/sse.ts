import type { JobEvent } from '../../jobs/model/definitions.ts'
import type { LoggedEvent } from '../../jobs/progress/events.ts'

/** How events become bytes; pure. */
export interface Framing {
  readonly contentType: string
  /** The first bytes of a stream; empty where the format has nothing to say before the first event. */
  opening(retryMs: number): string
  /** An empty id is left out: the client's Last-Event-ID stays as it is. */
  event(logged: LoggedEvent): string
  /** Shows that the connection lives: half-open TCP looks just like silence. */
  heartbeat(ping: JobEvent): string
  /** The last bytes before layerd ends the stream by itself; clients come back after `retryMs`. */
  goodbye(retryMs: number): string
}

/**
 * Server-sent events. `id` is the Redis stream entry's, made by XADD as the event is written (`emit` in
 * jobs/redis/scripts/jobs/record.lua), so a client's Last-Event-ID is where it goes on; a ping has none and leaves it untouched. JSON has no raw line breaks, so `data` is always one line.
 * Source: WHATWG HTML "Server-sent events", 9.2.5 and 9.2.6.
 */
export const sseFraming: Framing = {
  contentType: 'text/event-stream; charset=utf-8',
  opening: (retryMs) => `retry: ${retryMs}\n\n`,
  event: ({ id, event }) => `${id === '' ? '' : `id: ${id}\n`}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
  heartbeat: (ping) => `: still here\n${sseFraming.event({ id: '', event: ping })}`,
  goodbye: (retryMs) => `retry: ${retryMs}\n\n`,
}

/** One JSON object a line, with the event's id in it. Source: github.com/ndjson/ndjson-spec 1.0.0. */
export const ndjsonFraming: Framing = {
  contentType: 'application/x-ndjson; charset=utf-8',
  opening: () => '',
  event: ({ id, event }) => `${JSON.stringify(id === '' ? event : { id, ...event })}\n`,
  heartbeat: (ping) => ndjsonFraming.event({ id: '', event: ping }),
  goodbye: () => '',
}

/** An event on its way to many clients: rendered once for each format, not once for each client. */
export class Frame {
  readonly logged: LoggedEvent
  readonly #rendered = new Map<Framing, Buffer>()

  constructor(logged: LoggedEvent) {
    this.logged = logged
  }

  bytes(framing: Framing): Buffer {
    const known = this.#rendered.get(framing)
    if (known) return known
    const bytes = Buffer.from(framing.event(this.logged))
    this.#rendered.set(framing, bytes)
    return bytes
  }
}
