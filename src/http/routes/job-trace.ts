import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Job } from '../../jobs/model/definitions.ts'
import type { JobTrace } from '../../jobs/progress/trace.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import { AppError } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { harEntry } from '../answers/har.ts'
import { jobTraceSchema } from '../schemas/har.ts'

export interface JobTraceOptions {
  queue: JobQueue
  /** Of layerd. */
  version: string
}

const READ = { scope: ['jobs:read'], job: 'looked-at' } as const

/** What a job said to its registry, and what it was answered. */
export const jobTraceRoutes: FastifyPluginAsyncTypebox<JobTraceOptions> = async (app, { queue, version }) => {
  app.get(
    '/v1/jobs/:id/trace.har',
    { schema: jobTraceSchema, config: READ, exposeHeadRoute: false },
    async (request, reply) => {
      const { job } = request
      const trace = await queue.trace(job.id)
      const coming = job.options.trace === true && !job.done
      if (trace.requests.length === 0 && !coming) throw noTrace(job)
      return reply
        .type('application/json; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('content-disposition', `attachment; filename="layerd-${job.id}.har"`)
        .send(Readable.from(archive(job, trace, version)))
    },
  )
}

async function* archive(job: Job, trace: JobTrace, version: string): AsyncGenerator<string> {
  const breathe = createBreathing()
  const head = { version: '1.2', creator: { name: 'layerd', version }, pages: [], comment: commentOf(job, trace) }
  yield `{"log":${JSON.stringify(head).slice(0, -1)},"entries":[`
  let before = ''
  for (const request of trace.requests) {
    yield `${before}${JSON.stringify(harEntry(request))}`
    before = ',\n'
    await breathe()
  }
  yield ']}}\n'
}

function commentOf({ id }: Job, { requests, dropped }: JobTrace): string {
  const count = requests.length
  const kept = dropped === 0 ? `all ${count} requests` : `the last ${count} of ${count + dropped} requests`
  return `job ${id}: ${kept}`
}

function noTrace({ id, options, done }: Job): AppError {
  const gone = 'A day after a job has ended its requests go, and earlier where Redis is short of memory.'
  const wanted =
    'Make the job with "options.trace": true; without it the last 50 requests of a job that fails are kept.'
  return new AppError('NOT_FOUND', `job ${id} has no requests that were kept`, {
    hint: options.trace && done ? gone : wanted,
    details: { jobId: id },
  })
}
