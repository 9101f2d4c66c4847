import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Job, JobKind } from '../../jobs/model/definitions.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { AgainOptions } from '../../jobs/model/requests.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import { AppError } from '../../lib/errors.ts'
import { targetOfJob } from '../requests/audited.ts'
import { readIdempotency } from '../requests/idempotency.ts'
import { applyWait, etagOf, RETRY_AFTER_SECONDS } from '../answers/job-answers.ts'
import { requireAgain, requireWriter } from '../requests/jobs/job-again.ts'
import { checkJobRequest, registriesOf } from '../requests/jobs/job-request.ts'
import { waitForJob } from '../answers/job-wait.ts'
import type { JobBody } from '../schemas/job.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { lifeOf } from '../requests/look.ts'
import type { KeyNames } from '../requests/key-settings.ts'
import type { MayName } from '../requests/package-reference.ts'
import type { PublishSources } from '../requests/jobs/sources.ts'
import { sealVariables, withVariables } from '../requests/jobs/sealed-variables.ts'
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
  openStreams: OpenAnswers
}

/** What each kind asks for beside that is known when its body was read. */
const CREATE = { scope: ['jobs:write', 'deploy', 'delete'], audit: targetOfJob } as const
const CANCEL = { scope: ['jobs:cancel'], job: 'changed' } as const
const WRITE = { scope: ['jobs:write', 'deploy', 'delete'], job: 'changed' } as const

/** What makes, stops and forgets jobs. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, options) => {
  const { queue } = options

  app.post('/v1/jobs', { schema: createJobSchema, config: CREATE }, async (request, reply) => {
    const checked = await checkJobRequest(request.body, { ...options, caller: request.caller })
    const { job, replayed } = await queue.create(...keptJob(request, checked, request.headers['x-registry-auth']))
    if (!replayed) tell(request, 'job accepted', job)
    if (replayed) void reply.header('idempotency-replayed', 'true')
    const seconds = applyWait(request, reply, options.openStreams)
    if (seconds === undefined) return sendAccepted(reply, job)
    const signal = lifeOf(request, options.closing)
    // The job is kept: whatever happens to the wait, the answer is 202.
    const waited = await waitForJob(job.id, { ...options, seconds, until: isDone, signal }).catch(() => job)
    return sendAccepted(reply, waited ?? job)
  })

  app.post('/v1/jobs/:id/cancel', { schema: cancelJobSchema, config: CANCEL }, async (request, reply) => {
    const job = await queue.cancel(request.job.id, { ...request.body, by: request.caller.name })
    tell(request, 'job cancel asked', job)
    return reply.code(job.done ? 200 : 202).send(job)
  })

  app.post('/v1/jobs/:id/retry', { schema: retryJobSchema, config: WRITE }, async (request, reply) => {
    const job = await queue.retry(request.job.id, again(request, request.headers['x-registry-auth']))
    tell(request, 'job queued again', job)
    return sendAccepted(reply, job)
  })

  app.post('/v1/jobs/:id/pause', { schema: pauseJobSchema, config: WRITE }, async (request, reply) => {
    requireWriter(request.caller, request.job)
    requireRest(request.job)
    const job = await queue.pause(request.job.id, { ...request.body, by: request.caller.name })
    tell(request, 'job pause asked', job)
    return sendAccepted(reply, job)
  })

  app.post('/v1/jobs/:id/resume', { schema: resumeJobSchema, config: WRITE }, async (request, reply) => {
    const job = await queue.resume(request.job.id, again(request, request.headers['x-registry-auth']))
    tell(request, 'job resumed', job)
    return sendAccepted(reply, job)
  })

  app.delete('/v1/jobs/:id', { schema: deleteJobSchema, config: WRITE }, async (request, reply) => {
    requireWriter(request.caller, request.job)
    await queue.remove(request.job.id)
    request.log.info({ principal: request.caller.name, jobId: request.job.id }, 'job deleted')
    return reply.code(204).send(null)
  })
}

/** What is kept of a job, and what of it sealed. Throws BODY_INVALID, CREDENTIALS_INVALID, REQUEST_INVALID. */
function keptJob(
  { headers, caller, traceparent, id: requestId, body }: FastifyRequest,
  checked: Awaited<ReturnType<typeof checkJobRequest>>,
  login: string | undefined,
): Parameters<JobQueue['create']> {
  const { options, variables } = sealVariables(checked.options)
  const principal = caller.name
  const idempotency = readIdempotency({
    key: headers['idempotency-key'],
    principal,
    route: 'POST /v1/jobs',
    // Nothing that tells a secret, not even its hash.
    body: Object.keys(variables).length === 0 ? body : { ...(body as JobBody), options },
  })
  const credentials = withVariables(readJobAuth(login, registriesOf(checked)), variables)
  const asked = { principal, limits: caller.limits, requestId, ...(traceparent === undefined ? {} : { traceparent }) }
  return [
    { ...checked, options, ...asked },
    { ...(idempotency ? { idempotency } : {}), ...(credentials ? { credentials } : {}) },
  ]
}

/** What would end with a pause, and be run no further by a resume. Throws JOB_NOT_FINISHED. */
function requireRest({ id, kind, state }: Job): void {
  if (state !== 'running' || (kind !== 'deploy' && kind !== 'remove')) return
  throw new AppError('JOB_NOT_FINISHED', `job ${id} is a ${kind} that runs, which cannot be paused and gone on with`, {
    hint: 'Wait until it has ended, or cancel it.',
  })
}

/** For a job that is to go on. Throws SCOPE_MISSING, TOKEN_LIMITED, CREDENTIALS_INVALID. */
function again({ job, caller }: FastifyRequest, header: string | undefined): AgainOptions {
  requireAgain(caller, job)
  const credentials = readJobAuth(header, registriesOf(job))
  return { by: caller.name, limits: caller.limits, ...(credentials ? { credentials } : {}) }
}

/** Who did what, for the process's log; the request's id stands in each of its lines. */
function tell({ log, caller }: FastifyRequest, what: string, job: Job): void {
  const { id, kind, source, destination, state } = job
  log.info({ principal: caller.name, jobId: id, kind, source, destination, state }, what)
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
