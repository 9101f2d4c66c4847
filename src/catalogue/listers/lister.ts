import type { RegistryListing } from '../../oci/registry.ts'

/** One way to know a registry's repositories. */
export interface RepositoryLister {
  /** Whether this is the way of such a registry, by the name of its profile. */
  isFor(profile: string): boolean
  /**
   * Names of repositories, a page at a time; those that match no pattern may be among them. Throws REGISTRY_NOT_LISTED where
   * it tells nobody, or not this caller; REGISTRY_*.
   */
  list(listing: RegistryListing, options: ListerOptions): AsyncGenerator<readonly string[], void>
}

export interface ListerOptions {
  /** What is wanted; null: all. */
  patterns: readonly string[] | null
  /** Awaited before each request. */
  turn: () => Promise<void>
  signal: AbortSignal
}
