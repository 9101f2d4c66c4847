import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import type { Job } from '../../jobs/definitions.ts'
import type { JobEventReader } from '../../jobs/events.ts'
import type { JobFilter, JobQueue, Page, PageOf } from '../../jobs/queue.ts'
import { applyWait, etagOf, noSuchJob, RETRY_AFTER_SECONDS } from '../job-answers.ts'
import { waitForJob } from '../job-wait.ts'
import {
  DEFAULT_PAGE_SIZE,
  getJobSchema,
  type JobQuery,
  listJobsSchema,
  listTransfersSchema,
  MAX_PAGE_SIZE,
} from '../schemas/job.ts'

export interface JobQueriesOptions {
  queue: JobQueue
  events: JobEventReader
  closing: AbortSignal
}

/** What only looks at jobs. */
export const jobQueries: FastifyPluginAsyncTypebox<JobQueriesOptions> = async (app, options) => {
  const { queue } = options

  app.get('/v1/jobs', { schema: listJobsSchema }, async (request, reply) => {
    const page = await queue.list(filterOf(request.query), pageOf(request.query))
    return sendPage(reply, request.url, page)
  })

  app.get('/v1/jobs/:id', { schema: getJobSchema }, async (request, reply) => {
    const { id } = request.params
    const known = request.headers['if-none-match']
    const seconds = applyWait(reply, request.headers.prefer)
    const until = (job: Job) => (known === undefined ? job.done : !isKnown(job, known))
    const signal = AbortSignal.any([options.closing, request.signal])
    const job =
      seconds === undefined ? await queue.get(id) : await waitForJob(id, { ...options, seconds, until, signal })
    if (!job) throw noSuchJob(id)
    void reply.header('etag', etagOf(job)).header('cache-control', 'no-cache')
    if (known !== undefined && isKnown(job, known)) return reply.code(304).send(null)
    if (!job.done) void reply.header('retry-after', RETRY_AFTER_SECONDS)
    return reply.send(job)
  })

  app.get('/v1/jobs/:id/transfers', { schema: listTransfersSchema }, async (request, reply) => {
    const page = await queue.transfers(request.params.id, pageOf(request.query))
    return sendPage(reply, request.url, page)
  })
}

function sendPage<T>(reply: FastifyReply, url: string, page: PageOf<T>): FastifyReply {
  if (page.nextPageToken !== undefined) {
    const next = new URL(url, 'http://layerd')
    next.searchParams.set('pageToken', page.nextPageToken)
    void reply.header('link', `<${next.pathname}${next.search}>; rel="next"`)
  }
  return reply.header('cache-control', 'no-cache').send(page)
}

/** RFC 9110 13.1.2: a list of tags, weak ones compare like strong ones, * is any. */
function isKnown(job: Job, ifNoneMatch: string): boolean {
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(etagOf(job))
}

function pageOf(query: { pageSize?: number; pageToken?: string }): Page {
  const size = Math.min(query.pageSize ?? DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
  return { size, ...(query.pageToken === undefined ? {} : { token: query.pageToken }) }
}

function filterOf(query: JobQuery): JobFilter {
  const labels = query.label?.map((label) => {
    const equals = label.indexOf('=')
    return { key: label.slice(0, equals), value: label.slice(equals + 1) }
  })
  return {
    ...(query.state ? { states: query.state } : {}),
    ...(query.kind ? { kinds: query.kind } : {}),
    ...(labels ? { labels } : {}),
    ...(query.registry === undefined ? {} : { registry: query.registry.toLowerCase() }),
    ...(query.createdAfter === undefined ? {} : { createdAfter: query.createdAfter }),
  }
}
