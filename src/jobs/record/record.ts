import { isLimited, type Limits, NO_LIMITS } from '../../access/limits.ts'
import type { Job, JobState, Progress } from '../model/definitions.ts'
import { TERMINAL_STATES } from '../model/definitions.ts'
import type { NewJob } from '../model/requests.ts'

/**
 * A job's record is one Redis hash. These fields hold JSON fragments, which scripts/jobs/record.lua joins to a job; `state` is
 * plain; all others are the queue's own and never answered.
 */
const FRAGMENTS = [
  'kind',
  'source',
  'destination',
  'options',
  'labels',
  'package',
  'reason',
  'revision',
  'attempt',
  'createdAt',
  'startedAt',
  'endedAt',
  'progress',
  'result',
  'error',
] as const

/** These are text as it is. */
const TEXTS = ['principal', 'requestId', 'traceparent'] as const

/** For HMGET; `parseRecord` takes the values in this order. */
export const DOCUMENT_FIELDS = ['state', ...TEXTS, ...FRAGMENTS] as const

/** The job of an HMGET of DOCUMENT_FIELDS, or undefined when there is no record. */
export function parseRecord(id: string, values: ReadonlyArray<string | null>): Job | undefined {
  const [state, principal, requestId, traceparent, ...fragments] = values
  if (!state) return undefined
  const document = Object.fromEntries(FRAGMENTS.map((name, at) => [name, JSON.parse(fragments[at] ?? 'null')]))
  // Records of earlier versions lack what came since.
  const progress = { ...initialProgress(String(document['createdAt'])), ...(document['progress'] as Progress) }
  const texts = { principal: principal ?? 'anonymous', requestId: requestId ?? '', traceparent: traceparent || null }
  return { id, ...document, ...texts, progress, state, done: TERMINAL_STATES.has(state as JobState) } as Job
}

/** The fields of a new record, as names and values for HSET. */
export function newRecord(job: NewJob, now: number, idempotencyKey: string): string[] {
  const createdAt = new Date(now).toISOString()
  const document = {
    kind: job.kind,
    source: job.source,
    destination: job.destination,
    options: job.options,
    labels: job.labels,
    package: null,
    reason: null,
    revision: 0,
    attempt: 0,
    createdAt,
    startedAt: null,
    endedAt: null,
    progress: initialProgress(createdAt),
    result: null,
    error: null,
  } satisfies Record<(typeof FRAGMENTS)[number], unknown>
  const own = {
    host: job.queueHost,
    registries: JSON.stringify(job.registries),
    principal: job.principal,
    limits: keptLimits(job.limits ?? NO_LIMITS),
    requestId: job.requestId,
    traceparent: job.traceparent ?? '',
    idempotencyKey,
    round: '1',
    epoch: '0',
    seq: '0',
    retries: '0',
  }
  return [
    ...Object.entries(document).flatMap(([name, value]) => [name, JSON.stringify(value)]),
    ...Object.entries(own).flat(),
  ]
}

/** As a field of the record; empty where nothing is limited. */
export function keptLimits(limits: Limits): string {
  return isLimited(limits) ? JSON.stringify(limits) : ''
}

/** What a job's runs are held to, all of it; of HMGET, as LIMIT_FIELDS has them. */
export function parseLimits(values: ReadonlyArray<string | null>): Limits[] {
  return values.flatMap((text) => (text ? [JSON.parse(text) as Limits] : []))
}

/** For HMGET: of who asked for the job, and of who let it go on last. */
export const LIMIT_FIELDS = ['limits', 'againLimits'] as const

/** Of a job that no run has begun; `updatedAt` in ISO. */
export function initialProgress(updatedAt: string): Progress {
  return {
    phase: null,
    bytesTotal: null,
    bytesTotalEstimate: null,
    bytesDone: 0,
    bytesSkipped: 0,
    bytesMounted: 0,
    bytesResumed: 0,
    bytesSent: 0,
    wireBytes: 0,
    sourceBytesRead: 0,
    sourceBytes: null,
    layers: { total: null, done: 0, skipped: 0, mounted: 0, failed: 0 },
    bytesPerSecond: 0,
    etaSeconds: null,
    reason: null,
    retryAt: null,
    updatedAt,
  }
}
