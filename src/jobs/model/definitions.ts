import { type Static, Type } from 'typebox'
import { JobOptions } from './job-options.ts'
import { JobPackage } from './job-package.ts'
import { Bytes, JobResult, Nullable, type Problem } from './outcome.ts'

export { JobPackage } from './job-package.ts'
export { JobResult, Problem, Removal, Signature, TransferPlan } from './outcome.ts'

/**
 * The resources of the API as they are kept and answered: one TypeBox value is schema and type at once.
 * Source: api.md "Decided".
 */
export const JOB_KINDS = [
  'publish',
  'pull',
  'copy',
  'inspect',
  'verify',
  'mirror',
  'apply',
  'delete',
  'retention',
  'deploy',
  'remove',
] as const
export const JobKind = Type.Enum([...JOB_KINDS], { description: 'What the job does.' })
export type JobKind = (typeof JOB_KINDS)[number]

export const JOB_STATES = [
  'queued',
  'scheduled',
  'running',
  'retrying',
  'paused',
  'canceling',
  'canceled',
  'succeeded',
  'failed',
] as const
export const JobState = Type.Enum([...JOB_STATES], {
  description: 'Clients must accept states they do not know.',
})
export type JobState = (typeof JOB_STATES)[number]

export const TERMINAL_STATES: ReadonlySet<JobState> = new Set<JobState>(['canceled', 'succeeded', 'failed'])

const Timestamp = (description: string) => Type.String({ format: 'date-time', description })

export const PHASES = ['planning', 'transferring', 'verifying', 'committing'] as const

export const Progress = Type.Object(
  {
    phase: Nullable(Type.Enum([...PHASES], { description: 'null until a run begins.' })),
    bytesTotal: Nullable(Bytes('Bytes of all layers and the config; null until known.')),
    bytesTotalEstimate: Nullable(
      Bytes('What bytesTotal will be about, while it is null and something can be said; it may go up and down.'),
    ),
    bytesDone: Bytes('bytesSkipped + bytesMounted + bytesResumed + bytesSent. Never runs backwards.'),
    bytesSkipped: Bytes('Bytes the destination held already.'),
    bytesMounted: Bytes('Bytes taken over from another repository of the registry.'),
    bytesResumed: Bytes('Bytes of a cut transfer that were kept.'),
    bytesSent: Bytes('Bytes moved, each counted once.'),
    wireBytes: Bytes('Bytes moved, those moved again included, over all runs.'),
    sourceBytesRead: Bytes('How far the source was read, in its own bytes.'),
    sourceBytes: Nullable(Bytes('Size of the source archive.')),
    layers: Type.Object({
      total: Nullable(
        Type.Integer({
          minimum: 0,
          description: 'Known before bytesTotal; a signature may add one or two until then.',
        }),
      ),
      done: Type.Integer({ minimum: 0, description: 'Skipped and mounted ones included.' }),
      skipped: Type.Integer({ minimum: 0 }),
      mounted: Type.Integer({ minimum: 0 }),
      failed: Type.Integer({ minimum: 0 }),
    }),
    bytesPerSecond: Nullable(
      Type.Number({ minimum: 0, description: 'Smoothed; null in a job whose figures are older than 5 s.' }),
    ),
    etaSeconds: Nullable(Type.Number({ minimum: 0, description: 'From the estimate where the total is not known.' })),
    reason: Nullable(Type.String({ description: 'What the job waits for until retryAt, where it is no transfer.' })),
    retryAt: Nullable(Timestamp('When the next try of a waiting transfer or job starts.')),
    updatedAt: Timestamp('When these figures were taken.'),
  },
  { $id: 'Progress' },
)
export type Progress = Static<typeof Progress>

export const TRANSFER_STATES = [
  'waiting',
  'exists',
  'mounted',
  'active',
  'retrying',
  'verifying',
  'complete',
  'failed',
  'canceled',
] as const

export const Transfer = Type.Object(
  {
    digest: Type.String(),
    title: Type.String({ description: "The layer's path in the package; config for the config blob." }),
    mediaType: Type.String(),
    size: Bytes('Bytes.'),
    state: Type.Enum([...TRANSFER_STATES]),
    bytesDone: Bytes('High-water mark.'),
    bytesResumed: Type.Optional(Bytes('Of these, kept from a cut transfer of an earlier run.')),
    bytesSkipped: Type.Optional(Bytes('Of these, sent by another job that needs the same blob.')),
    attempt: Type.Integer({ minimum: 0 }),
    retryAt: Nullable(Timestamp('When the next try starts.')),
    error: Nullable(Type.Ref('Problem')),
  },
  { $id: 'Transfer', description: 'One blob of a job.' },
)
export type Transfer = Omit<Static<typeof Transfer>, 'error'> & { error: Problem | null }

export const Job = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    kind: JobKind,
    source: Type.String(),
    destination: Nullable(Type.String()),
    options: JobOptions,
    labels: Type.Record(Type.String(), Type.String()),
    principal: Type.String({ description: 'Who asked for it: the name of a token, or anonymous.' }),
    requestId: Type.String({ description: 'X-Request-Id of the request that made it.' }),
    traceparent: Nullable(Type.String({ description: 'Of that request (W3C Trace Context), where it had one.' })),
    package: Nullable(JobPackage),
    state: JobState,
    reason: Nullable(Type.String({ description: 'Why it is in this state, where that is not plain.' })),
    done: Type.Boolean({ description: 'Whether the state is final.' }),
    revision: Type.Integer({ minimum: 1, description: 'Goes up with each change; the ETag is "r<revision>".' }),
    attempt: Type.Integer({
      minimum: 0,
      description: 'Runs begun; a takeover and a retry add one, looking for room in the store does not.',
    }),
    createdAt: Timestamp('When it was accepted.'),
    startedAt: Nullable(Timestamp('When its first run began.')),
    endedAt: Nullable(Timestamp('When it ended.')),
    progress: Type.Ref('Progress'),
    result: Nullable(JobResult),
    error: Nullable(Type.Ref('Problem')),
  },
  { $id: 'Job' },
)
export type Job = Omit<Static<typeof Job>, 'progress' | 'error' | 'result'> & {
  progress: Progress
  error: Problem | null
  result: JobResult | null
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const JobLogLine = Type.Object(
  {
    time: Timestamp('When it was written.'),
    attempt: Type.Integer({ minimum: 0, description: 'Of the run it belongs to.' }),
    level: Type.Enum([...LOG_LEVELS]),
    message: Type.String(),
  },
  { $id: 'JobLogLine', description: 'What became of a job, in words.' },
)
export type JobLogLine = Static<typeof JobLogLine>

/** Event types in the order a stream may show them. `ping` has no id. Source: api.md "Events". */
export const EVENT_TYPES = [
  'snapshot',
  'state',
  'plan',
  'transfer',
  'progress',
  'log',
  'warning',
  'reset',
  'ping',
  'end',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

interface EventBase {
  jobId: string
  /** Counts the job's events from 1; no gaps. */
  seq: number
  time: string
  attempt: number
}

export type JobEvent = EventBase &
  (
    | { type: 'snapshot'; job: Job; transfers: Transfer[] }
    | { type: 'state'; job: Job }
    | { type: 'plan'; progress: Progress }
    | { type: 'transfer'; transfers: Transfer[] }
    | { type: 'progress'; progress: Progress; transfers: Transfer[] }
    | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }
    | { type: 'warning'; code: string; message: string }
    | { type: 'reset' }
    | { type: 'ping' }
    | { type: 'end'; job: Job }
  )
