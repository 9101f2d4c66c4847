import { createServer, type IncomingMessage, request as forward, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from './listening.ts'
import type { Answer, RecordedRequest } from '../registries/kit/exchange.ts'
import { type FaultMatch, type FaultRule, findFault } from '../registries/kit/faults.ts'

export interface ProxiedRequest extends RecordedRequest {
  /** When it came, ms since the epoch. */
  readonly at: number
  /** What it was answered here, if it was. */
  answered: Answer | undefined
}

export interface AnsweringProxy {
  /** 127.0.0.1:PORT, to be named in place of the target. */
  readonly host: string
  readonly requests: ProxiedRequest[]
  /** Answers the next request that matches (the `nth`, `times` in a row) in place of the target. */
  answer(match: FaultMatch, answer: Answer): void
}

/** An HTTP proxy on a free loopback port before a real server (`host:port`), as a gateway that is overloaded at times. */
export async function startAnsweringProxy(t: Cleanup, target: string): Promise<AnsweringProxy> {
  const requests: ProxiedRequest[] = []
  const rules: FaultRule[] = []

  const pass = async (request: IncomingMessage, response: ServerResponse, record: ProxiedRequest): Promise<void> => {
    const { method, url, headers } = request
    const upstream = forward(`http://${target}${url ?? '/'}`, { method: method ?? 'GET', headers })
    const answered = new Promise<IncomingMessage>((resolve, reject) =>
      upstream.on('response', resolve).on('error', reject),
    )
    await Promise.all([
      pipeline(request, upstream),
      answered.then((answer) => {
        record.status = answer.statusCode
        return pipeline(answer, response.writeHead(answer.statusCode ?? 502, answer.headers))
      }),
    ])
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${target}`)
    const { method = '', headers } = request
    const asked = {
      origin: 'registry',
      method,
      path: url.pathname,
      target: request.url ?? '/',
      query: url.searchParams,
      headers,
    } as const
    const record: ProxiedRequest = { ...asked, bodyBytes: 0, status: undefined, at: Date.now(), answered: undefined }
    requests.push(record)
    const fault = findFault(rules, record)
    if (fault?.kind !== 'answer') {
      pass(request, response, record).catch(() => response.destroy())
      return
    }
    record.status = fault.status
    record.answered = fault
    // The body is read to its end, as gateways do that buffer it.
    request.resume().once('end', () => response.writeHead(fault.status, fault.headers).end(fault.body))
  })
  const host = await listenOnLoopback(t, server)
  return {
    host,
    requests,
    answer: (match, answer) => void rules.push({ match, fault: { kind: 'answer', ...answer }, seen: 0 }),
  }
}
