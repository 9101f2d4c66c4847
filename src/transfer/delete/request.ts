import type { Digest } from '../../content/digest.ts'
import type { Reference } from '../../content/reference.ts'
import type { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import type { Ownership } from '../commit.ts'
import type { OnEvent } from '../events.ts'

export interface DeleteRequest {
  /** With a tag or a digest. */
  reference: Reference
  /** Of the index under the tag, the entries that go. Default: the tag goes. */
  architectures?: readonly string[]
}

/** One thing that goes, or went. */
export interface RemovedItem {
  /** entry: of the index under the tag, for an architecture. */
  readonly kind: 'tag' | 'entry' | 'manifest'
  readonly digest: Digest
  readonly tag?: string
  readonly architecture?: string
  readonly why: string
}

export interface KeptItem {
  readonly digest: Digest
  readonly tag?: string
  readonly why: string
}

/** What a run of a job was about to remove, for the next run of it: once a tag is gone, nothing else leads to its manifests. */
export interface RemovalNotes {
  load(): Promise<readonly RemovedItem[]>
  /** Resolves once they are kept. */
  save(items: readonly RemovedItem[]): Promise<void>
}

export interface DeleteDependencies extends Ownership {
  repository(registry: string, repository: string): Promise<Repository>
  /** Default: each run knows of itself alone. */
  notes?: RemovalNotes
  /** Told of each thing that is gone by this run's doing, right after. */
  onRemoved?: (item: RemovedItem) => void
  onEvent: OnEvent
  signal: AbortSignal
}

export interface RemovalOutcome {
  /** What the job names. */
  readonly reference: string
  /** What lay there; empty where several tags were meant. */
  readonly digest: Digest | ''
  readonly removed: readonly RemovedItem[]
  readonly kept: readonly KeptItem[]
  /** What could not be done, or in a dry run could not be. */
  readonly problems: readonly AppError[]
}
