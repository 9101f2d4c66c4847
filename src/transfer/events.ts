import type { BlobEvent } from '../content/copy-graph.ts'
import type { Digest } from '../content/digest.ts'

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
  | BlobEvent
  | { type: 'warning'; code: string; message: string }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }

export type OnEvent = (event: EngineEvent) => void
