import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { AppError } from '../lib/errors.ts'
import type { Dispatch } from './dispatch/dispatch.ts'
import { type LeftUpload, tidyJobs } from './uploads/left-uploads.ts'
import type { BegunRun, EndedRun, FinishedRun, ReportAnswer, RunOutcome, RunReport } from './progress/reports.ts'
import {
  beginOnce,
  beginRun,
  checkRun,
  finishRun,
  readStop,
  reapAbandoned,
  reportRun,
  type RunContext,
} from './commands/run-commands.ts'
import { type JobStoreOptions, openJobStore } from './commands/job-store.ts'
import { recheckOwners } from './commands/owners.ts'
import {
  createTraceShedder,
  recountOpen,
  removeExpired,
  requeueOrphans,
  sweepOutbox,
  settleQueues,
} from './commands/upkeep.ts'

import { forgetWorker, tellOfWorker, type WorkerOrders, type WorkerWord } from './system/worker-records.ts'

export type { LeftUpload } from './uploads/left-uploads.ts'

/**
 * The worker's side of the jobs. A stale epoch changes nothing, whoever carries it. Calls wait while Redis is gone (the
 * worker's connection retries), and may be sent twice by a reconnect without harm.
 */
export interface JobRuns {
  /**
   * Compare-and-set on the record: a terminal state ends it here, `canceling` becomes `canceled`, a run that was to pause
   * and lost its worker `paused`; else epoch and attempt
   * go up by one (attempt not after a run that only looked for room or gave its place up), state `running`. A run that finds `running` took over from a lost worker; the third in a row without a
   * new byte fails the job with JOB_STALLED and returns `ended`.
   */
  begin(dispatch: Dispatch, workerName: string): Promise<BegunRun | EndedRun>
  /** `canceled`, `paused`: written, and that is requested. */
  report(jobId: string, epoch: number, report: RunReport): Promise<ReportAnswer>
  /**
   * Ends the run, with a last report in the same step. When a cancel was requested every outcome but `succeeded` becomes
   * `canceled`; when a pause was, `queued` and `retrying` become `paused`. The state entered is returned, so that the
   * worker knows whether to delay, release or drop the BullMQ job.
   */
  finish(jobId: string, epoch: number, outcome: RunOutcome, report?: RunReport): Promise<FinishedRun>
  /** Right before a manifest or tag PUT. Throws JOB_FENCED, JOB_CANCELED or JOB_PAUSED. */
  check(jobId: string, epoch: number): Promise<void>
  /**
   * Right before what may not be done twice: false where an earlier run was there, and nobody has asked to retry the job since. What comes of a run that
   * was lost after that nobody knows. Throws JOB_FENCED.
   */
  once(jobId: string, epoch: number): Promise<boolean>
  /** JOB_CANCELED or JOB_PAUSED when that is requested of the job's run. */
  readStop(jobId: string): Promise<AppError | undefined>
  /** Gives a sign of this worker, and what it says of itself (default: that it takes one job at once); call it every 5 s at least. */
  heartbeat(workerName: string, word?: WorkerWord): Promise<WorkerOrders>
  /** Takes the worker off the list at once: after a drain, or by the supervisor when the process has died. */
  forgetWorker(workerName: string): Promise<void>
  /** Ends the runs of jobs that are to be canceled or paused and whose worker is gone; returns how many. */
  reapAbandoned(): Promise<number>
  /**
   * Every second: gives up the upload sessions that runs of jobs left open and nobody goes on with; returns how many.
   * Those of which `giveUp` says false are tried again, later and later.
   */
  tidyJobs(giveUp: (left: LeftUpload) => Promise<boolean>): Promise<number>
  /** Hosts with jobs that have not ended, and how many. */
  hosts(): Promise<Array<{ host: string; openJobs: number }>>
  /**
   * At the worker's start and every 5 s: of registries without a limit of their own so many jobs run at once as the least of live workers
   * says, this one by its options; and what BullMQ goes by is set right. Returns of how many queues it was.
   */
  settleQueues(workerName: string): Promise<number>
  /** Every 5 s: brings to BullMQ what an API accepted and could not hand over; returns how many. */
  sweepOutbox(): Promise<number>
  /** Every minute: queues again what has not ended and what BullMQ no longer knows; returns how many. */
  requeueOrphans(): Promise<number>
  /** Every 10 minutes: sets right how many open jobs hosts and principals have; returns of how many that was wrong. */
  recountOpen(): Promise<number>
  /** As often: puts jobs of older versions into the sets of who asked for them; returns how many were in none. */
  recheckOwners(): Promise<number>
  /** Every 5 s: forgets events, logs and requests of ended jobs, oldest first, while Redis is short of memory; returns of how many. */
  shedTraces(): Promise<number>
  /** Every hour: removes ended jobs past 30 days or past the newest 10,000; returns how many. */
  removeExpired(): Promise<number>
  close(): Promise<void>
}

/** Opens a connection of its own, which waits for Redis. */
export function createJobRuns(options: JobStoreOptions): JobRuns {
  const store = openJobStore(options, { role: 'worker', name: 'layerd-runs' })
  const context: RunContext = { ...store, caller: randomUUID(), calls: 0, host: hostname(), pid: process.pid }
  const { redis, keys } = store
  return {
    begin: (dispatch, workerName) => beginRun(context, dispatch, workerName),
    report: (jobId, epoch, report) => reportRun(context, { jobId, epoch }, report),
    finish: (jobId, epoch, outcome, report = {}) => finishRun(context, { jobId, epoch }, outcome, report),
    check: (jobId, epoch) => checkRun(context, { jobId, epoch }),
    once: (jobId, epoch) => beginOnce(context, { jobId, epoch }),
    readStop: (jobId) => readStop(context, jobId),
    heartbeat: (workerName, word = { places: 1 }) => tellOfWorker(store, workerName, word),
    forgetWorker: (workerName) => forgetWorker(store, workerName),
    reapAbandoned: () => reapAbandoned(context),
    tidyJobs: (giveUp) => tidyJobs(store, giveUp),
    async hosts() {
      const flat = await redis.zrange(keys.hosts, '0', '-1', 'WITHSCORES')
      return Array.from({ length: flat.length / 2 }, (_, at) => ({
        host: flat[2 * at] as string,
        openJobs: Number(flat[2 * at + 1]),
      }))
    },
    settleQueues: (workerName) => settleQueues(store, workerName),
    sweepOutbox: () => sweepOutbox(store),
    requeueOrphans: () => requeueOrphans(store),
    recountOpen: () => recountOpen(store),
    recheckOwners: () => recheckOwners(store),
    shedTraces: createTraceShedder(store),
    removeExpired: () => removeExpired(store),
    close: () => store.close(),
  }
}
