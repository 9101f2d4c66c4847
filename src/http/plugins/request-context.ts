import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'
import { readTraceparent } from '../requests/trace-context.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What a job that it makes belongs to: the caller's, or ours below it where traces are kept. W3C Trace Context. */
    traceparent: string | undefined
  }
}

/** Visible ASCII alone, so that an id can stand in a log line and a header without being able to forge another. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/

/** The caller's X-Request-Id where it is one, else a new one. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

export interface RequestContextOptions {
  closing: AbortSignal
  /** Told of each answer, after its end. */
  onAnswered?: ((answer: { route: string; method: string; status: number; seconds: number }) => void) | undefined
}

/**
 * X-Request-Id on each answer, one debug line a request, and an orderly end: once `closing` has aborted, requests that
 * still come in over kept-alive connections get a 503 with the reason instead of Fastify's bare JSON.
 */
export const requestContextPlugin = fastifyPlugin(
  async (app: FastifyInstance, options: RequestContextOptions) => {
    app.decorateRequest('traceparent', undefined)
    app.addHook('onRequest', async (request, reply) => {
      request.traceparent = readTraceparent(request.headers.traceparent)
      void reply.header('x-request-id', request.id)
      // No answer is taken for another type than it says. Source: Fetch standard "X-Content-Type-Options".
      void reply.header('x-content-type-options', 'nosniff')
      if (!options.closing.aborted) return
      throw new AppError('SHUTTING_DOWN', 'layerd is shutting down and takes no more requests', {
        hint: 'Try again in a moment; accepted jobs are kept.',
      })
    })
    // Also what was under way when the end began: a connection kept alive would hold it up.
    app.addHook('onSend', async (_request, reply) => {
      if (options.closing.aborted) void reply.header('connection', 'close')
    })
    app.addHook('onResponse', async (request, reply) => {
      const { method, routeOptions } = request
      const route = routeOptions.url ?? 'none'
      options.onAnswered?.({ route, method, status: reply.statusCode, seconds: reply.elapsedTime / 1000 })
      request.log.debug(
        { method, route: routeOptions.url, status: reply.statusCode, ms: reply.elapsedTime },
        'answered',
      )
      // Its head went out before the end began, without a word of closing: the client would keep it, and hold up the end.
      if (options.closing.aborted) request.socket.end()
    })
  },
  { name: 'request-context', fastify: '5.x' },
)
