import type { IncomingHttpHeaders } from 'node:http'

export interface Answer {
  status: number
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

/** Who is asked: the registry itself, its token service, or the storage that it sends to. */
export type Origin = 'registry' | 'auth' | 'storage'

export interface RecordedRequest {
  readonly origin: Origin
  readonly method: string
  /** Path without query. */
  readonly path: string
  /** Path and query as they were sent. */
  readonly target: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Bytes of the request's body that arrived. */
  bodyBytes: number
  /** Of the answer; undefined while it is being handled or when there was none. */
  status: number | undefined
}

/** A refusal as data, in the manner of its registry. `<t>` and `<r>` in the message are the tag and the repository. */
export interface Refusal {
  readonly status: number
  /** Default: the spec's errors with this code; without one, nothing. */
  readonly style?: 'oci' | 'jfrog' | 'text' | 'html'
  readonly code?: string
  readonly message?: string
  readonly detail?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** One request under way. */
export interface Exchange {
  readonly record: RecordedRequest
  readonly url: URL
  readonly body: AsyncIterable<Buffer>
  /** Resets the connection. */
  reset(): void
}

const JSON_TYPE = { 'content-type': 'application/json' }

/** Source: OCI distribution-spec v1.1.1 "Error Codes". */
export function errorAnswer(status: number, code: string, message: string, detail?: unknown): Answer {
  return {
    status,
    headers: JSON_TYPE,
    body: JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }),
  }
}

export function refusalAnswer(refusal: Refusal, words: Readonly<Record<string, string>> = {}): Answer {
  const { status, style = refusal.code === undefined ? 'text' : 'oci', headers } = refusal
  const message = Object.entries(words).reduce(
    (text, [name, word]) => text.replaceAll(`<${name}>`, word),
    refusal.message ?? '',
  )
  const answer = bodyOf(refusal, style, message)
  return { ...answer, status, headers: { ...answer.headers, ...headers } }
}

function bodyOf(refusal: Refusal, style: string, message: string): Answer {
  const { status, code = '', detail } = refusal
  if (style === 'oci') return errorAnswer(status, code, message, detail)
  if (style === 'jfrog') return { status, headers: JSON_TYPE, body: JSON.stringify({ errors: [{ status, message }] }) }
  const page = `<html><head><title>${message}</title></head><body><center><h1>${message}</h1></center></body></html>`
  if (style === 'html') return { status, headers: { 'content-type': 'text/html' }, body: page }
  return message === '' ? { status } : { status, headers: { 'content-type': 'text/plain' }, body: message }
}

export async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
