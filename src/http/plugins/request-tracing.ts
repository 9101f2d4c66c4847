import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { isOpen } from '../requests/open-paths.ts'

export interface RequestSpan {
  /** For what the request begins. */
  readonly traceparent: string
  end(status: number): void
}

/** Traces requests: `proceed` runs within the span. */
export type RequestTracer = (
  request: { method: string; route: string; traceparent: string | undefined },
  proceed: (span: RequestSpan) => void,
) => void

/** A span for each request but those of probes. */
export const requestTracingPlugin = fastifyPlugin(
  async (app: FastifyInstance, { tracer }: { tracer: RequestTracer | undefined }) => {
    if (!tracer) return
    const spans = new WeakMap<object, RequestSpan>()
    app.addHook('onRequest', (request, _reply, done) => {
      const route = request.routeOptions.url
      if (route === undefined || isOpen(route)) return done()
      const { method, traceparent } = request
      return tracer({ method, route, traceparent }, (span) => {
        spans.set(request, span)
        request.traceparent = span.traceparent
        done()
      })
    })
    app.addHook('onResponse', async (request, reply) => spans.get(request)?.end(reply.statusCode))
  },
  { name: 'request-tracing', fastify: '5.x' },
)
