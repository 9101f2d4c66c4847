import type { WireRequest } from '../../src/content/wire-request.ts'

/** A request without an answer, as a trace holds it. `startedAt`: ms since the epoch. */
export function wireRequest(startedAt: number, op = 'look'): WireRequest {
  return {
    startedAt,
    op,
    method: 'GET',
    url: 'http://registry.example/v2/',
    try: 1,
    exchange: 'small',
    headers: [],
    bytes: 0,
    timings: { blocked: 0, dns: -1, connect: -1, ssl: -1, send: 0, wait: 0, receive: 0 },
  }
}
