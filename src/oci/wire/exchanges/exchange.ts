import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { Pieces } from '../../../content/streams.ts'
import { abortReason, throwIfAborted, untilAborted } from '../../../lib/abort.ts'
import { AppError } from '../../../lib/errors.ts'
import { type CallFacts, toldHost, upstreamOf } from '../../errors/errors.ts'
import { type BodyPace, inPace } from './body-pace.ts'
import { decoded, decodedStart } from './content-coding.ts'
import { checkFraming, framingError } from './framing.ts'
import { networkError } from '../../errors/network-errors.ts'
import {
  beforePart,
  beforeSend,
  type HookList,
  onAnswer,
  onConnection,
  onEnd,
  onSent,
  toldBody,
} from '../../request/hooks.ts'
import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import { connectionUse } from '../connections/connection-times.ts'
import { onceWritten } from '../connections/written-socket.ts'

export interface Exchange {
  /** What it is sent for: sent again, it is the same object. */
  call: object
  dispatcher: Dispatcher
  facts: CallFacts
  headers: Record<string, string>
  body?: RegistryRequest['body']
  guard?: RegistryRequest['guard']
  bodyPace?: BodyPace
  hooks: HookList
  signal: AbortSignal
  headersTimeoutMs: number
  bodyTimeoutMs: number
}

/** One request and its answer, whatever the status. Throws only when there is no answer: REGISTRY_*, or the body source's own error. */
export async function exchange(call: Exchange): Promise<RegistryResponse> {
  const { facts, signal } = call
  throwIfAborted(signal)
  const source = watchSource({ ...call, body: guarded(call) })
  try {
    const options: Asked & Dispatcher.RequestOptions = {
      call,
      origin: facts.url.origin,
      path: `${facts.url.pathname}${facts.url.search}`,
      method: facts.method,
      headers: call.headers,
      // undici takes any async iterable; its types name only Node's streams.
      body: (source.body ?? null) as Readable | Buffer | null,
      signal,
      headersTimeout: call.headersTimeoutMs,
      bodyTimeout: call.bodyTimeoutMs,
      // undici closes the connection after each HEAD, for servers that send a body with the answer; thousands of layers
      // would be as many connections. Here such a body breaks one request, which is tried again.
      reset: false,
    }
    // undici lets go of a request only when its connection was made, or was not.
    const answer = await untilAborted(call.dispatcher.request(options), signal)
    const { body } = answer
    return toResponse(call, {
      ...answer,
      close: () => void body.on('error', () => {}).destroy(),
      // A body that breaks off while it is thrown away costs its connection and nothing else.
      discard: () => body.dump({ limit: 128 * 1024 }).catch(() => {}),
    })
  } catch (error) {
    if (signal.aborted) throw abortReason(signal)
    if (source.failure) throw source.failure.error
    throw networkError(facts, error)
  }
}

/** undici hands what it does not know of a request on to whoever stands between. */
interface Asked extends Dispatcher.DispatchOptions {
  readonly call?: Exchange
}

/**
 * The dispatcher, which asks the hooks of each of our requests as it goes out: it may have waited for its connection. Answers
 * are looked at before their bodies, which undici may have found wrong by the time that anybody sees the head.
 */
export function askingDispatcher(dispatcher: Dispatcher): Dispatcher {
  return dispatcher.compose((dispatch) => (options: Asked, handler) => {
    const { call } = options
    if (!call) return dispatch(options, handler)
    const start = handler.onRequestStart?.bind(handler)
    handler.onRequestStart = (...started) => {
      beforeSend(call.hooks, call.facts)
      onceWritten((socket) => onConnection(call.hooks, call.facts, connectionUse(socket)))
      start?.(...started)
    }
    const answer = handler.onResponseStart?.bind(handler)
    let answered = false
    handler.onResponseStart = (controller, status, headers, ...more) => {
      checkFraming(call.facts.method, headers)
      answered = true
      answer?.(controller, status, headers, ...more)
    }
    const fail = handler.onResponseError?.bind(handler)
    handler.onResponseError = (controller, error) => fail?.(controller, framingError(error, answered))
    return dispatch(options, handler)
  })
}

/** undici asks a body that it iterates for its first bytes once it has a connection, and sends the head along with them. */
function guarded({ body, guard }: Exchange): RegistryRequest['body'] {
  if (!guard || !Buffer.isBuffer(body)) return body
  return async function* () {
    await guard()
    yield body
  }
}

