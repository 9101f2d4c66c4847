import type { Digest } from './digest.ts'

/** A repository as its registry knows it. */
export interface RepositoryName {
  readonly registry: string
  readonly repository: string
}

/**
 * Which repositories of a registry hold which blobs, learnt from earlier jobs: hints for mounting, never proof. Bounded
 * and short-lived. Nothing here throws; where hints cannot be had there are none.
 */
export interface BlobPlaces {
  /** Whether a registry may be asked to link a blob from wherever it has it. Default: it may. */
  readonly anywhere?: boolean
  /** Repositories that held a blob, the newest first. A digest that is known nowhere is left out. */
  find(registry: string, digests: readonly Digest[]): Promise<ReadonlyMap<Digest, readonly string[]>>
  /** Repositories that jobs have used, the newest first. */
  repositories(registry: string): Promise<readonly string[]>
  /** These blobs are in that repository now, named by a manifest. */
  learn(place: RepositoryName, digests: readonly Digest[]): Promise<void>
  /** That repository no longer holds the blob. */
  forget(place: RepositoryName, digest: Digest): Promise<void>
}
