import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Answer, RecordedRequest } from './exchange.ts'

export interface FaultMatch {
  method?: string
  /** Tested against path and query as they were sent. */
  path?: RegExp
  /** One that brings bytes. */
  withBody?: boolean
  /** Which of the matching requests, counted from 1 and from the call of `fail`. Default 1. */
  nth?: number
  /** How many in a row. Default 1. */
  times?: number
}

export type Fault =
  /** Answers this, after the body was read; with `early`, without reading it. */
  | ({ kind: 'answer'; early?: boolean } & Answer)
  /** Resets the connection when this many bytes of the body have arrived; they count as received. */
  | { kind: 'cut-request'; afterBytes: number }
  /** Answers this when this many bytes of the body have arrived, which count as received, and closes the connection. */
  | ({ kind: 'refuse-request'; afterBytes: number } & Answer)
  /** Takes no more once this many bytes of the body have arrived; they count as received when the client gives up. */
  | { kind: 'stall-request'; afterBytes: number }
  /** Closes the connection when this many bytes of the answer's body were sent; all of them arrive. */
  | { kind: 'cut-response'; afterBytes: number }
  /** Sends this many bytes of the answer's body, and of the rest one each time, for as long as somebody listens. */
  | { kind: 'drip'; afterBytes: number; everyMs: number }
  /** Does what was asked and resets the connection in place of the answer. */
  | { kind: 'lose-answer' }
  /** Waits before it does what was asked. */
  | { kind: 'hold'; until: Promise<unknown> }

const BOUNDED: ReadonlySet<Fault['kind']> = new Set(['cut-request', 'refuse-request', 'stall-request'])

export interface FaultRule {
  readonly match: FaultMatch
  readonly fault: Fault
  seen: number
}

/** The first rule that is due for this request; every rule that matches counts it. */
export function findFault(rules: readonly FaultRule[], request: RecordedRequest): Fault | undefined {
  let due: Fault | undefined
  const target = `${request.path}${request.query.size > 0 ? `?${request.query.toString()}` : ''}`
  for (const rule of rules) {
    const { method, path, withBody, nth = 1, times = 1 } = rule.match
    if (withBody === true && !bringsBytes(request)) continue
    if (method !== undefined && method !== request.method) continue
    if (path !== undefined && !path.test(target)) continue
    rule.seen += 1
    if (rule.seen >= nth && rule.seen < nth + times) due ??= rule.fault
  }
  return due
}

function bringsBytes({ method, headers }: RecordedRequest): boolean {
  return (method === 'PATCH' || method === 'PUT') && headers['content-length'] !== '0'
}

export interface FaultyExchange {
  /** The request's body; may be iterated again after its end. Throws where the fault cuts it. */
  readonly body: AsyncIterable<Buffer>
  answer(answer: Answer): void
}

/** One exchange as the fault lets it happen; without one, as it is. */
export function throughFault(
  fault: Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  record: RecordedRequest,
): FaultyExchange {
  const body = async function* (): AsyncGenerator<Buffer> {
    if (request.readableEnded) return
    for await (const chunk of request as AsyncIterable<Buffer>) {
      const limit = fault && BOUNDED.has(fault.kind) && 'afterBytes' in fault ? fault.afterBytes : Infinity
      const left = limit - record.bodyBytes
      const taken = chunk.length > left ? chunk.subarray(0, left) : chunk
      record.bodyBytes += taken.length
      yield taken
      if (taken.length === left) {
        if (fault?.kind === 'stall-request') await closed(request.socket)
        if (fault?.kind === 'refuse-request') {
          record.status = fault.status
          send({ ...fault, headers: { ...fault.headers, connection: 'close' } }, fault, record, response)
        } else request.socket.resetAndDestroy()
        throw new Error('the connection was cut on purpose')
      }
    }
  }
  return {
    body: { [Symbol.asyncIterator]: body },
    answer: (answer) => {
      if (request.socket.destroyed) return
      if (fault?.kind === 'lose-answer') {
        request.socket.resetAndDestroy()
        return
      }
      record.status = answer.status
      send(answer, fault, record, response)
    },
  }
}

function send(answer: Answer, fault: Fault | undefined, record: RecordedRequest, response: ServerResponse): void {
  const bytes = typeof answer.body === 'string' ? Buffer.from(answer.body) : (answer.body ?? Buffer.alloc(0))
  response.writeHead(answer.status, {
    ...(answer.status === 204 ? {} : { 'content-length': String(bytes.length) }),
    'docker-distribution-api-version': 'registry/2.0',
    ...answer.headers,
  })
  if (record.method === 'HEAD') return void response.end()
  if (fault?.kind === 'drip') return drip(response, bytes, fault)
  if (fault?.kind !== 'cut-response') return void response.end(bytes)
  // A reset would take along what the client has not read yet, which is a matter of luck.
  response.write(bytes.subarray(0, fault.afterBytes), () => response.socket?.destroy())
}

function drip(response: ServerResponse, bytes: Buffer, fault: { afterBytes: number; everyMs: number }): void {
  let sent = Math.min(fault.afterBytes, bytes.length - 1)
  response.write(bytes.subarray(0, sent))
  const timer = setInterval(() => {
    if (sent < bytes.length - 1) response.write(bytes.subarray(sent, (sent += 1)))
  }, fault.everyMs)
  response.once('close', () => clearInterval(timer))
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
}
