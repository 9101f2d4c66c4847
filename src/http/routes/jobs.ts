import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Job, JobKind } from '../../jobs/model/definitions.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import { readIdempotency } from '../requests/idempotency.ts'
import { applyWait, etagOf, noSuchJob, RETRY_AFTER_SECONDS } from '../answers/job-answers.ts'
import { checkJobRequest, registriesOf } from '../requests/job-request.ts'
import { waitForJob } from '../answers/job-wait.ts'
import type { KeyNames } from '../requests/key-settings.ts'
import type { MayName } from '../requests/package-reference.ts'
import type { PublishSources } from '../requests/publish-source.ts'
import { readJobAuth } from '../requests/registry-auth.ts'
import {
  cancelJobSchema,
  createJobSchema,
  deleteJobSchema,
  pauseJobSchema,
  resumeJobSchema,
  retryJobSchema,
} from '../schemas/job.ts'

export interface JobRoutesOptions extends PublishSources {
  queue: JobQueue
  events: JobEventReader
  kinds: ReadonlySet<JobKind>
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
  keys: KeyNames
  closing: AbortSignal
}

/** What makes, stops and forgets jobs. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, options) => {
  const { queue } = options
  const credentialsFor = async (id: string, header: string | undefined) => {
    const known = await queue.get(id)
    if (!known) throw noSuchJob(id)
    return readJobAuth(header, registriesOf(known))
  }

  app.post('/v1/jobs', { schema: createJobSchema }, async (request, reply) => {
    const checked = await checkJobRequest(request.body, options)
    const { headers, principal, traceparent, id: requestId } = request
    const idempotency = readIdempotency({
      key: headers['idempotency-key'],
      principal,
      route: 'POST /v1/jobs',
      body: request.body,
    })
    const credentials = readJobAuth(headers['x-registry-auth'], registriesOf(checked))
    const { job, replayed } = await queue.create(
      { ...checked, principal, requestId, ...(traceparent === undefined ? {} : { traceparent }) },
      { ...(idempotency ? { idempotency } : {}), ...(credentials ? { credentials } : {}) },
    )
    if (!replayed) tell(request, 'job accepted', job)
    if (replayed) void reply.header('idempotency-replayed', 'true')
    const seconds = applyWait(reply, headers.prefer)
    if (seconds === undefined) return sendAccepted(reply, job)
    const signal = AbortSignal.any([options.closing, request.signal])
    // The job is kept: whatever happens to the wait, the answer is 202.
    const waited = await waitForJob(job.id, { ...options, seconds, until: isDone, signal }).catch(() => job)
    return sendAccepted(reply, waited ?? job)
  })

  app.post('/v1/jobs/:id/cancel', { schema: cancelJobSchema }, async (request, reply) => {
    const job = await queue.cancel(request.params.id, { ...request.body, by: request.principal })
    tell(request, 'job cancel asked', job)
    return reply.code(job.done ? 200 : 202).send(job)
  })

  app.post('/v1/jobs/:id/retry', { schema: retryJobSchema }, async (request, reply) => {
    const { id } = request.params
    const credentials = await credentialsFor(id, request.headers['x-registry-auth'])
    const job = await queue.retry(id, { by: request.principal, ...(credentials ? { credentials } : {}) })
    tell(request, 'job queued again', job)
    return sendAccepted(reply, job)
  })

  app.post('/v1/jobs/:id/pause', { schema: pauseJobSchema }, async (request, reply) => {
    const job = await queue.pause(request.params.id, { ...request.body, by: request.principal })
    tell(request, 'job pause asked', job)
    return sendAccepted(reply, job)
  })

  app.post('/v1/jobs/:id/resume', { schema: resumeJobSchema }, async (request, reply) => {
    const { id } = request.params
    const credentials = await credentialsFor(id, request.headers['x-registry-auth'])
    const job = await queue.resume(id, { by: request.principal, ...(credentials ? { credentials } : {}) })
    tell(request, 'job resumed', job)
    return sendAccepted(reply, job)
  })

  app.delete('/v1/jobs/:id', { schema: deleteJobSchema }, async (request, reply) => {
    await queue.remove(request.params.id)
    request.log.info({ principal: request.principal, jobId: request.params.id }, 'job deleted')
    return reply.code(204).send(null)
  })
}

/** Who did what, for the process's log; the request's id stands in each of its lines. */
function tell({ log, principal }: FastifyRequest, what: string, job: Job): void {
  const { id, kind, source, destination, state } = job
  log.info({ principal, jobId: id, kind, source, destination, state }, what)
}

function sendAccepted(reply: FastifyReply, job: Job): FastifyReply {
  return reply
    .code(202)
    .headers({ location: `/v1/jobs/${job.id}`, 'retry-after': RETRY_AFTER_SECONDS, etag: etagOf(job) })
    .send(job)
}

function isDone(job: Job): boolean {
  return job.done
}
