import type { Digest } from '../content/digest.ts'
import type { AppError } from '../lib/errors.ts'

/** Source: api.md "Progress object". */
export type Phase = 'planning' | 'transferring' | 'verifying' | 'committing'

export type TransferState =
  | 'waiting'
  | 'exists'
  | 'mounted'
  | 'active'
  | 'retrying'
  | 'verifying'
  | 'complete'
  | 'failed'
  | 'canceled'

/**
 * What the engine tells while it works: facts, in order, each as it happens, never awaited. Who listens (worker's
 * reporter) folds them into progress; the engine keeps no totals.
 */
export type EngineEvent =
  | { type: 'phase'; phase: Phase }
  /** How far the source archive was read, in its own (compressed) bytes; the furthest reader counts. */
  | { type: 'source'; bytesRead: number; bytesTotal: number }
  /** The whole plan: distinct blobs (layers and config) and their bytes. Once a run, when it is known. */
  | { type: 'plan'; layers: number; bytes: number }
  /** A blob (one row a digest) appears with its size, state waiting. */
  | { type: 'transfer'; digest: Digest; title: string; mediaType: string; size: number }
  | { type: 'exists'; digest: Digest }
  | { type: 'mounted'; digest: Digest; from: string }
  /** Moving begins or goes on; `offset` bytes are at the far end already, kept from a cut transfer. */
  | { type: 'started'; digest: Digest; offset: number }
  /** Bytes up to `offset` went out (or came in); `wire` of them since the last event of this blob. */
  | { type: 'bytes'; digest: Digest; offset: number; wire: number }
  | { type: 'verifying'; digest: Digest }
  | { type: 'retrying'; digest: Digest; error: AppError; attempt: number; retryAt: number }
  | { type: 'complete'; digest: Digest }
  | { type: 'failed'; digest: Digest; error: AppError }
  | { type: 'warning'; code: string; message: string }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }

export type OnEvent = (event: EngineEvent) => void
