import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireUnlimited } from '../../access/limits.ts'
import { getMetricsSchema } from '../schemas/health.ts'

/** Figures for Prometheus, and who is told what to count. */
export interface ApiObserver {
  /** The text of all figures, and its media type. */
  readonly exposition: () => Promise<{ text: string; type: string }>
  readonly onAnswered: (answer: { route: string; method: string; status: number; seconds: number }) => void
  /** How many streams of events are open is asked for when it is read. */
  readonly watchStreams: (count: () => number) => void
}

export interface MetricsOptions {
  observer?: ApiObserver | undefined
}

export const metricsRoutes: FastifyPluginAsyncTypebox<MetricsOptions> = async (app, { observer }) => {
  app.get('/metrics', { schema: getMetricsSchema, config: { scope: ['system:read'] } }, async (request, reply) => {
    requireUnlimited(request.caller, 'the figures, which are of all registries')
    const { text, type } = (await observer?.exposition()) ?? { text: '', type: 'text/plain' }
    return reply.type(type).header('cache-control', 'no-store').send(text)
  })
}
