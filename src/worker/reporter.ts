import { jobPackage } from '../jobs/model/job-package.ts'
import type { JobPackage, Progress, Transfer } from '../jobs/model/definitions.ts'
import type { JobRuns } from '../jobs/runs.ts'
import type { RunEvent, RunReport, TracePart } from '../jobs/progress/reports.ts'
import { jobCanceled, jobPaused } from '../jobs/model/stops.ts'
import type { Clock } from '../lib/clock.ts'
import { createCoalescer } from '../lib/coalescer.ts'
import { AppError, toAppError } from '../lib/errors.ts'
import type { EngineEvent } from '../transfer/events.ts'
import type { Ledger } from './ledger.ts'
import type { RunTrace } from './traces/run-trace.ts'

/** At most four reports a second for a job (api.md "Rate"). */
const INTERVAL_MS = 250

export interface ReporterOptions {
  runs: Pick<JobRuns, 'report'>
  jobId: string
  epoch: number
  ledger: Ledger
  /** Progress before this run. */
  before: Progress
  transfers: readonly Transfer[]
  /** What its requests did. Default: nobody keeps it. */
  trace?: RunTrace
  clock: Clock
  /** Ends the run: it was fenced, canceled or paused, or its reports cannot be written. */
  abort: (reason: AppError) => void
  /** Told of the progress that is reported. */
  onProgress?: (progress: Progress) => void
}

/**
 * Carries the engine's events to Redis: bytes are coalesced, changes of state never lost. One report is under way at a
 * time; what happens meanwhile goes with the next, so a slow Redis makes reports larger, not more.
 */
export interface Reporter {
  onEvent(event: EngineEvent): void
  /** There are requests to tell of. */
  onRequests(): void
  /** Stops reporting and hands back what was not told yet, with the state of what was under way; it goes with the run's end. */
  close(rest: 'waiting' | 'canceled', ending?: { failed: boolean }): Promise<RunReport>
  /** Whether this run moved a byte that no run before had moved. */
  progressed(): boolean
}

export function createReporter(options: ReporterOptions): Reporter {
  const { ledger, clock } = options
  const told = new Map(options.transfers.map((row) => [row.digest, row.state]))
  let planned = options.before.bytesTotal !== null
  let pending: RunEvent[] = []
  let named: JobPackage | undefined
  const beginOfWaiting = createWaitLog()

  const take = (trace: TracePart | undefined): RunReport => {
    const progress = ledger.progress(clock.now())
    options.onProgress?.(progress)
    const rows = ledger.takeChanged()
    const events = pending
    pending = []
    if (!planned && progress.bytesTotal !== null) {
      planned = true
      events.push({ type: 'plan', progress })
    }
    const about = named === undefined ? {} : { package: named }
    named = undefined
    return { progress, ...about, transfers: rows, events: [...events, ...rowEvents(rows, told, progress)], trace }
  }

  const send = async (): Promise<void> => {
    try {
      const answer = await options.runs.report(options.jobId, options.epoch, take(await options.trace?.take()))
      if (answer === 'fenced') options.abort(new AppError('JOB_FENCED', 'another run of this job has taken over'))
      if (answer === 'canceled') options.abort(jobCanceled(options.jobId, ''))
      if (answer === 'paused') options.abort(jobPaused(options.jobId, ''))
    } catch (error) {
      options.abort(toAppError(error))
    }
  }
  const reports = createCoalescer({ intervalMs: INTERVAL_MS, clock, send })

  return {
    onEvent(event) {
      ledger.apply(event)
      if (event.type === 'package') named = jobPackage(event.identity)
      if (event.type === 'log') pending.push({ type: 'log', level: event.level, message: event.message })
      if (event.type === 'waiting') pending.push(...beginOfWaiting(event))
      if (event.type === 'restarted') pending.push({ type: 'log', level: 'warn', message: event.message })
      if (event.type === 'warning') pending.push({ type: 'warning', code: event.code, message: event.message })
      reports.request(event.type === 'phase' || event.type === 'package')
    },
    onRequests: () => reports.request(false),
    async close(rest, { failed } = { failed: false }) {
      await reports.close()
      ledger.rest(rest)
      const requests = await options.trace?.rest(failed)
      return take(requests)
    },
    progressed: () => ledger.progress(clock.now()).bytesDone > options.before.bytesDone,
  }
}

/** Of registries that a job's requests wait for; more are in the progress alone. */
const MOST_LIMITS = 10

/**
 * Said once, not by each request of a registry that is down, nor of one that lets them in one by one: how long it lasts is in
 * the progress.
 */
function createWaitLog(): (event: Extract<EngineEvent, { type: 'waiting' }>) => RunEvent[] {
  const failed = new Set<object>()
  const limits = new Set<string>()
  const say = (message: string): RunEvent[] => [{ type: 'log', level: 'warn', message }]
  return ({ request, wait }) => {
    if (wait?.error.code === 'REGISTRY_THROTTLED') {
      const { message } = wait.error
      if (limits.size === MOST_LIMITS || limits.has(message)) return []
      limits.add(message)
      return say(`${message}; they go out as it lets them`)
    }
    const first = wait !== undefined && failed.size === 0
    if (wait) failed.add(request)
    else failed.delete(request)
    return first ? say(`${wait.error.message}; it is tried again`) : []
  }
}

/**
 * A row that changed its state is told in a transfer event, one that only moved bytes with the progress. Waiting rows
 * are told by nobody: a package of thousands of layers would fill its stream with them; the transfers page has them.
 */
function rowEvents(rows: readonly Transfer[], told: Map<string, Transfer['state']>, progress: Progress): RunEvent[] {
  const changed: Transfer[] = []
  const moved: Transfer[] = []
  for (const row of rows) {
    if (row.state === 'waiting') continue
    if (told.get(row.digest) === row.state) moved.push(row)
    else changed.push(row)
    told.set(row.digest, row.state)
  }
  const progressEvent: RunEvent = { type: 'progress', progress, transfers: moved }
  return changed.length === 0 ? [progressEvent] : [{ type: 'transfer', transfers: changed }, progressEvent]
}
