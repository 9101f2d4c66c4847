import type { Digest } from '../../content/digest.ts'

/** What lies under a tag; `other`: an artifact of another type. */
export const CATALOGUE_KINDS = ['package', 'init', 'skeleton', 'bundle', 'chart', 'image', 'other'] as const
export type CatalogueKind = (typeof CATALOGUE_KINDS)[number]

/** Where a registry's repositories are known from: `auto` asks the registry, then its own interface, then goes by the list. */
export const CATALOGUE_SOURCES = ['auto', 'registry', 'harbor', 'list'] as const
export type CatalogueSourceKind = (typeof CATALOGUE_SOURCES)[number]

export interface CatalogueSettings {
  readonly source: CatalogueSourceKind
  /** Patterns of repositories (content/repository-pattern.ts); those without any are there unlisted too. Null: all that are listed. */
  readonly repositories: readonly string[] | null
  /** From the end of one refresh to the next. */
  readonly refreshSeconds: number
}

/** A registry that is in the catalogue. */
export interface CatalogueSource extends CatalogueSettings {
  /** registryId of its host[:port]. */
  readonly host: string
  /** RFC 3339. */
  readonly updatedAt: string
  /** Another one with each write. */
  readonly revision: string
}

/** One manifest under a tag. */
export interface CatalogueArchitecture {
  /** Empty where nothing tells it. */
  readonly architecture: string
  readonly digest: Digest
  /** Bytes of layers and config; null where they were not looked at. */
  readonly size: number | null
  /** Whether it says so itself; null for what cannot. */
  readonly signed: boolean | null
}

/** A tag, as its manifests and the one small file that names it tell it. */
export interface CatalogueTag {
  readonly tag: string
  /** Of what lies under it: what a registry gives as ETag. */
  readonly digest: Digest
  readonly kind: CatalogueKind
  readonly name: string
  readonly version: string | null
  readonly flavor: string | null
  readonly description: string | null
  /** RFC 3339. */
  readonly created: string | null
  /** Of an artifact of another type. */
  readonly artifactType: string | null
  readonly architectures: readonly CatalogueArchitecture[]
  /** Signed itself, or by a signature beside it; null: nobody knows. */
  readonly signed: boolean | null
}

/** Of one name and kind in a repository. */
export interface CataloguePackage {
  readonly kind: CatalogueKind
  readonly name: string
  readonly description: string | null
  /** The tag of its highest version, of releases where it has any. */
  readonly latest: Pick<CatalogueTag, 'tag' | 'digest' | 'version' | 'created' | 'signed'> & {
    /** Of its largest architecture. */
    readonly size: number | null
  }
  /** The highest first, 50 at most. */
  readonly versions: readonly string[]
  readonly versionCount: number
  readonly tagCount: number
  readonly flavors: readonly string[]
  readonly architectures: readonly string[]
}

/** What could not be looked at. */
export interface CatalogueProblem {
  readonly repository: string
  readonly tag: string | null
  readonly code: string
  readonly detail: string
}

export interface CatalogueFailure {
  readonly code: string
  readonly detail: string
  readonly hint: string | null
}

/** How far a registry's refresh is; times are ms since the epoch. */
export interface CatalogueState {
  /** `listing`: it asks for repositories; `looking`: into those that wait; `idle`: till `nextAt`. */
  readonly phase: 'listing' | 'looking' | 'idle'
  readonly startedAt: number | null
  /** Of the last refresh that came to its end. */
  readonly finishedAt: number | null
  readonly nextAt: number
  /** Why the repositories are not known. */
  readonly failure: CatalogueFailure | null
  /** Of the refresh that runs, or the last one; 20 at most. */
  readonly problems: readonly CatalogueProblem[]
  readonly problemCount: number
  /** There was more than is kept. */
  readonly truncated: boolean
  readonly repositories: number
  readonly tags: number
  /** Repositories that wait to be looked into. */
  readonly waiting: number
}
