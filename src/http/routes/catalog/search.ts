import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { allowsPlace, allowsRegistry, requirePlace } from '../../../access/limits.ts'
import {
  findPackages,
  findVersions,
  type FoundPackage,
  type PackageFilter,
  type Sight,
} from '../../../catalogue/search.ts'
import { isPrerelease, type Newer, parseVersion } from '../../../catalogue/versions.ts'
import { digestOf } from '../../../content/digest.ts'
import { formatReference, parseReference, registryId } from '../../../content/reference.ts'
import type { CatalogueRecords } from '../../../jobs/catalogue/catalogue.ts'
import type { CatalogueTag } from '../../../jobs/model/catalogue.ts'
import { AppError } from '../../../lib/errors.ts'
import { isKnownTag } from '../../answers/conditional.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { at } from '../../requests/package-reference.ts'
import { registryNamed } from '../../requests/registry-named.ts'
import {
  type CatalogPackage,
  type CatalogVersion,
  listCatalogVersionsSchema,
  searchCatalogSchema,
} from '../../schemas/catalog/catalog.ts'
import { toldState } from './told-registry.ts'

export interface CatalogRoutesOptions {
  catalogue: Pick<CatalogueRecords, 'sources' | 'content' | 'work'>
}

const READ = { scope: ['packages:read'] } as const

/** What registries hold, from what is kept of them. */
export const catalogRoutes: FastifyPluginAsyncTypebox<CatalogRoutesOptions> = async (app, { catalogue }) => {
  const { sources, work } = catalogue

  app.get('/v1/catalog', { schema: searchCatalogSchema, config: READ }, async (request, reply) => {
    const { q = '', registry: given } = request.query
    const registry = given === undefined ? undefined : registryId(at('/registry', registryNamed, given))
    const words = q.toLowerCase().split(/\s+/).filter(Boolean)
    const sight = sightOf(request)
    const query = { words, registry, ...filterOf(request.query) }
    const found = await findPackages(catalogue, { query, page: pageFrom(request.query), sight })
    const seen = (await sources.list()).filter(
      ({ host }) => sight.registry(host) && (registry === undefined || host === registry),
    )
    const registries = await Promise.all(seen.map(async ({ host }) => brief(host, await work.state(host))))
    const page = { ...found, items: found.items.map(toldPackage), registries }
    const etag = `"${digestOf(JSON.stringify(page)).slice('sha256:'.length, 'sha256:'.length + 32)}"`
    void reply.header('etag', etag).header('cache-control', 'no-cache')
    if (isKnownTag(request.headers['if-none-match'], etag)) return reply.code(304).send(null)
    return sendPage(reply, request.url, page)
  })

  app.get('/v1/catalog/versions', { schema: listCatalogVersionsSchema, config: READ }, async (request, reply) => {
    const reference = at('/ref', parseReference, request.query.ref)
    at('/ref', () => requirePlace(request.caller, reference), undefined)
    const { repository } = reference
    const place = { host: registryId(reference.registry), repository }
    const filter = filterOf(request.query)
    const { known, ...page } = await findVersions(catalogue, { place, filter, page: pageFrom(request.query) })
    if (!known) throw await notKnown(catalogue, place)
    return sendPage(reply, request.url, { ...page, items: page.items.map((tag) => toldVersion(place, tag)) })
  })
}

/** Where a token is limited, nothing else is there. */
function sightOf({ caller: { limits } }: FastifyRequest): Sight {
  return {
    registry: (host) => allowsRegistry(limits, host),
    place: (place) => allowsPlace(limits, place),
  }
}

type Asked = Omit<PackageFilter, 'newer'> & { newerThan?: string; prereleases?: boolean }

/** Throws REQUEST_INVALID. */
function filterOf({ name, kind, architecture, flavor, newerThan, prereleases }: Asked): PackageFilter {
  return { name, kind, architecture, flavor, newer: newerOf(newerThan, prereleases) }
}

function newerOf(newerThan: string | undefined, prereleases: boolean | undefined): Newer | undefined {
  if (newerThan === undefined) return undefined
  const than = parseVersion(newerThan)
  if (than) return { than, prereleases: prereleases ?? isPrerelease(newerThan) }
  throw new AppError('REQUEST_INVALID', `"${newerThan}" is no version that others can be newer than`, {
    hint: 'It is of SemVer: 1.2.3, v1.2.3-rc.1 or 1.2; of other versions nobody knows which one is newer.',
    details: { pointer: '/newerThan' },
  })
}

function toldPackage({ host, repository, latest, kind, name, description, ...rest }: FoundPackage): CatalogPackage {
  const { versions, versionCount, tagCount, flavors, architectures } = rest
  return {
    reference: formatReference({ registry: host, repository, tag: latest.tag }),
    registry: host,
    repository,
    kind,
    name,
    description,
    ...latest,
    versions: [...versions],
    versionCount,
    tagCount,
    flavors: [...flavors],
    architectures: [...architectures],
  }
}

function toldVersion({ host, repository }: { host: string; repository: string }, found: CatalogueTag): CatalogVersion {
  const reference = formatReference({ registry: host, repository, tag: found.tag })
  return { reference, ...found, architectures: [...found.architectures] }
}

function brief(host: string, state: Parameters<typeof toldState>[0]) {
  const { state: name, refreshedAt, error } = toldState(state)
  return { host, state: name, refreshedAt, error }
}

async function notKnown(
  { sources }: CatalogRoutesOptions['catalogue'],
  { host, repository }: { host: string; repository: string },
): Promise<AppError> {
  const isThere = (await sources.get(host)) !== undefined
  return new AppError('NOT_FOUND', `the catalogue knows nothing of ${host}/${repository}`, {
    hint: isThere
      ? `It may not have been looked at yet (layerd catalog), or have no tags: layerd catalog refresh ${host}/${repository} has it looked at now.`
      : `${host} is not in the catalogue: layerd catalog add ${host} (PUT /v1/catalog/registries/{host}).`,
  })
}
