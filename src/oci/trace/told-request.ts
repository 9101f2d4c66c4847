import type { RecordedRequest, WireExchange, WireRequest, WireTimings } from '../../content/wire-request.ts'
import { problemFields } from '../../lib/problem.ts'
import { toAppError } from '../../lib/errors.ts'
import { type CallFacts, toldText } from '../errors/errors.ts'
import { HIDDEN } from '../errors/mask.ts'
import type { ConnectionUse } from '../request/hooks.ts'
import { cutAddress, ownAddress } from './told-address.ts'
import { answerHeaders, MAX_HEADER, toldRequestHeaders } from './told-headers.ts'

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
  const { url, answer } = toldTexts(draft)
  return {
    startedAt: draft.begun,
    op: facts.op,
    method: facts.method,
    url,
    try: draft.try,
    exchange: draft.exchange,
    ...(draft.shared ? { shared: true } : {}),
    headers: toldRequestHeaders(headers),
    bytes: draft.bytes,
    ...(connection ? { connection: connection.id } : {}),
    timings: timingsOf(draft, endedAt ?? now),
    ...(answer ? { answer } : {}),
    ...(error === undefined ? {} : { error: errorOf(error) }),
    ...(endedAt === undefined ? { open: true } : {}),
  }
}

/** What the far end chose: address and headers. To look for secrets costs less once for all of them than in each. */
function toldTexts(draft: Draft): Pick<WireRequest, 'url' | 'answer'> {
  const { facts, status, header } = draft
  const own = ownAddress(facts)
  const found = header ? answerHeaders(facts, header) : []
  const values = found.map(([, value]) => value)
  const told = withoutSecrets(draft, own === undefined ? [...values, cutAddress(facts.url)] : values)
  const headers = found.map(([name], at) => [name, (told[at] ?? HIDDEN).slice(0, MAX_HEADER)] as const)
  const url = own ?? told[values.length] ?? HIDDEN
  return {
    // Readers of archives want addresses that can be parsed.
    url: URL.canParse(url) ? url.slice(0, MAX_ADDRESS) : `${facts.url.protocol}//${HIDDEN}/`,
    ...(status === undefined ? {} : { answer: { status, headers, bytes: bytesOf(draft) } }),
  }
}

/** Of one that holds the whole state of an upload in its path, say. */
const MAX_ADDRESS = 2000

function bytesOf({ facts, header, read }: Draft): number | null {
  const none = facts.method === 'HEAD' || header?.('content-length') === '0'
  return read ?? (none ? 0 : null)
}

/** Headers and addresses are lines: none has a line end in it. */
function withoutSecrets({ facts, headers }: Draft, texts: readonly string[]): readonly string[] {
  if (texts.length === 0) return []
  const authorization = headers['authorization'] ?? ''
  const value = authorization.slice(authorization.indexOf(' ') + 1)
  // The mask knows the newest tokens; this one may have been forgotten.
  const shown = value === '' || facts.mask.holds(value) ? [] : [value]
  const lines = toldText(facts, texts.join('\n'), shown).split('\n')
  // Where it has to hide a whole text, the others may still be told.
  return lines.length === texts.length ? lines : texts.map((text) => toldText(facts, text, shown))
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
