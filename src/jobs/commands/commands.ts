import { createHash } from 'node:crypto'
import { NO_LIMITS } from '../../access/limits.ts'
import { AppError } from '../../lib/errors.ts'
import type { Job } from '../model/definitions.ts'
import { type Dispatch, outboxMember } from '../dispatch/dispatch.ts'
import { isJobId } from '../model/job-id.ts'
import type { AgainOptions, CommandOptions, CreateOptions, NewJob } from '../model/requests.ts'
import { DOCUMENT_FIELDS, keptLimits, newRecord, parseRecord } from '../record/record.ts'
import { throwIfRefused } from './admission.ts'
import type { JobStore } from './job-store.ts'

/** What the API's calls work with. */
export interface CommandContext extends JobStore {
  newId: (now: number) => string
}

/** How long the answer to a POST replays. Source: api.md "Idempotency". */
const IDEMPOTENCY_TTL_SECONDS = 86_400
/** BullMQ gets this long after the job is accepted; later the outbox delivers. */
const DELIVERY_WAIT_MS = 1000

export async function createJob(
  context: CommandContext,
  job: NewJob,
  { idempotency, credentials }: CreateOptions,
): Promise<{ job: Job; replayed: boolean }> {
  const { keys, vault, clock } = context
  const now = clock.now()
  const id = context.newId(now)
  const idempotencyKey = idempotency === undefined ? '' : keys.idempotency(sha256(idempotency.scope))
  const [status, answer = '', ...figures] = await context.scripts.job('create', target(context, id, now), [
    idempotencyKey,
    idempotency?.fingerprint ?? '',
    IDEMPOTENCY_TTL_SECONDS,
    credentials === undefined ? '' : vault.seal(id, credentials),
    JSON.stringify(job.registries),
    job.queueHost,
    context.maxHosts,
    context.maxJobs,
    job.principal,
    ...newRecord(job, now, idempotencyKey),
  ])
  if (status === 'mismatch') {
    throw new AppError('IDEMPOTENCY_MISMATCH', 'the Idempotency-Key was used before, with another body', {
      hint: 'Send the same body again, or take a new key for a new job.',
    })
  }
  throwIfRefused(status, answer, figures)
  if (status === 'replayed') return { job: await requireJob(context, answer), replayed: true }
  await deliver(context, job.queueHost, { id, round: 1 })
  return { job: JSON.parse(answer) as Job, replayed: false }
}

export async function readJob({ redis, keys }: CommandContext, id: string): Promise<Job | undefined> {
  if (!isJobId(id)) return undefined
  return parseRecord(id, await redis.hmget(keys.job(id), ...DOCUMENT_FIELDS))
}

export async function requireJob(context: CommandContext, id: string): Promise<Job> {
  const job = await readJob(context, id)
  if (job === undefined) throw notFound(id)
  return job
}

export async function cancelJob(
  context: CommandContext,
  id: string,
  { reason, by = NOBODY }: CommandOptions & { reason?: string },
): Promise<Job> {
  const args = [JSON.stringify(reason ?? null), reason ?? '', by]
  const [status, answer = '', host = '', round = ''] = await command(context, 'cancel', id, args)
  const job = JSON.parse(answer) as Job
  if (status === 'finished') throw finished(job, 'cannot be canceled any more')
  if (job.state === 'canceled') await withdraw(context, host, { id, round: Number(round) })
  return job
}

export async function pauseJob(
  context: CommandContext,
  id: string,
  { reason, by = NOBODY }: CommandOptions & { reason?: string },
): Promise<Job> {
  const meanwhile = reason === undefined ? 'pausing' : `pausing: ${reason}`
  const args = [JSON.stringify(reason ?? null), reason ?? '', JSON.stringify(meanwhile), by]
  const [status, answer = '', host = '', round = ''] = await command(context, 'pause', id, args)
  const job = JSON.parse(answer) as Job
  if (status === 'finished') throw finished(job, 'cannot be paused any more')
  if (job.state === 'paused') await withdraw(context, host, { id, round: Number(round) })
  return job
}

