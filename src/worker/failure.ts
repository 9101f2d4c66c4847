import type { Problem } from '../jobs/model/definitions.ts'
import { RUN_RETRIES } from '../jobs/model/run-retries.ts'
import type { RunOutcome } from '../jobs/progress/reports.ts'
import type { AppError } from '../lib/errors.ts'
import { problemFields } from '../lib/problem.ts'
import { timeOfDay } from '../lib/text.ts'

const RETRY_BASE_MS = 2000
const RETRY_MAX_MS = 60_000
/** A registry that says a year is asked before. */
const LONGEST_WAIT_MS = 24 * 3_600_000
/** Before a transfer that gave its place up comes again. */
const SLOW_PAUSE_MS = 60_000
/** How often a job looks whether there is room in the store for it, or its cluster is free. */
const LOOK_AGAIN_MS = 5000

export function jobProblem(error: AppError, jobId: string): Problem {
  return {
    ...problemFields(error, 'The job failed inside layerd; its log has the cause under this job id.'),
    instance: `/v1/jobs/${jobId}`,
  }
}

export interface FailureContext {
  jobId: string
  /** Runs before this one that ended in `retrying` without a new byte. */
  retries: number
  /** Whether this run moved a byte: then the count starts again. */
  progressed: boolean
  now: number
  /** In [0, 1). */
  random: number
}

/**
 * What becomes of a job whose run threw. A fenced run says nothing: another one speaks for the job. Transient failures
 * are tried again later, after Retry-After where the registry named one; the rest is final.
 */
export function outcomeOf(error: AppError, context: FailureContext): RunOutcome | 'fenced' {
  if (error.code === 'JOB_FENCED') return 'fenced'
  const stopped = stoppedBy(error)
  if (stopped) return stopped
  // Room comes when other pulls end or packages go, a cluster when its deploy has ended: no failure, and nothing that runs out.
  const waits = error.code === 'STORE_FULL' || error.code === 'DEPLOY_BUSY'
  if (waits && error.retry === 'transient') {
    return { state: 'queued', reason: error.message, until: new Date(context.now + LOOK_AGAIN_MS) }
  }
  const problem = jobProblem(error, context.jobId)
  const jitter = 0.75 + context.random / 2
  // Where each run begins anew, as some registries want it, it may be for ever too slow.
  if (error.code === 'TRANSFER_TOO_SLOW' && (context.progressed || context.retries < RUN_RETRIES)) {
    const retryAt = new Date(context.now + Math.round(SLOW_PAUSE_MS * jitter))
    const reason = `${error.message}; it comes again at ${timeOfDay(retryAt.toISOString())}`
    return { state: 'retrying', retryAt, error: problem, reason }
  }
  const retries = context.progressed ? 0 : context.retries
  // It has not failed at anything: others were served, or nobody was.
  const spared = error.code === 'REGISTRY_THROTTLED' && error.retry === 'transient'
  if (spared) {
    const retryAt = retryTime(error, Math.min(retries, RUN_RETRIES), context, jitter)
    const reason = `${error.message}; it comes again at ${timeOfDay(retryAt.toISOString())}`
    return { state: 'retrying', retryAt, error: problem, reason, spared }
  }
  if (error.retry !== 'transient' || retries >= RUN_RETRIES) return { state: 'failed', error: problem }
  return { state: 'retrying', retryAt: retryTime(error, retries, context, jitter), error: problem }
}

/** Where somebody wanted the run to end. */
function stoppedBy(error: AppError): RunOutcome | undefined {
  const reason = reasonOf(error)
  if (error.code === 'SHUTTING_DOWN') return { state: 'queued', reason: reason ?? 'its worker is shutting down' }
  if (error.code === 'JOB_CANCELED') return { state: 'canceled', reason }
  return error.code === 'JOB_PAUSED' ? { state: 'paused', reason } : undefined
}

function retryTime({ retryAfterMs = 0 }: AppError, retries: number, { now }: FailureContext, jitter: number): Date {
  const backoff = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** retries) * jitter
  return new Date(now + Math.min(LONGEST_WAIT_MS, Math.max(retryAfterMs, Math.round(backoff))))
}

function reasonOf(error: AppError): string | null {
  const reason = error.details?.['reason']
  return typeof reason === 'string' && reason !== '' ? reason : null
}
