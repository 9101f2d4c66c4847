import { beyondBounds } from '../../lib/loop/json-bounds.ts'
import { AppError } from '../../lib/errors.ts'
import { isObject } from '../../lib/formats/json-object.ts'
import type { RegistryListing } from '../../oci/registry.ts'
import type { ListerOptions, RepositoryLister } from './lister.ts'

/** Harbor takes no larger ones. */
const PAGE_SIZE = 100
const MAX_PAGES = 2000
const BOUNDS = { values: 50_000, keys: 5000, depth: 32 }

/**
 * Harbor's own interface: `_catalog` is for its administrators alone, and this tells everybody what they may see. Robots are told of public
 * projects only, unless a project is named. Source: Harbor API v2.0, listAllRepositories and listRepositories; goharbor/harbor
 * src/server/v2.0/handler/repository.go.
 */
export const harborLister: RepositoryLister = {
  isFor: (profile) => profile === 'harbor',
  async *list(listing, options) {
    for (const path of pathsFor(options.patterns)) yield* pages(listing, path, options)
  },
}

/** All that may be seen, or the projects that all patterns begin with. */
function pathsFor(patterns: readonly string[] | null): readonly string[] {
  const projects = (patterns ?? ['*']).map((pattern) => pattern.split('/', 1)[0] ?? '*')
  if (projects.some((project) => project.includes('*'))) return ['/api/v2.0/repositories']
  return [...new Set(projects)].map((project) => `/api/v2.0/projects/${encodeURIComponent(project)}/repositories`)
}

/** Counted, and not by Link: where that leads is the registry's choice. */
async function* pages(
  listing: RegistryListing,
  path: string,
  { turn, signal }: ListerOptions,
): AsyncGenerator<readonly string[], void> {
  const seen = new Set<string>()
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    await turn()
    const body = await listing.read(`${path}?page=${page}&page_size=${PAGE_SIZE}`, { signal })
    const names = namesIn(body, listing.registry)
    const news = names.filter((name) => !seen.has(name))
    for (const name of news) seen.add(name)
    if (news.length === 0) return
    yield news
    if (names.length < PAGE_SIZE) return
  }
}

/** `[{"name": "project/repository", ...}]`; null where there are none. */
function namesIn(body: Buffer, registry: string): readonly string[] {
  const list = beyondBounds(body, BOUNDS) === undefined ? parsed(body) : undefined
  if (list === null) return []
  if (!Array.isArray(list)) {
    throw new AppError(
      'REGISTRY_PROTOCOL_VIOLATION',
      `${registry} answered with something that is no list of repositories`,
      {
        op: 'list repositories',
        hint: 'Is this a Harbor? Else let the catalogue ask for _catalog: source "registry".',
      },
    )
  }
  return list.flatMap((one) => (isObject(one) && typeof one['name'] === 'string' ? [one['name']] : []))
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
