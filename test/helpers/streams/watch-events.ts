import type { JobEvent } from '../../../src/jobs/model/definitions.ts'
import { type ServerSentEvent, serverSentEvents } from './sse-client.ts'

export interface Watched {
  id: string | undefined
  event: JobEvent
}

export interface Watch {
  status: number
  headers: Headers
  /** What has come so far. */
  readonly events: Watched[]
  /** Settles when the stream has ended, in whatever way. */
  readonly ended: Promise<void>
  /** Cuts the connection. */
  cut(): void
  lastId(): string | undefined
}

/** Opens a job's event stream and keeps what comes. */
export async function watchEvents(url: string, headers: Record<string, string> = {}): Promise<Watch> {
  const controller = new AbortController()
  const response = await fetch(url, { headers, signal: controller.signal })
  const events: Watched[] = []
  const read = async () => {
    for await (const sent of serverSentEvents(response)) events.push(parse(sent))
  }
  const ended = response.status === 200 ? read().catch(() => {}) : response.body?.cancel()
  return {
    status: response.status,
    headers: response.headers,
    events,
    ended: Promise.resolve(ended),
    cut: () => controller.abort(),
    lastId: () => events.findLast(({ id }) => id !== undefined)?.id,
  }
}

function parse({ id, event, data }: ServerSentEvent): Watched {
  const parsed = JSON.parse(data) as JobEvent
  if (parsed.type !== event) throw new Error(`the event "${event}" carries a ${parsed.type}`)
  return { id, event: parsed }
}
