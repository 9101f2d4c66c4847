import type { Job, JobResult, Problem, Progress, Transfer } from './definitions.ts'
import type { JobCredentials } from './queue.ts'

/** What a BullMQ job carries; everything else is read from the record. `round` counts dispatches: a retry adds one. */
export interface Dispatch {
  id: string
  round: number
}

export interface BegunRun {
  ended: false
  job: Job
  /** Goes up by one with each run; every later write of this run carries it. */
  epoch: number
  /** What the caller sent with X-Registry-Auth, or undefined. */
  credentials: JobCredentials | undefined
  /** Rows that earlier runs left, in order of appearance. */
  transfers: Transfer[]
  /** Runs in a row that ended in `retrying` without a new byte; the worker's retry budget counts them. */
  retries: number
}

/** Nothing to do: the job has ended, is paused, or another dispatch took its place. */
export interface EndedRun {
  ended: true
}

/** What a run may tell while it goes; jobId, seq, time and attempt are added where the event is stored. */
export type RunEvent =
  | { type: 'plan'; progress: Progress }
  | { type: 'transfer'; transfers: Transfer[] }
  | { type: 'progress'; progress: Progress; transfers: Transfer[] }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }
  | { type: 'warning'; code: string; message: string }

/** Snapshot changes and the events that tell them, written in one step. */
export interface RunReport {
  progress?: Progress
  /** Rows that changed or are new. */
  transfers?: readonly Transfer[]
  events?: readonly RunEvent[]
}

export type RunOutcome =
  | { state: 'succeeded'; result: JobResult }
  | { state: 'failed'; error: Problem }
  | { state: 'canceled'; reason: string | null }
  /** The worker moves the BullMQ job to delayed itself, right after. */
  | { state: 'retrying'; retryAt: Date; error: Problem }
  /** Drain: the worker moves the BullMQ job to wait itself, right after. */
  | { state: 'queued'; reason: string }

/**
 * The worker's side of the jobs. A stale epoch changes nothing, whoever carries it. Calls wait while Redis is gone (the
 * worker's connection retries), and may be sent twice by a reconnect without harm.
 */
export interface JobRuns {
  /**
   * Compare-and-set on the record: a terminal state ends it here, `canceling` becomes `canceled`; else epoch and attempt
   * go up by one, state `running`. A run that finds `running` took over from a lost worker; the third in a row without a
   * new byte fails the job with JOB_STALLED and returns `ended`.
   */
  begin(dispatch: Dispatch, workerName: string): Promise<BegunRun | EndedRun>
  /** `canceled`: written, and a cancel is requested. */
  report(jobId: string, epoch: number, report: RunReport): Promise<'ok' | 'fenced' | 'canceled'>
  /**
   * Ends the run, with a last report in the same step. When a cancel was requested every outcome but `succeeded` becomes
   * `canceled`; the state entered is returned, so that the worker knows whether to delay, release or drop the BullMQ job.
   */
  finish(
    jobId: string,
    epoch: number,
    outcome: RunOutcome,
    report?: RunReport,
  ): Promise<{ fenced: true } | { fenced: false; state: Job['state'] }>
  /** Right before a manifest or tag PUT. Throws JOB_FENCED or JOB_CANCELED. */
  check(jobId: string, epoch: number): Promise<void>
  /** The reason of a requested cancel (empty string without one), or undefined when none is requested. */
  readCancel(jobId: string): Promise<string | undefined>
  /** Says that this worker takes jobs; call it every 5 s. */
  heartbeat(workerName: string): Promise<void>
  /** Takes the worker off the list at once: after a drain, or by the supervisor when the process has died. */
  forgetWorker(workerName: string): Promise<void>
  /** Ends `canceling` jobs whose worker is gone; returns how many. */
  reapCanceling(): Promise<number>
  /** Hosts with jobs that have not ended, and how many. */
  hosts(): Promise<Array<{ host: string; openJobs: number }>>
}

/** What wakes a worker. `gap`: the subscription broke and is back, so read flags and hosts again. */
export interface WorkerSignals {
  cancel(jobId: string, reason: string): void
  host(host: string): void
  gap(): void
}
