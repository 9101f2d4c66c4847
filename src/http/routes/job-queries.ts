import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { registryId } from '../../content/reference.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { JobFilter } from '../../jobs/model/requests.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { chooseMediaType } from '../answers/accept.ts'
import { isKnownTag } from '../answers/conditional.ts'
import { applyWait, etagOf, noSuchJob, RETRY_AFTER_SECONDS } from '../answers/job-answers.ts'
import { waitForJob } from '../answers/job-wait.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { lifeOf } from '../requests/look.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { getJobSchema, type JobQuery, listJobsSchema, listRunsSchema, listTransfersSchema } from '../schemas/job.ts'

export interface JobQueriesOptions {
  queue: JobQueue
  events: JobEventReader
  closing: AbortSignal
  openStreams: OpenAnswers
}

const LINES_AT_ONCE = 500

const LIST = { scope: ['jobs:read'] } as const
const READ = { ...LIST, job: 'looked-at' } as const

/** What only looks at jobs. */
export const jobQueries: FastifyPluginAsyncTypebox<JobQueriesOptions> = async (app, options) => {
  const { queue } = options

  app.get('/v1/jobs', { schema: listJobsSchema, config: LIST }, async (request, reply) => {
    const page = await queue.list(jobFilterOf(request.query), pageFrom(request.query), request.caller)
    return sendPage(reply, request.url, page)
  })

  app.get('/v1/jobs/:id', { schema: getJobSchema, config: READ }, async (request, reply) => {
    const { id } = request.job
    const known = request.headers['if-none-match']
    const seconds = applyWait(request, reply, options.openStreams)
    const until = (job: Job) => (known === undefined ? job.done : !isKnownTag(known, etagOf(job)))
    const waited = async (seconds: number) => {
      const job = await waitForJob(id, { ...options, seconds, until, signal: lifeOf(request, options.closing) })
      request.accessEnded().throwIfAborted()
      return job
    }
    const job = seconds === undefined ? request.job : await waited(seconds)
    if (!job) throw noSuchJob(id)
    void reply.header('etag', etagOf(job)).header('cache-control', 'no-cache')
    if (isKnownTag(known, etagOf(job))) return reply.code(304).send(null)
    if (!job.done) void reply.header('retry-after', RETRY_AFTER_SECONDS)
    return reply.send(job)
  })

  app.get('/v1/jobs/:id/transfers', { schema: listTransfersSchema, config: READ }, async (request, reply) => {
    const { state, q, sort } = request.query
    const filter = { ...(state ? { states: state } : {}), ...(q === undefined ? {} : { q }), ...(sort ? { sort } : {}) }
    void reply.header('vary', 'accept')
    const type = chooseMediaType(request.headers.accept, ['application/json', 'application/x-ndjson'])
    if (type === 'application/x-ndjson') {
      const rows = await queue.allTransfers(request.job.id, filter)
      return reply
        .header('cache-control', 'no-cache')
        .type(type)
        .send(Readable.from(lines(rows)))
    }
    const page = await queue.transfers(request.job.id, pageFrom(request.query), filter)
    return sendPage(reply, request.url, page)
  })

  app.get('/v1/jobs/:id/runs', { schema: listRunsSchema, config: READ }, (request) => queue.runs(request.job.id))
}

/** Others get their turn in between. */
async function* lines(rows: readonly unknown[]): AsyncGenerator<string> {
  for (let at = 0; at < rows.length; at += LINES_AT_ONCE) {
    yield rows
      .slice(at, at + LINES_AT_ONCE)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join('')
    await nextTurn()
  }
}

/** As jobs are asked for by their fields. */
export function jobFilterOf(query: JobQuery): JobFilter {
  const labels = query.label?.map((label) => {
    const equals = label.indexOf('=')
    return { key: label.slice(0, equals), value: label.slice(equals + 1) }
  })
  return {
    ...(query.state ? { states: query.state } : {}),
    ...(query.kind ? { kinds: query.kind } : {}),
    ...(labels ? { labels } : {}),
    ...(query.registry === undefined ? {} : { registry: registryId(query.registry) }),
    ...(query.createdAfter === undefined ? {} : { createdAfter: query.createdAfter }),
    ...(query.endedAfter === undefined ? {} : { endedAfter: query.endedAfter }),
    ...(query.errorCode ? { errorCodes: query.errorCode } : {}),
    ...(query.package === undefined ? {} : { package: query.package }),
    ...(query.principal === undefined ? {} : { principal: query.principal }),
    ...(query.requestId === undefined ? {} : { requestId: query.requestId }),
    ...(query.traceparent === undefined ? {} : { traceparent: query.traceparent }),
    ...(query.q === undefined ? {} : { q: query.q }),
    ...(query.sort ? { sort: query.sort } : {}),
  }
}
