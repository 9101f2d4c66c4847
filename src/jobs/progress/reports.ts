import type { Limits } from '../../access/limits.ts'
import type { Job, JobPackage, JobResult, Problem, Progress, Transfer } from '../model/definitions.ts'
import type { JobCredentials } from '../model/requests.ts'
import type { TracedRequest } from './trace.ts'

export interface BegunRun {
  ended: false
  job: Job
  /** Goes up by one with each run; every later write of this run carries it. */
  epoch: number
  /** What the caller sent with X-Registry-Auth, or undefined. */
  credentials: JobCredentials | undefined
  /** What it may touch: all of these have to let it. */
  limits: readonly Limits[]
  /** Rows that earlier runs left, in order of appearance. */
  transfers: Transfer[]
  /** Runs in a row that ended in `retrying` without a new byte; the worker's retry budget counts them. */
  retries: number
  /** An earlier run began what may not be done twice (JobRuns.once), and nobody has asked to retry the job since. */
  wasOnce: boolean
}

/** Nothing to do: the job has ended, is paused, or another dispatch took its place; or its queue is paused, and the job waits on. */
export interface EndedRun {
  ended: true
  held?: true
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
  /** What the job is about, where that became known or is another than was thought; told as a `state` event. */
  package?: JobPackage
  /** Rows that changed or are new. */
  transfers?: readonly Transfer[]
  events?: readonly RunEvent[]
  trace?: TracePart | undefined
}

/** Requests of a run that are new. */
export interface TracePart {
  readonly requests: readonly TracedRequest[]
  /** How many there were beside these, which nobody kept. */
  readonly dropped: number
  /** How many are to be kept of the job in all; the oldest go. */
  readonly most: number
}

export type RunOutcome =
  | { state: 'succeeded'; result: JobResult }
  | { state: 'failed'; error: Problem }
  | { state: 'canceled'; reason: string | null }
  | { state: 'paused'; reason: string | null }
  /**
   * The worker moves the BullMQ job to delayed itself, right after. With a `reason` of its own the run gave its place up: it
   * is no failed try, and the next one counts as the same attempt. A `spared` one does not count among those that brought
   * nothing either: the registry let nobody in.
   */
  | { state: 'retrying'; retryAt: Date; error: Problem; reason?: string; spared?: boolean }
  /**
   * Drain: the worker moves the BullMQ job to wait itself, right after. No room yet, with `until`: to delayed; such a run
   * only looked, and the next one counts as the same attempt.
   */
  | { state: 'queued'; reason: string; until?: Date }

export type ReportAnswer = 'ok' | 'fenced' | 'canceled' | 'paused'
export type FinishedRun = { fenced: true } | { fenced: false; state: Job['state'] }
