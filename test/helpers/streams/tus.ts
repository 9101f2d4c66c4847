import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http'
import { text } from 'node:stream/consumers'
import type { Problem } from '../../../src/jobs/model/definitions.ts'

export interface TusAnswer {
  status: number
  headers: IncomingHttpHeaders
  /** The problem's, where it is one. */
  code: string | undefined
  problem: Problem | undefined
}

export interface TusRequest {
  readonly request: ClientRequest
  readonly answer: Promise<TusAnswer>
}

type Headers = OutgoingHttpHeaders

/** A client of tus that does as it is told, be it against the protocol. */
export interface TusClient {
  /** Undefined as a header leaves it out. */
  ask(method: string, path: string, headers?: Headers, body?: Buffer | string): Promise<TusAnswer>
  /** The path of a new upload. */
  create(name: string, length: number, headers?: Headers): Promise<string>
  patch(path: string, offset: number, body: Buffer, headers?: Headers): Promise<TusAnswer>
  head(path: string): Promise<TusAnswer>
  /** A PATCH whose body is sent by hand. */
  open(path: string, offset: number, headers?: Headers): TusRequest
}

async function read(response: IncomingMessage): Promise<TusAnswer> {
  const { statusCode: status = 0, headers } = response
  const body = await text(response)
  const problem = /problem/.test(headers['content-type'] ?? '') && body ? (JSON.parse(body) as Problem) : undefined
  return { status, headers, code: problem?.code, problem }
}

export function tusClient(base: string, token?: string): TusClient {
  const common = { 'tus-resumable': '1.0.0', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
  const bytes = { 'content-type': 'application/offset+octet-stream' }
  const start = (method: string, path: string, headers: Headers): TusRequest => {
    const given = Object.entries({ ...common, ...headers }).filter(([, value]) => value !== undefined)
    const request = httpRequest(new URL(path, base), {
      method,
      agent: false,
      headers: Object.fromEntries(given),
    })
    const answer = new Promise<TusAnswer>((resolve, reject) => {
      request.on('error', reject)
      request.on('response', (response) => resolve(read(response)))
    })
    answer.catch(() => undefined)
    return { request, answer }
  }
  const ask: TusClient['ask'] = (method, path, headers = {}, body) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const { request, answer } = start(method, path, { ...length, ...headers })
    request.end(body)
    return answer
  }
  return {
    ask,
    async create(name, length, headers) {
      const metadata = `filename ${Buffer.from(name).toString('base64')}`
      const made = await ask('POST', '/v1/uploads', {
        'upload-length': length,
        'upload-metadata': metadata,
        ...headers,
      })
      if (made.status !== 201) throw new Error(`${made.status} ${made.code} ${made.problem?.detail}`)
      return made.headers.location ?? ''
    },
    patch: (path, offset, body, headers) => ask('PATCH', path, { ...bytes, 'upload-offset': offset, ...headers }, body),
    head: (path) => ask('HEAD', path),
    open: (path, offset, headers) => start('PATCH', path, { ...bytes, 'upload-offset': offset, ...headers }),
  }
}