export async function resumeJob(context: CommandContext, id: string, options: AgainOptions): Promise<Job> {
  const { status, job } = await queueAgain(context, 'resume', id, options)
  if (status === 'finished') throw finished(job, 'does not go on; a failed or canceled job can be retried')
  return job
}

export async function retryJob(context: CommandContext, id: string, options: AgainOptions): Promise<Job> {
  const { status, job } = await queueAgain(context, 'retry', id, options)
  if (status === 'finished') throw finished(job, 'has succeeded, so there is nothing to retry')
  if (status === 'active') throw notFinished(job)
  return job
}

/** Calls from within layerd, and of callers that need no name. */
const NOBODY = 'anonymous'

async function queueAgain(
  context: CommandContext,
  script: 'resume' | 'retry',
  id: string,
  { credentials, by = NOBODY, limits = NO_LIMITS }: AgainOptions,
): Promise<{ status: string; job: Job }> {
  const sealed = credentials === undefined ? '' : context.vault.seal(id, credentials)
  const [status, answer = '', host = '', round = ''] = await command(context, script, id, [
    sealed,
    by,
    context.maxHosts,
    context.maxJobs,
    keptLimits(limits),
  ])
  if (status === 'queued') await deliver(context, host, { id, round: Number(round) })
  return { status, job: JSON.parse(answer) as Job }
}

export async function removeJob(context: CommandContext, id: string): Promise<void> {
  const [status, answer = ''] = await command(context, 'remove', id, [])
  if (status === 'active') throw notFinished(JSON.parse(answer) as Job)
}

async function command(
  context: CommandContext,
  script: 'cancel' | 'pause' | 'resume' | 'retry' | 'remove',
  id: string,
  args: Array<string | number>,
) {
  if (!isJobId(id)) throw notFound(id)
  const answer = await context.scripts.job(script, target(context, id, context.clock.now()), args)
  if (answer[0] === 'missing') throw notFound(id)
  const [status, what = '', ...figures] = answer
  throwIfRefused(status, what, figures)
  return answer
}

function target({ keys }: CommandContext, id: string, now: number) {
  return { id, key: keys.job(id), prefix: keys.prefix, now }
}

/** Only tidies up: a dispatch that stays in BullMQ ends when its run begins. */
async function withdraw({ dispatcher }: CommandContext, host: string, dispatch: Dispatch): Promise<void> {
  await bounded(dispatcher.remove(host, dispatch)).catch(() => {})
}

/** The job is accepted already, so nothing here fails the call: what BullMQ does not get now the outbox brings later. */
async function deliver({ dispatcher, redis, keys, logger }: CommandContext, host: string, dispatch: Dispatch) {
  try {
    await bounded(dispatcher.add(host, dispatch))
    await redis.zrem(keys.outbox, outboxMember(dispatch))
  } catch (error) {
    logger.warn({ err: error, jobId: dispatch.id }, 'job accepted; the outbox will hand it to BullMQ')
  }
}

async function bounded(work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('BullMQ did not answer in time')), DELIVERY_WAIT_MS)
  try {
    await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
    work.catch(() => {})
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function notFound(id: string): AppError {
  return new AppError('JOB_NOT_FOUND', `there is no job "${id.slice(0, 64)}"`, {
    hint: 'Ended jobs are kept for 30 days, and the newest 10,000 at most.',
  })
}

function finished(job: Job, why: string): AppError {
  return new AppError('JOB_FINISHED', `job ${job.id} is ${job.state} and ${why}`, { details: { job } })
}

function notFinished(job: Job): AppError {
  return new AppError('JOB_NOT_FINISHED', `job ${job.id} is ${job.state} and has not ended yet`, {
    hint: 'Cancel it first, or wait until it has ended.',
    details: { job },
  })
}
