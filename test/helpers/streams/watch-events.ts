import { setTimeout as delay } from 'node:timers/promises'
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

/** Opens a job's event stream and keeps what comes, in `events`. */
export async function watchEvents(
  url: string,
  headers: Record<string, string> = {},
  events: Watched[] = [],
): Promise<Watch> {
  const controller = new AbortController()
  const response = await fetch(url, { headers, signal: controller.signal })
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

/**
 * As a reader that is to miss nothing: it comes back with its last id when the API has no answer for it (503), or has ended
 * the stream though the job has not, which is what both do when Redis takes too long.
 */
export function followEvents(url: string): Pick<Watch, 'events' | 'ended' | 'cut'> {
  const events: Watched[] = []
  const leaving = new AbortController()
  let current: Watch | undefined
  const read = async (): Promise<void> => {
    while (!leaving.signal.aborted && events.at(-1)?.event.type !== 'end') {
      const last = events.at(-1)?.id
      current = await watchEvents(url, last === undefined ? {} : { 'last-event-id': last }, events)
      if (leaving.signal.aborted) current.cut()
      await current.ended
      if (current.status === 503) await delay(100)
      else if (current.status !== 200) throw new Error(`the stream was answered with ${current.status}`)
    }
  }
  return {
    events,
    ended: read(),
    cut() {
      leaving.abort()
      current?.cut()
    },
  }
}
