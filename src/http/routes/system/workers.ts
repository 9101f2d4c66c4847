import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isLimited } from '../../../access/limits.ts'
import type { Principal } from '../../../access/principal.ts'
import type { JobQueue } from '../../../jobs/queue.ts'
import type { KeptWorker } from '../../../jobs/system/worker-records.ts'
import { AppError } from '../../../lib/errors.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import {
  drainWorkerSchema,
  getWorkerSchema,
  listWorkersSchema,
  resumeWorkerSchema,
} from '../../schemas/system/worker.ts'
import { toldWorker, workerPage } from '../../system/worker-list.ts'

export interface WorkerRoutesOptions {
  queue: Pick<JobQueue, 'workers'>
}

const READ = { scope: ['system:read'] } as const
const ADMIN = { scope: ['system:admin'] } as const

/** The processes that run jobs. They belong to no registry, so who is limited sees none. */
export const workerRoutes: FastifyPluginAsyncTypebox<WorkerRoutesOptions> = async (app, { queue: { workers } }) => {
  app.get('/v1/workers', { schema: listWorkersSchema, config: READ }, async (request, reply) => {
    const seen = isLimited(request.caller.limits) ? [] : await workers.all()
    return sendPage(reply, request.url, workerPage(seen, pageFrom(request.query)))
  })

  app.get('/v1/workers/:id', { schema: getWorkerSchema, config: READ }, async (request, reply) => {
    const worker = await seenBy(request.caller, request.params.id, (id) => workers.get(id))
    return reply.header('cache-control', 'no-cache').send(toldWorker(worker))
  })

  app.post('/v1/workers/:id/drain', { schema: drainWorkerSchema, config: ADMIN }, async (request, reply) => {
    const handOver = request.body?.handOver === true
    request.audited = { handOver: String(handOver) }
    const worker = await seenBy(request.caller, request.params.id, (id) => workers.drain(id, { handOver }))
    request.log.info({ principal: request.caller.name, of: worker.id, handOver }, 'worker is to be drained')
    return reply.send(toldWorker(worker))
  })

  app.post('/v1/workers/:id/resume', { schema: resumeWorkerSchema, config: ADMIN }, async (request, reply) => {
    const worker = await seenBy(request.caller, request.params.id, (id) => workers.resume(id))
    request.log.info({ principal: request.caller.name, of: worker.id }, 'worker is to take jobs again')
    return reply.send(toldWorker(worker))
  })
}

/** The worker that `found` answers. Throws NOT_FOUND where there is none, or the caller may see none. */
async function seenBy(
  { limits }: Principal,
  id: string,
  found: (id: string) => Promise<KeptWorker | undefined>,
): Promise<KeptWorker> {
  const worker = isLimited(limits) ? undefined : await found(id)
  if (worker) return worker
  throw new AppError('NOT_FOUND', `there is no worker ${id.slice(0, 128)}`, {
    hint: 'GET /v1/workers (layerd workers) lists those that there are.',
  })
}
