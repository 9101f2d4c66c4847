import { STATUS_CODES } from 'node:http'
import type { WireHeaders, WireTimings } from '../../content/wire-request.ts'
import type { TracedRequest } from '../../jobs/progress/trace.ts'
import type { HarEntry } from '../schemas/har.ts'

const HTTP = 'HTTP/1.1'

/**
 * A request as HTTP Archive has it; what it has no place for is in members that begin with _, of which Chromium's importer
 * knows three. Source: HAR 1.2 Spec; front_end/models/har of Chromium's developer tools.
 */
export function harEntry(request: TracedRequest): HarEntry {
  const { timings, answer, error, connection } = request
  return {
    startedDateTime: new Date(request.startedAt).toISOString(),
    time: timeOf(timings),
    request: {
      method: request.method,
      url: request.url,
      httpVersion: HTTP,
      cookies: [],
      headers: pairs(request.headers),
      queryString: pairs([...(URL.parse(request.url)?.searchParams ?? [])]),
      headersSize: -1,
      bodySize: request.bytes,
    },
    response: {
      ...responseOf(answer),
      ...(error ? { _error: `${error.code}: ${error.message}` } : {}),
    },
    cache: {},
    timings: { ...timings },
    ...(connection === undefined ? {} : { connection: String(connection), _connectionId: String(connection) }),
    _resourceType: 'fetch',
    comment: `${request.op}, run ${request.attempt}, try ${request.try}`,
    _op: request.op,
    _attempt: request.attempt,
    _try: request.try,
    _exchange: request.exchange,
    ...(request.shared ? { _shared: true } : {}),
    ...(request.open ? { _open: true } : {}),
    ...(error ? { _error: { ...error } } : {}),
  }
}

function responseOf(answer: TracedRequest['answer']): HarEntry['response'] {
  const { status = 0, headers = [], bytes = null } = answer ?? {}
  const header = (name: string) => headers.find((pair) => pair[0] === name)?.[1] ?? ''
  return {
    status,
    statusText: STATUS_CODES[status] ?? '',
    httpVersion: HTTP,
    cookies: [],
    headers: pairs(headers),
    content: { size: bytes ?? 0, mimeType: header('content-type') || 'x-unknown' },
    redirectURL: header('location'),
    headersSize: -1,
    bodySize: bytes ?? -1,
    _transferSize: bytes ?? 0,
  }
}

function pairs(list: WireHeaders): Array<{ name: string; value: string }> {
  return list.map(([name, value]) => ({ name, value }))
}

/** TLS is part of connect. */
function timeOf({ ssl: _part, ...timings }: WireTimings): number {
  return Object.values(timings).reduce((sum, ms) => sum + Math.max(0, ms), 0)
}
