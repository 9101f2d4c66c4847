import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static } from 'typebox'
import type { JobQueue } from '../../jobs/queue.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import type { WhyNoRedis } from '../../jobs/redis/redis.ts'
import { getLivenessSchema, getReadinessSchema, getVersionSchema, type Readiness } from '../schemas/health.ts'

/** A readiness probe that waits longer than this is as good as failed. */
const REDIS_ANSWERS_WITHIN_MS = 2000

export interface HealthOptions {
  queue: Pick<JobQueue, 'trouble' | 'liveWorkers'>
  whyNoRedis?: WhyNoRedis | undefined
  store: Pick<ContentStore, 'disk'>
  version: string
  /** In the all-in-one role being ready means that a worker takes jobs, too. */
  allInOne: boolean
  closing: AbortSignal
  /** AppOptions. */
  joined: () => boolean
}

type Reason = Static<typeof Readiness>['reasons'][number]
type DiskState = Static<typeof Readiness>['disk']

export const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, options) => {
  const { version } = options

  app.get('/livez', { schema: getLivenessSchema }, async () => ({ live: true as const }))

  app.get('/readyz', { schema: getReadinessSchema }, async (_request, reply) => {
    const [reasons, disk] = await Promise.all([findReasons(options), diskState(options.store)])
    void reply.header('cache-control', 'no-store')
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons, disk })
  })

  app.get('/version', { schema: getVersionSchema }, async () => ({
    name: 'layerd' as const,
    version,
    node: process.versions.node,
  }))
}

async function findReasons(options: HealthOptions): Promise<Reason[]> {
  if (options.closing.aborted) return [{ check: 'closing', detail: 'layerd is shutting down' }]
  const trouble = options.joined()
    ? await options.queue.trouble(REDIS_ANSWERS_WITHIN_MS)
    : 'layerd is starting and waits for Redis'
  if (trouble !== undefined) {
    const why = await options.whyNoRedis?.()
    return [{ check: 'redis', detail: why?.detail ?? trouble }]
  }
  if (!options.allInOne) return []
  const workers = await options.queue.liveWorkers().catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'QUEUE_UNAVAILABLE') return 0
    throw error
  })
  return workers > 0 ? [] : [{ check: 'workers', detail: 'no worker takes jobs yet' }]
}

/** A disk that runs low keeps nobody out: who could delete something has to get in. */
async function diskState(store: HealthOptions['store']): Promise<DiskState> {
  return store.disk().then(
    ({ low }) => (low ? 'low' : 'ok'),
    () => 'unknown',
  )
}
