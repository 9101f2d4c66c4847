import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static } from 'typebox'
import { requireUnlimited } from '../../../access/limits.ts'
import type { JobQueue } from '../../../jobs/queue.ts'
import type { WhyNoRedis } from '../../../jobs/redis/redis.ts'
import { NO_REDIS_FACTS } from '../../../jobs/system/redis-facts.ts'
import { isAppError } from '../../../lib/errors.ts'
import { createSingleFlight } from '../../../lib/single-flight.ts'
import type { ContentStore, Space } from '../../../store/content-store.ts'
import { getSystemSchema, listSettingsSchema, type Setting, type System } from '../../schemas/system/system.ts'

/** What a role knows of itself. */
export interface SystemFacts {
  readonly settings: ReadonlyArray<Static<typeof Setting>>
  /** LAYERD_STORE_MAX_BYTES. */
  readonly storeMaxBytes?: number | undefined
  /** Where Redis listens, without credentials. Undefined: it is layerd's own. */
  readonly redisAddress?: string | undefined
}

export interface SystemRoutesOptions {
  queue: Pick<JobQueue, 'redisFacts' | 'trouble'>
  store: Pick<ContentStore, 'space'>
  whyNoRedis?: WhyNoRedis | undefined
  system: SystemFacts
}

type Measured = Space & { readonly promisedBytes: number }

const READ = { scope: ['system:read'] } as const
/** All files of the store are looked at for it. */
const MEASURE_MS = 5000
const REDIS_ANSWERS_WITHIN_MS = 2000

/** The store, Redis and the settings: of all registries, so who is limited sees none of it. */
export const systemRoutes: FastifyPluginAsyncTypebox<SystemRoutesOptions> = async (app, options) => {
  const { settings } = options.system
  const measure = measuring(options.store)

  app.get('/v1/system', { schema: getSystemSchema, config: READ }, async (request, reply) => {
    requireUnlimited(request.caller, 'the store and Redis, which are of all registries')
    const [space, redis] = await Promise.all([measure(), redisOf(options)])
    void reply.header('cache-control', 'no-cache')
    return reply.send({ store: toldStore(space, options.system), redis })
  })

  app.get('/v1/system/settings', { schema: listSettingsSchema, config: READ }, async (request, reply) => {
    requireUnlimited(request.caller, 'the settings, which are of all registries')
    return reply.header('cache-control', 'no-cache').send({ items: [...settings] })
  })
}

/** As it was within the last five seconds; who asks at once shares one look. */
function measuring(store: Pick<ContentStore, 'space'>): () => Promise<Measured> {
  const looks = createSingleFlight<Measured>()
  let last: { readonly at: number; readonly space: Measured } | undefined
  return async () => {
    if (last && performance.now() - last.at < MEASURE_MS) return last.space
    return await looks.run('space', async () => {
      const space = await store.space()
      last = { at: performance.now(), space }
      return space
    })
  }
}

function toldStore(
  { usedBytes, promisedBytes, freeBytes, totalBytes, reserveBytes, low }: Measured,
  { storeMaxBytes }: Pick<SystemFacts, 'storeMaxBytes'>,
): System['store'] {
  return {
    usedBytes,
    limitBytes: storeMaxBytes ?? null,
    promisedBytes,
    disk: { freeBytes, totalBytes, reserveBytes, low },
  }
}

async function redisOf({ queue, whyNoRedis, system }: SystemRoutesOptions): Promise<System['redis']> {
  const { redisAddress: address = null } = system
  const asked = queue.redisFacts().catch((error: unknown) => {
    if (isAppError(error) && error.code === 'QUEUE_UNAVAILABLE') return undefined
    throw error
  })
  const [trouble, facts] = await Promise.all([queue.trouble(REDIS_ANSWERS_WITHIN_MS), asked])
  const told = trouble === undefined ? null : ((await whyNoRedis?.())?.detail ?? trouble)
  return { ...NO_REDIS_FACTS, ...facts, reachable: facts !== undefined, trouble: told, own: address === null, address }
}
