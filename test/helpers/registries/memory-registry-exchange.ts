import type { IncomingHttpHeaders } from 'node:http'

export interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string | Buffer
}

export interface RecordedRequest {
  readonly method: string
  /** Path without query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Bytes of the request's body that arrived. */
  bodyBytes: number
  /** Of the answer; undefined while it is being handled or when there was none. */
  status: number | undefined
}

/** Source: OCI distribution-spec v1.1.1 "Error Codes". */
export function errorAnswer(status: number, code: string, message: string, detail?: unknown): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }),
  }
}

export async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
