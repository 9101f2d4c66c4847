import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { isEventId } from '../../jobs/progress/event-id.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { Logger } from '../../lib/logger.ts'
import { framingOf, takeOver } from '../answers/event-stream.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { EventHub, type EventHubOptions } from '../events/event-hub.ts'
import type { ApiObserver } from './metrics.ts'
import { followEventsSchema } from '../schemas/event.ts'
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../schemas/page.ts'

export interface JobEventRoutesOptions {
  queue: JobQueue
  events: JobEventReader
  logger: Logger
  closing: AbortSignal
  openStreams: OpenAnswers
  /** Times of the streams; defaults are EventHub's. */
  streams?: Pick<EventHubOptions, 'heartbeatMs' | 'stuckMs'> | undefined
  /** Told how many streams are open is to be asked. */
  observer?: Pick<ApiObserver, 'watchStreams'> | undefined
}

/** Before every id that Redis gives. */
const BEGINNING = '0-0'

const READ = { scope: ['jobs:read'], job: 'looked-at' } as const

export const jobEventRoutes: FastifyPluginAsyncTypebox<JobEventRoutesOptions> = async (app, options) => {
  const { queue, events, closing, logger, openStreams } = options
  const hub = new EventHub({ queue, events, logger, ...options.streams })
  options.observer?.watchStreams(() => hub.watchers)
  closing.addEventListener('abort', () => hub.drain(), { once: true })

  app.get(
    '/v1/jobs/:id/events',
    { schema: followEventsSchema, config: READ, exposeHeadRoute: false },
    async (request, reply) => {
      const { job } = request
      const { id } = job
      const { once, pageSize } = request.query
      const named = request.headers['last-event-id'] ?? request.query.lastEventId ?? ''
      const lastEventId = isEventId(named) ? named : undefined
      void reply.header('vary', 'accept').header('cache-control', 'no-store, no-transform')
      const framing = framingOf(request.headers.accept)
      if (!framing) {
        const size = Math.min(pageSize ?? DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        return sendPage(reply, await events.replay(id, lastEventId ?? BEGINNING, size))
      }
      if (once === true) {
        const frame = await hub.once(id)
        return reply.type(framing.contentType).serializer(String).send(frame.bytes(framing).toString())
      }
      openStreams.take(request, reply)
      const opening = await hub.open(job, lastEventId)
      if (opening === 'over') return reply.code(204).send(null)
      const { raw } = takeOver(reply, framing)
      opening.start(raw, framing, request.accessEnded())
      return reply
    },
  )
}

function sendPage(reply: FastifyReply, logged: Awaited<ReturnType<JobEventReader['replay']>>): FastifyReply {
  const last = logged.at(-1)
  const items = logged.map(({ id, event }) => ({ id, ...event }))
  return reply
    .type('application/json; charset=utf-8')
    .send({ items, ...(last === undefined ? {} : { lastEventId: last.id }) })
}
