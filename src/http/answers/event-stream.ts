import type { FastifyReply } from 'fastify'
import { type Framing, ndjsonFraming, sseFraming } from '../events/sse.ts'
import { chooseMediaType } from './accept.ts'

const FRAMINGS: Readonly<Record<string, Framing>> = {
  'text/event-stream': sseFraming,
  'application/x-ndjson': ndjsonFraming,
}

/** How a caller wants a stream; undefined: it wants one JSON page. */
export function framingOf(accept: string | undefined): Framing | undefined {
  return FRAMINGS[chooseMediaType(accept, [...Object.keys(FRAMINGS), 'application/json']) ?? '']
}

/** From here on the stream is written to the socket itself: Fastify's reply knows no back-pressure of many events. */
export function takeOver(reply: FastifyReply, framing: Framing): FastifyReply {
  reply.hijack()
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': framing.contentType,
    // nginx would collect events until its buffer is full.
    'x-accel-buffering': 'no',
    // A kept-alive connection would hold up the shutdown after the stream has ended.
    connection: 'close',
  })
  return reply
}
