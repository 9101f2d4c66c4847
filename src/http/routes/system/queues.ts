import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireAllBelow, requireUnlimited } from '../../../access/limits.ts'
import type { Principal } from '../../../access/principal.ts'
import { allowsQueue } from '../../../jobs/model/places.ts'
import { LOCAL_QUEUE } from '../../../jobs/model/requests.ts'
import type { QueueFigures } from '../../../jobs/system/queues.ts'
import { AppError } from '../../../lib/errors.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { at } from '../../requests/package-reference.ts'
import { queueNamed } from '../../requests/registry-named.ts'
import { getQueueSchema, listQueuesSchema, pauseQueueSchema, resumeQueueSchema } from '../../schemas/system/queue.ts'
import { queueToken, type QueueSources, toldQueues } from '../../system/queue-list.ts'

export type QueueRoutesOptions = QueueSources

const READ = { scope: ['system:read'] } as const
const ADMIN = { scope: ['system:admin'] } as const

/** The queues of registries. */
export const queueRoutes: FastifyPluginAsyncTypebox<QueueRoutesOptions> = async (app, { queue, registries }) => {
  const { queues } = queue
  const shown = (figures: readonly QueueFigures[]) => toldQueues({ queue, registries }, figures)

  app.get('/v1/queues', { schema: listQueuesSchema, config: READ }, async (request, reply) => {
    const { size, token } = pageFrom(request.query)
    const { limits } = request.caller
    const hosts = await queues.hosts({
      after: token === undefined ? undefined : hostIn(token),
      most: size + 1,
      isSeen: (host) => allowsQueue(limits, host),
    })
    const items = await shown(await queues.figures(hosts.slice(0, size)))
    const last = items.at(-1)
    const more = last === undefined || hosts.length <= size ? {} : { nextPageToken: queueToken(last.host) }
    return sendPage(reply, request.url, { items, ...more })
  })

  app.get('/v1/queues/:host', { schema: getQueueSchema, config: READ }, async (request, reply) => {
    const host = at('/host', queueNamed, request.params.host)
    const [figures] = allowsQueue(request.caller.limits, host) ? await queues.figures([host]) : []
    if (!figures?.known) throw noQueue(host)
    const [found] = await shown([figures])
    return reply.header('cache-control', 'no-cache').send(found)
  })

  app.post('/v1/queues/:host/pause', { schema: pauseQueueSchema, config: ADMIN }, async (request, reply) => {
    const host = queueToChange(request)
    const { name } = request.caller
    const done = await queues.pause(host, name, request.body?.reason ?? null)
    if (done) request.log.info({ queue: host, principal: name, reason: request.body?.reason }, 'queue paused')
    const [found] = await shown(await queues.figures([host]))
    return reply.header('cache-control', 'no-cache').send(found)
  })

  app.post('/v1/queues/:host/resume', { schema: resumeQueueSchema, config: ADMIN }, async (request, reply) => {
    const host = queueToChange(request)
    const done = await queues.resume(host)
    if (done) request.log.info({ queue: host, principal: request.caller.name }, 'queue goes on')
    const [found] = await shown(await queues.figures([host]))
    return reply.header('cache-control', 'no-cache').send(found)
  })
}

/** Throws REFERENCE_INVALID, TOKEN_LIMITED. */
function queueToChange({ params, caller }: { params: { host: string }; caller: Principal }): string {
  const host = at('/host', queueNamed, params.host)
  if (allowsQueue(caller.limits, host)) return host
  if (host === LOCAL_QUEUE) requireUnlimited(caller, 'the queue of jobs that go to no registry')
  at('/host', () => requireAllBelow(caller, { registry: host, path: '' }), undefined)
  return host
}

/** Throws REQUEST_INVALID. */
function hostIn(token: string): string {
  const host = Buffer.from(token, 'base64url').toString()
  if (host !== '' && queueToken(host) === token) return host
  throw new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}

function noQueue(host: string): AppError {
  return new AppError('NOT_FOUND', `there is no queue of ${host}: none of its jobs has still to end`, {
    hint: 'GET /v1/queues (layerd queues) lists those that there are.',
  })
}
