import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Authenticator } from '../../access/authenticator.ts'
import { requireScope } from '../../access/scopes.ts'
import { isEventId } from '../../jobs/progress/event-id.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { Logger } from '../../lib/logger.ts'
import { framingOf, takeOver } from '../answers/event-stream.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { FleetHub, type FleetHubOptions } from '../events/fleet-hub.ts'
import { followFleetSchema } from '../schemas/event.ts'
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../schemas/page.ts'
import type { QueueSources } from '../system/queue-list.ts'
import { createSystemLists } from '../system/system-lists.ts'
import { jobFilterOf } from './job-queries.ts'
import type { ApiObserver } from './metrics.ts'

export interface FleetEventRoutesOptions {
  queue: JobQueue
  events: JobEventReader
  registries: QueueSources['registries']
  logger: Logger
  closing: AbortSignal
  openStreams: OpenAnswers
  authenticator: Pick<Authenticator, 'required'>
  /** Times of the streams; defaults are FleetHub's. */
  streams?:
    | Pick<FleetHubOptions, 'heartbeatMs' | 'stuckMs' | 'tickMs' | 'maxViews' | 'maxViewsOfOne' | 'listsMs'>
    | undefined
  /** Told how many streams are open is to be asked. */
  observer?: Pick<ApiObserver, 'watchStreams'> | undefined
}

/** A tab has one; a hundred tabs with filters of their own are a lot for one person. */
const VIEWS_OF_ONE = 100

const READ = { scope: ['jobs:read'] } as const

/** What happens to all jobs that the caller may see. */
export const fleetEventRoutes: FastifyPluginAsyncTypebox<FleetEventRoutesOptions> = async (app, options) => {
  const { queue, events, closing, logger, openStreams } = options
  const hub = new FleetHub({
    queue,
    fleet: events.fleet,
    lists: createSystemLists(options),
    logger,
    // One caller alone would keep all others out.
    ...(options.authenticator.required ? { maxViewsOfOne: VIEWS_OF_ONE } : {}),
    ...options.streams,
  })
  options.observer?.watchStreams(() => hub.watchers)
  closing.addEventListener('abort', () => hub.drain(), { once: true })

  app.get('/v1/events', { schema: followFleetSchema, config: READ, exposeHeadRoute: false }, async (request, reply) => {
    const { once, pageSize, lastEventId, include = [], ...filter } = request.query
    if (include.length > 0) requireScope(request.caller, ['system:read'])
    const named = request.headers['last-event-id'] ?? lastEventId ?? ''
    const wish = {
      caller: request.caller,
      filter: jobFilterOf(filter),
      lastEventId: isEventId(named) ? named : undefined,
      include,
    }
    void reply.header('vary', 'accept').header('cache-control', 'no-store, no-transform')
    const framing = framingOf(request.headers.accept)
    if (!framing) {
      const page = await hub.page(wish, Math.min(pageSize ?? DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE))
      const body = `{"items":[${page.items.join(',')}],"lastEventId":"${page.lastEventId}"}`
      return reply.type('application/json; charset=utf-8').serializer(String).send(body)
    }
    if (once === true) {
      const messages = await hub.once(wish)
      const body = Buffer.concat(messages.map((message) => message.bytes(framing))).toString()
      return reply.type(framing.contentType).serializer(String).send(body)
    }
    openStreams.take(request, reply)
    const opening = await hub.open(wish)
    const { raw } = takeOver(reply, framing)
    opening.start(raw, framing, request.accessEnded())
    return reply
  })
}
