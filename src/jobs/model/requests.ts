import type { JobKind, JobOptions, JobState } from './definitions.ts'

/** A job as accepted by the API: validated, references parsed, file opened and found inside the roots. */
export interface NewJob {
  kind: JobKind
  source: string
  destination: string | null
  options: JobOptions
  labels: Readonly<Record<string, string>>
  /** Which queue: the registry's host[:port], or "local". design.md "One queue per registry host". */
  queueHost: string
  /** All registries the job talks to, for the list filter. */
  registries: readonly string[]
  /** Who asked (token name, or "anonymous"). */
  principal: string
  requestId: string
}

/** Registry credentials as the caller sent them (decoded X-Registry-Auth); sealed before they reach Redis. */
export interface JobCredentials {
  registry: string
  username?: string
  password?: string
  identityToken?: string
  registryToken?: string
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
