import type { BlobEvent } from '../content/copy-graph.ts'
import type { Digest } from '../content/digest.ts'
import type { RequestWait } from '../oci/registry.ts'
import type { PackageIdentity } from '../zarf/package.ts'

export type { BlobEvent } from '../content/copy-graph.ts'
export type { MirrorNote } from '../oci/registry.ts'

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
  /** What the package or the bundle says that it is; again where that turns out otherwise. */
  | { type: 'package'; identity: PackageIdentity }
  /**
   * How far the source archive was read, in its own (compressed) bytes; the furthest reader counts. `contentEstimate`: what
   * its files will have together, as far as that can be told by now.
   */
  | { type: 'source'; bytesRead: number; bytesTotal: number; contentEstimate?: number }
  /** How many distinct blobs there will be, before all of their sizes are known; signatures may add one or two. */
  | { type: 'outline'; layers: number }
  /** The whole plan: distinct blobs (layers and config) and their bytes. Once a run, when it is known. */
  | { type: 'plan'; layers: number; bytes: number }
  /** A blob (one row a digest) appears with its size, state waiting. */
  | { type: 'transfer'; digest: Digest; title: string; mediaType: string; size: number }
  | BlobEvent
  /**
   * A request that belongs to no blob waits to be tried again, or, without `wait`, waits no longer. `request` names it.
   */
  | { type: 'waiting'; request: object; wait: RequestWait | undefined }
  | { type: 'warning'; code: string; message: string }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }

export type OnEvent = (event: EngineEvent) => void
