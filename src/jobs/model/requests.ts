import type { Limits } from '../../access/limits.ts'
import type { JobKind, JobState, Transfer } from './definitions.ts'
import type { JobOptions } from './job-options.ts'

/** Jobs that no registry has a part in share a queue of their own. */
export const LOCAL_QUEUE = 'local'

/** A job as accepted by the API: validated, references parsed, file opened and found inside the roots. */
export interface NewJob {
  kind: JobKind
  source: string
  destination: string | null
  options: JobOptions
  labels: Readonly<Record<string, string>>
  /** Which queue: the registry's host[:port], or LOCAL_QUEUE. design.md "One queue per registry host". */
  queueHost: string
  /** All registries the job talks to, for the list filter. */
  registries: readonly string[]
  /** Who asked (token name, or "anonymous"). */
  principal: string
  /** What who asked may touch: its runs are held to it, as they find out where the job really goes. Default: everything. */
  limits?: Limits
  requestId: string
  /** W3C Trace Context, where the request had one. */
  traceparent?: string
}

/** Registry credentials as the caller sent them (decoded X-Registry-Auth); sealed before they reach Redis. */
export interface JobCredentials {
  registry: string
  username?: string
  password?: string
  identityToken?: string
  registryToken?: string
  /** Of the other registry of a job that has two. */
  also?: Omit<JobCredentials, 'also' | 'variables'>
  /** Of a deploy: what its caller called sensitive, by name. */
  variables?: Readonly<Record<string, string>>
}

export interface Idempotency {
  /** Caller's key with principal, method and route; hashed by the queue. */
  scope: string
  /** SHA-256 of the canonical body. */
  fingerprint: string
}

export interface CreateOptions {
  idempotency?: Idempotency
  credentials?: JobCredentials
}

export interface JobFilter {
  states?: readonly JobState[]
  kinds?: readonly JobKind[]
  labels?: ReadonlyArray<{ key: string; value: string }>
  registry?: string
  /** RFC 3339; jobs accepted after it. */
  createdAfter?: string
  /** RFC 3339; jobs that ended after it. */
  endedAfter?: string
  /** Codes of the error a job shows; any of them. */
  errorCodes?: readonly string[]
  /** The name of what the job is about, as the job has it. */
  package?: string
  principal?: string
  requestId?: string
  /** The whole header, or the trace-id in it. */
  traceparent?: string
  /** Stands in id, source, destination, package, result, labels or principal, whatever the case. */
  q?: string
  /** Default -createdAt: newest first. By endedAt there are ended jobs alone. */
  sort?: JobSort
}

export const JOB_SORTS = ['-createdAt', 'createdAt', '-endedAt', 'endedAt'] as const
export type JobSort = (typeof JOB_SORTS)[number]

export interface TransferFilter {
  states?: ReadonlyArray<Transfer['state']>
  /** Stands in title or digest, whatever the case. */
  q?: string
  /** Default: as they appeared. */
  sort?: TransferSort
}

export const TRANSFER_SORTS = ['added', 'size', '-size', 'title', '-title'] as const
export type TransferSort = (typeof TRANSFER_SORTS)[number]

export interface TransferPage extends PageOf<Transfer> {
  /** Rows by state, all of the job. */
  counts: Record<string, number>
}

/** Who gives a word to a job, for its log. */
export interface CommandOptions {
  by?: string
}

/** Who lets a job go on. */
export interface AgainOptions extends CommandOptions {
  credentials?: JobCredentials
  /** What that one may touch: from here on the job is held to these beside its own. Default: everything. */
  limits?: Limits
}

export interface Page {
  /** 1 to 200. */
  size: number
  /** Opaque, from the page before. */
  token?: string
}

export interface PageOf<T> {
  items: T[]
  nextPageToken?: string
}
