import { setTimeout as delay } from 'node:timers/promises'
import { fetch, type Response } from 'undici'
import { messages } from './messages.ts'

export interface FollowOptions {
  /** Go on after this event. Default: from a snapshot. */
  lastEventId?: string
  signal?: AbortSignal
}

/** Until the stream itself names a time. */
const RETRY_MS = 2000

/**
 * Reads server-sent events until one that `isLast`; a stream that breaks is taken up after its last event. Source: WHATWG
 * HTML "Server-sent events".
 */
export async function* follow<T extends { type: string }>(
  { url, headers, isLast }: { url: string; headers: Record<string, string>; isLast: (event: T) => boolean },
  { lastEventId, signal }: FollowOptions,
  refused: (response: Response) => Promise<never>,
): AsyncGenerator<T> {
  let last = lastEventId
  let retryMs = RETRY_MS
  for (;;) {
    try {
      const response = await fetch(url, {
        headers: { ...headers, accept: 'text/event-stream', ...(last === undefined ? {} : { 'last-event-id': last }) },
        ...(signal === undefined ? {} : { signal }),
      })
      if (response.status === 204) return
      if (!response.ok && response.status !== 503) await refused(response)
      if (response.ok && response.body) {
        for await (const message of messages(response.body)) {
          last = message.id ?? last
          retryMs = message.retryMs ?? retryMs
          if (message.data === undefined || message.data === '') continue
          const event = JSON.parse(message.data) as T
          yield event
          if (isLast(event)) return
        }
      }
    } catch (error) {
      // A network's break is a TypeError of fetch; anything else is the caller's to know.
      if (!(error instanceof TypeError) || signal?.aborted) throw error
    }
    await delay(retryMs, undefined, signal === undefined ? {} : { signal })
  }
}
