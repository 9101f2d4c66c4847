import { isRepositoryPattern, matchesRepository } from '../../content/repository-pattern.ts'
import { isRepository } from '../../content/reference.ts'
import type { CatalogueSettings } from '../../jobs/model/catalogue.ts'
import { isAppError } from '../../lib/errors.ts'
import type { RegistryListing } from '../../oci/registry.ts'
import { harborLister } from './harbor-lister.ts'
import type { ListerOptions, RepositoryLister } from './lister.ts'
import { ociLister } from './oci-lister.ts'

/** Those that have an interface of their own come before the one that all may have: it is for those who may less. */
const OWN: readonly RepositoryLister[] = [harborLister]

/** Repositories that are named, as they are there whatever the registry says. */
export function namedRepositories({ repositories }: Pick<CatalogueSettings, 'repositories'>): readonly string[] {
  return (repositories ?? []).filter((pattern) => !pattern.includes('*'))
}

/** Whether a repository of such a name is to be in the catalogue. */
export function isWanted({ repositories }: Pick<CatalogueSettings, 'repositories'>, name: string): boolean {
  return isRepository(name) && (repositories === null || repositories.some((pattern) => matches(pattern, name)))
}

/** Whether all that is wanted is named. */
export function isNamedAlone({ source, repositories }: CatalogueSettings): boolean {
  return source === 'list' || (repositories !== null && repositories.every((pattern) => !pattern.includes('*')))
}

/**
 * The repositories of a registry that are wanted, a page at a time; names that no reference could hold are left out. Throws
 * REGISTRY_NOT_LISTED, REGISTRY_*.
 */
export async function* listRepositories(
  listing: RegistryListing,
  settings: CatalogueSettings,
  options: Omit<ListerOptions, 'patterns'>,
): AsyncGenerator<readonly string[], void> {
  const { source, repositories: patterns } = settings
  const wanted = (name: string): boolean => isWanted(settings, name)
  let any = false
  try {
    const first = source === 'harbor' ? harborLister : ociLister
    for await (const names of first.list(listing, { ...options, patterns })) {
      any = true
      yield names.filter(wanted)
    }
  } catch (error) {
    const own = OWN.find((lister) => lister.isFor(listing.profile))
    if (any || source !== 'auto' || !own || !isAppError(error) || error.code !== 'REGISTRY_NOT_LISTED') throw error
    for await (const names of own.list(listing, { ...options, patterns })) yield names.filter(wanted)
  }
}

function matches(pattern: string, name: string): boolean {
  return isRepositoryPattern(pattern) && matchesRepository(pattern, name)
}
