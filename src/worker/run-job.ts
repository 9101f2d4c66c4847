import { type Job, type JobKind, type JobResult, TERMINAL_STATES } from '../jobs/model/definitions.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import type { Dispatch } from '../jobs/dispatch/dispatch.ts'
import type { JobRuns } from '../jobs/runs.ts'
import type { BegunRun, EndedRun, FinishedRun, RunOutcome } from '../jobs/progress/reports.ts'
import type { WireTrace } from '../content/wire-request.ts'
import { abortReason, childController } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { AppError, toAppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { OnEvent } from '../transfer/events.ts'
import { jobProblem, outcomeOf } from './failure.ts'
import type { Lease } from './run-lease.ts'
import { createLedger } from './ledger.ts'
import { createReporter, type Reporter } from './reporter.ts'
import { NOBODY, registryOf, type RunObserver, type RunWatch } from './run-observer.ts'
import { createRunTrace } from './traces/run-trace.ts'
import { createRunPlaces, type RunPlaces } from './places/run-places.ts'
import type { SharedTraces } from './traces/shared-traces.ts'
import { SLOW_LIMIT, type SlowLimit, type SlowWatch, watchSlowness } from './slow-transfer.ts'

/** What the work of one run gets. */
export interface RunContext {
  signal: AbortSignal
  onEvent: OnEvent
  /** Told of what comes in answers' bodies, be it of blobs or not. */
  onBody(answer: object, bytes: number | undefined): void
  /** Told of the run's requests to registries. */
  trace: WireTrace
  epoch: number
  credentials: JobCredentials | undefined
  /** Where it may go. */
  places: RunPlaces
  logger: Logger
  /** Throws JOB_FENCED, JOB_CANCELED or JOB_PAUSED; asked right before each visible write. */
  checkOwnership(): Promise<void>
  /**
   * Right before what may not be done twice by itself. Throws DEPLOY_INTERRUPTED where an earlier run got as far, JOB_FENCED. `was`: that one did.
   */
  once: { readonly was: boolean; begin(): Promise<void> }
  /** Throws JOB_FENCED when another run may have begun; asked before each request, as it goes out, and before each part of its body. */
  checkLease(): void
}

/** The work of one kind of job. */
export type JobWork = (job: Job, context: RunContext) => Promise<Omit<JobResult, 'durationMs'>>

export interface RunOptions {
  runs: JobRuns
  workerName: string
  work: Partial<Record<JobKind, JobWork>>
  clock: Clock
  logger: Logger
  /** When a run is too slow to keep its place. Default: under 1 KiB/s over five minutes. */
  slow?: SlowLimit | undefined
  /** Looks on. Default: nobody. */
  observer?: RunObserver | undefined
  /** Of the requests that runs share. Default: nobody tells of them. */
  sharedTraces?: SharedTraces | undefined
}

/** What BullMQ has to do with the dispatch once its run has ended. */
export type RunEnd = { next: 'done' } | { next: 'delay'; until: number } | { next: 'release' }

/** Runs one dispatch from begin to finish. Never throws for a failing job: its record says so. */
export async function runJob(
  dispatch: Dispatch,
  options: RunOptions,
  control: { lease: Pick<Lease, 'signal' | 'check'>; begun?: (abort: (reason: AppError) => void) => void },
): Promise<RunEnd> {
  const begun = await options.runs.begin(dispatch, options.workerName)
  if (begun.ended) return notBegun(begun)
  const { job, epoch } = begun
  const logger = loggerOf(job, epoch, options.logger)
  using controller = childController(control.lease.signal)
  control.begun?.((reason) => controller.abort(reason))
  const describe = (error: AppError) => jobProblem(error, job.id)
  const now = options.clock.now()
  const watch = (options.observer ?? NOBODY).began(job, registryOf(job))
  const trace = createRunTrace({
    all: job.options.trace === true,
    attempt: job.attempt,
    onNews: () => reporter.onRequests(),
  })
  const places = createRunPlaces({ principal: job.principal, limits: begun.limits })
  using _shared = options.sharedTraces?.join(registryOf(job), trace, places.knows)
  const reporter = createReporter({
    runs: options.runs,
    jobId: job.id,
    epoch,
    ledger: createLedger({ progress: job.progress, transfers: begun.transfers, describe, now }),
    before: job.progress,
    transfers: begun.transfers,
    trace,
    clock: options.clock,
    abort: (reason) => controller.abort(reason),
    onProgress: (progress) => watch.progress(progress),
  })
  using pace = watchSlowness(options.slow ?? SLOW_LIMIT, (error) => controller.abort(error))
  logBegin(logger, job)
  const around = options.observer?.around ?? ((_job: Job, work: () => Promise<RunOutcome | AppError>) => work())
  const { signal } = controller
  const parts = { signal, lease: control.lease, reporter, watch, pace, trace, places, logger }
  const context = contextOf(begun, options, parts)
  const ended = await around(job, () => attempt(begun, options, context))
  const outcome = 'code' in ended ? decide(ended, begun, options, reporter.progressed()) : ended
  const over = outcome !== 'fenced' && TERMINAL_STATES.has(outcome.state)
  const report = await reporter.close(over ? 'canceled' : 'waiting', { failed: over && outcome.state === 'failed' })
  const code = 'code' in ended ? ended.code : undefined
  if (outcome === 'fenced') {
    watch.ended('fenced', code)
    logger.warn('run ends: another run of this job has taken over')
    return { next: 'done' }
  }
  logEnd(logger, outcome, 'code' in ended ? ended : undefined)
  watch.ended(outcome.state, code)
  return nextAfter(await options.runs.finish(job.id, epoch, outcome, report), outcome)
}

function notBegun({ held }: EndedRun): RunEnd {
  return { next: held ? 'release' : 'done' }
}

interface RunParts extends Pick<RunContext, 'signal' | 'trace' | 'places' | 'logger'> {
  lease: Pick<Lease, 'check'>
  reporter: Reporter
  watch: RunWatch
  pace: Omit<SlowWatch, 'look'>
}

function contextOf(
  { job, epoch, credentials, wasOnce }: BegunRun,
  { runs }: RunOptions,
  { lease, reporter, watch, pace, ...parts }: RunParts,
): RunContext {
  return {
    ...parts,
    onEvent: (event) => {
      reporter.onEvent(event)
      watch.event(event)
      pace.event(event)
    },
    onBody: (answer, bytes) => {
      pace.body(answer, bytes)
      watch.body?.(bytes ?? 0)
    },
    epoch,
    credentials,
    checkLease: () => lease.check(),
    checkOwnership: () => checkOwnership(() => runs.check(job.id, epoch), lease),
    once: {
      was: wasOnce,
      async begin() {
        if (wasOnce || !(await runs.once(job.id, epoch))) throw interrupted(job)
      },
    },
  }
}

/** Nobody knows how far the lost run got. */
function interrupted({ id, kind }: Job): AppError {
  return new AppError(
    'DEPLOY_INTERRUPTED',
    `the worker that ran this ${kind} was lost, and it is not run twice by itself`,
    {
      hint: 'Look at what the cluster has now (layerd deployments), and retry the job if it is to run again.',
      details: { jobId: id },
    },
  )
}

function nextAfter(finished: FinishedRun, outcome: RunOutcome): RunEnd {
  if (finished.fenced) return { next: 'done' }
  if (finished.state === 'retrying' && outcome.state === 'retrying')
    return { next: 'delay', until: outcome.retryAt.getTime() }
  if (finished.state === 'queued' && outcome.state === 'queued' && outcome.until)
    return { next: 'delay', until: outcome.until.getTime() }
  return finished.state === 'queued' ? { next: 'release' } : { next: 'done' }
}

/** What Redis says is as old as its answer is late: one that took longer is asked for again. */
const FRESH_MS = 1000

async function checkOwnership(check: () => Promise<void>, lease: Pick<Lease, 'check'>): Promise<void> {
  let askedAt: number
  do {
    askedAt = performance.now()
    await check()
  } while (performance.now() - askedAt > FRESH_MS)
  lease.check()
}

/** The outcome of the work, or the error it ended with; once aborted, the reason of that is what counts. */
async function attempt({ job }: BegunRun, options: RunOptions, context: RunContext): Promise<RunOutcome | AppError> {
  try {
    const work = options.work[job.kind]
    if (!work) throw new Error(`this worker has no work for jobs of kind ${job.kind}`)
    const result = await work(job, context)
    const startedAt = Date.parse(job.startedAt ?? job.createdAt)
    return { state: 'succeeded', result: { ...result, durationMs: Math.max(0, options.clock.now() - startedAt) } }
  } catch (error) {
    return context.signal.aborted ? abortReason(context.signal) : toAppError(error)
  }
}

function decide(
  error: AppError,
  { job, retries }: BegunRun,
  options: RunOptions,
  progressed: boolean,
): RunOutcome | 'fenced' {
  return outcomeOf(error, { jobId: job.id, retries, progressed, now: options.clock.now(), random: Math.random() })
}

/** Each line tells whose job it is, and of which request. */
function loggerOf({ id, principal, requestId, traceparent }: Job, epoch: number, logger: Logger): Logger {
  return logger.child({ jobId: id, epoch, principal, requestId, ...(traceparent === null ? {} : { traceparent }) })
}

function logBegin(logger: Logger, { kind, attempt: run, source, destination }: Job): void {
  logger.info({ kind, attempt: run, source, destination }, 'run begins')
}

function logEnd(logger: Logger, outcome: RunOutcome, error: AppError | undefined): void {
  if (error?.code === 'INTERNAL') logger.error({ err: error.cause ?? error }, 'run failed inside layerd')
  const code = error?.code
  if (outcome.state === 'failed' || outcome.state === 'retrying')
    logger.warn({ state: outcome.state, code, detail: error?.message }, 'run ends')
  else logger.info({ state: outcome.state, ...(code === undefined ? {} : { code }) }, 'run ends')
}
