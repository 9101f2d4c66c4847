import type {
  RecordedRequest,
  WireExchange,
  WireHeaders,
  WireRequest,
  WireTimings,
} from '../../content/wire-request.ts'
import { problemFields } from '../../lib/problem.ts'
import { toAppError } from '../../lib/errors.ts'
import type { CallFacts } from '../errors/errors.ts'
import type { ConnectionUse } from '../request/hooks.ts'
import { toldAnswerHeaders, toldRequestHeaders, shownIn } from './told-headers.ts'
import { toldAddress } from './told-address.ts'

/** What is kept of a request until somebody wants it told. Moments are performance.now(). */
export interface Draft extends RecordedRequest {
  readonly facts: CallFacts
  readonly exchange: WireExchange
  readonly headers: Readonly<Record<string, string>>
  readonly shared: boolean
  readonly try: number
  /** ms since the epoch. */
  readonly begun: number
  readonly begunAt: number
  /** Its body is sent as it comes. */
  readonly streams: boolean
  /** Of its body. */
  bytes: number
  connection?: ConnectionUse
  /** Its head was. */
  writtenAt?: number
  /** The last of its body was. */
  sentAt?: number
  answeredAt?: number
  status?: number
  header?: (name: string) => string | undefined
  /** Bytes of the answer's body that were read. */
  read?: number
  endedAt?: number
  error?: unknown
}

/** `now`: performance.now(); how far one has come that is under way. */
export function toldRequest(draft: Draft, now: number): WireRequest {
  const { facts, headers, connection, endedAt, error } = draft
  const shown = shownIn(headers)
  return {
    startedAt: draft.begun,
    op: facts.op,
    method: facts.method,
    url: toldAddress(facts, facts.url, shown),
    try: draft.try,
    exchange: draft.exchange,
    ...(draft.shared ? { shared: true } : {}),
    headers: toldRequestHeaders(headers),
    bytes: draft.bytes,
    ...(connection ? { connection: connection.id } : {}),
    timings: timingsOf(draft, endedAt ?? now),
    ...answerOf(draft, shown),
    ...(error === undefined ? {} : { error: errorOf(error) }),
    ...(endedAt === undefined ? { open: true } : {}),
  }
}

function answerOf(draft: Draft, shown: readonly string[]): Pick<WireRequest, 'answer'> {
  const { facts, status, header } = draft
  if (status === undefined || header === undefined) return {}
  const headers: WireHeaders = toldAnswerHeaders(facts, header, shown)
  const none = facts.method === 'HEAD' || header('content-length') === '0'
  return { answer: { status, headers, bytes: draft.read ?? (none ? 0 : null) } }
}

/** The texts of our own errors have no secrets; what is no error of ours may have anything. */
function errorOf(error: unknown): { code: string; message: string } {
  const { code, detail } = problemFields(toAppError(error), 'something went wrong inside layerd; its log has it')
  return { code, message: detail }
}

function timingsOf(draft: Draft, end: number): WireTimings {
  const { begunAt, writtenAt, answeredAt, streams } = draft
  if (writtenAt === undefined) return { ...NOTHING, blocked: end - begunAt }
  const made = madeFor(draft)
  const connect = made ? made.tcp + (made.tls ?? 0) : -1
  const dns = made?.dns ?? -1
  const answered = answeredAt ?? end
  // Small bodies are gathered before there is a connection, and some answers come before all was sent.
  const sent = streams ? Math.min(Math.max(draft.sentAt ?? answered, writtenAt), answered) : writtenAt
  return {
    blocked: Math.max(0, writtenAt - begunAt - Math.max(0, connect) - Math.max(0, dns)),
    dns,
    connect,
    ssl: made?.tls ?? -1,
    send: sent - writtenAt,
    wait: Math.max(0, answered - sent),
    receive: answeredAt === undefined ? 0 : end - answeredAt,
  }
}

const NOTHING: WireTimings = { blocked: -1, dns: -1, connect: -1, ssl: -1, send: 0, wait: 0, receive: 0 }

/** The making of the connection, where it was made for this request: one may have been made for another that has gone. */
function madeFor({ connection, begunAt }: Draft): ConnectionUse['made'] {
  return connection?.made && connection.made.startedAt >= begunAt ? connection.made : undefined
}
