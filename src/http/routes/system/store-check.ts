import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireUnlimited } from '../../../access/limits.ts'
import type { JobQueue } from '../../../jobs/queue.ts'
import type { StoreCheckRecords } from '../../../jobs/system/store-check-records.ts'
import type { Logger } from '../../../lib/logger.ts'
import type { ContentStore } from '../../../store/content-store.ts'
import {
  getStoreCheckSchema,
  startStoreCheckSchema,
  stopStoreCheckSchema,
  type StoreCheck,
} from '../../schemas/system/store-check.ts'
import { createStoreChecks } from '../../system/store-checks.ts'

export interface StoreCheckRoutesOptions {
  queue: Pick<JobQueue, 'storeChecks'>
  store: Pick<ContentStore, 'check'>
  logger: Logger
  closing: AbortSignal
}

const READ = { scope: ['system:read'] } as const
const ADMIN = { scope: ['system:admin'] } as const
const WHAT = 'the store, which is of all registries'

/** The check of the store. */
export const storeCheckRoutes: FastifyPluginAsyncTypebox<StoreCheckRoutesOptions> = async (app, options) => {
  const records = options.queue.storeChecks as StoreCheckRecords<StoreCheck>
  const checks = createStoreChecks({ ...options, records })

  app.get('/v1/system/store-check', { schema: getStoreCheckSchema, config: READ }, async (request, reply) => {
    requireUnlimited(request.caller, WHAT)
    return reply.header('cache-control', 'no-cache').send(await checks.last())
  })

  app.post('/v1/system/store-check', { schema: startStoreCheckSchema, config: ADMIN }, async (request, reply) => {
    requireUnlimited(request.caller, WHAT)
    return reply.code(202).send(await checks.start(request.caller.name))
  })

  app.post('/v1/system/store-check/stop', { schema: stopStoreCheckSchema, config: ADMIN }, async (request, reply) => {
    requireUnlimited(request.caller, WHAT)
    return reply.send(await checks.stop())
  })
}