/**
 * Keeps the source's own failure apart: a copy reads from another registry, whose reset must not be blamed on this one. The
 * head goes out with the first bytes.
 */
export function watchSource({
  body,
  hooks,
  facts,
  bodyPace,
}: Pick<Exchange, 'body' | 'hooks' | 'facts' | 'bodyPace'>): {
  body?: unknown
  failure?: { error: unknown }
} {
  if (typeof body !== 'function') return { body }
  const watched: { body?: unknown; failure?: { error: unknown } } = {}
  watched.body = (async function* () {
    try {
      for await (const chunk of bodyPace ? inPace(body(), bodyPace) : body()) {
        beforePart(hooks, facts, chunk.length)
        yield chunk
      }
      onSent(hooks, facts)
    } catch (error) {
      watched.failure = { error }
      throw error
    }
  })()
  return watched
}

/** What came back, with a body that is still to be read. */
export interface ReceivedAnswer {
  statusCode: number
  headers: Dispatcher.ResponseData['headers']
  body: AsyncIterable<Buffer>
  /** Closes the connection, and with it a body that nobody wants. Never throws. */
  close: () => void
  /** Throws the body away, so that the connection can be used again where that is worth it. Never rejects. */
  discard: () => Promise<unknown> | void
  /** Its body is here already, or what came of it. */
  whole?: {
    bytes: number
    /** When its head came, performance.now(), where that was before now. */
    headAt?: number | undefined
    broken?: Error | undefined
  }
}

export function toResponse({ facts, hooks, signal, bodyPace }: Exchange, answer: ReceivedAnswer): RegistryResponse {
  const { close, whole } = answer
  const bodyError = (error: unknown) => (signal.aborted ? abortReason(signal) : networkError(facts, error))
  let ended = false
  const end = (error?: unknown): void => {
    if (ended) return
    ended = true
    onEnd(hooks, facts, error === undefined ? undefined : bodyError(error))
  }
  // Of one that was here at once the hooks were told as it came.
  const body = whole ? answer.body : toldBody(hooks, { facts, body: answer.body, pace: bodyPace, end })
  const header = (name: string): string | undefined => {
    const value = answer.headers[name.toLowerCase()]
    // The same said twice is said once.
    return Array.isArray(value) ? [...new Set(value)].join(', ') : value
  }
  try {
    onAnswer(hooks, facts, { status: answer.statusCode, header, at: whole?.headAt, bytes: whole?.bytes })
  } catch (error) {
    close()
    throw error
  }
  if (whole) end(whole.broken)
  return {
    status: answer.statusCode,
    header,
    url: facts.url,
    body,
    bodyError,
    abandon() {
      close()
      end()
    },
    async bytes(limit, tooLong = () => tooLongAnswer(facts, answer.statusCode, limit)) {
      const declared = facts.method === 'HEAD' ? 0 : Number(header('content-length') ?? 0)
      try {
        const bytes = declared > limit ? undefined : await readUpTo(body, limit)
        const plain = bytes && (await decoded(bytes, header('content-encoding'), limit))
        if (plain === undefined) throw tooLong()
        return plain
      } catch (error) {
        close()
        end(error)
        throw bodyError(error)
      }
    },
    async discard() {
      await answer.discard()
      end()
    },
  }
}

/** The whole body, or undefined when it is longer. */
async function readUpTo(body: AsyncIterable<Buffer>, limit: number): Promise<Buffer | undefined> {
  const pieces = new Pieces()
  for await (const chunk of body) {
    pieces.push(chunk)
    if (pieces.bytes > limit) return undefined
  }
  return Buffer.concat(pieces.take())
}

/** The first `limit` bytes as text, for an error; what breaks off gives what came. Closes the body. */
export async function readStart(response: RegistryResponse, limit: number): Promise<string> {
  const pieces = new Pieces()
  try {
    for await (const chunk of response.body) {
      pieces.push(chunk)
      if (pieces.bytes >= limit) break
    }
  } catch {
    // The status is the message; the text was a bonus.
  }
  response.abandon()
  const start = Buffer.concat(pieces.take()).subarray(0, limit)
  return decodedStart(start, response.header('content-encoding'), limit).toString('utf8')
}

function tooLongAnswer(facts: CallFacts, status: number, limit: number): AppError {
  return new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${facts.op}: the answer of ${toldHost(facts)} is longer than ${limit} bytes`,
    { op: facts.op, upstream: { ...upstreamOf(facts), status } },
  )
}
