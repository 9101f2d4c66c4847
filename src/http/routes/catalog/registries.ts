import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { allowsAllBelow, type Limits, requireAllBelow, requirePlace, requireRegistry } from '../../../access/limits.ts'
import { isRepository, registryId } from '../../../content/reference.ts'
import { isRepositoryPattern } from '../../../content/repository-pattern.ts'
import type { CatalogueSettings, CatalogueSource } from '../../../jobs/model/catalogue.ts'
import { AppError } from '../../../lib/errors.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { placedPage } from '../../answers/placed-page.ts'
import { at, later, type MayName } from '../../requests/package-reference.ts'
import { checkPreconditions } from '../../requests/preconditions.ts'
import { noPattern } from '../../requests/registry-settings.ts'
import { registryNamed } from '../../requests/registry-named.ts'
import {
  type CatalogRegistry,
  type CatalogRegistryBody,
  deleteCatalogRegistrySchema,
  getCatalogRegistrySchema,
  listCatalogRegistriesSchema,
  putCatalogRegistrySchema,
  refreshCatalogRegistrySchema,
} from '../../schemas/catalog/catalog.ts'
import type { CatalogRoutesOptions } from './search.ts'
import { toldRegistry } from './told-registry.ts'

export interface CatalogRegistryRoutesOptions extends CatalogRoutesOptions {
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
}

const READ = { scope: ['registries:read'] } as const
const ADMIN = { scope: ['registries:admin'] } as const
const BY_HOST = { place: ({ host }: CatalogueSource) => [host], isId: (text: string) => text !== '' }

/** Which registries are in the catalogue. */
export const catalogRegistryRoutes: FastifyPluginAsyncTypebox<CatalogRegistryRoutesOptions> = async (app, options) => {
  const { catalogue, mayName } = options
  const { sources, work, content } = catalogue
  const told = async (source: CatalogueSource) => toldRegistry(source, await work.state(source.host))
  const known = async (host: string): Promise<CatalogueSource> => {
    const source = await sources.get(host)
    if (source) return source
    throw new AppError('NOT_FOUND', `${host} is not in the catalogue`, {
      hint: `layerd catalog add ${host} (PUT /v1/catalog/registries/{host}) has it there.`,
    })
  }

  app.get('/v1/catalog/registries', { schema: listCatalogRegistriesSchema, config: READ }, async (request, reply) => {
    const seen = (await sources.list()).filter(({ host }) => isSeen(request.caller.limits, host))
    const page = placedPage(seen, pageFrom(request.query), BY_HOST)
    return sendPage(reply, request.url, { ...page, items: await Promise.all(page.items.map(told)) })
  })

  app.get(
    '/v1/catalog/registries/:host',
    { schema: getCatalogRegistrySchema, config: READ },
    async (request, reply) => {
      const source = await known(hostAsked(request))
      return reply
        .header('etag', etagOf(source))
        .header('cache-control', 'no-cache')
        .send(await told(source))
    },
  )

  app.put(
    '/v1/catalog/registries/:host',
    { schema: putCatalogRegistrySchema, config: ADMIN },
    async (request, reply) => {
      const host = hostAsked(request)
      await later('/host', mayName, host)
      const settings = settingsOf(request.body)
      const seen = await sources.get(host)
      checkPreconditions(request.headers, seen && etagOf(seen), `the catalogue of ${host}`)
      const source = await sources.put(host, settings, seen)
      await work.note(host, { phase: 'idle', nextAt: 0 })
      await work.wake()
      request.log.info({ registry: host, principal: request.caller.name }, 'registry is in the catalogue')
      void reply.header('etag', etagOf(source)).header('cache-control', 'no-cache')
      return reply.code(seen ? 200 : 201).send(await told(source))
    },
  )

  app.delete(
    '/v1/catalog/registries/:host',
    { schema: deleteCatalogRegistrySchema, config: ADMIN },
    async (request, reply) => {
      const host = hostAsked(request)
      const seen = await known(host)
      checkPreconditions({ 'if-match': request.headers['if-match'] }, etagOf(seen), `the catalogue of ${host}`)
      await sources.remove(host, seen)
      await content.clear(host)
      request.log.info({ registry: host, principal: request.caller.name }, 'registry is no more in the catalogue')
      return reply.code(204).send(null)
    },
  )

  refreshRoute(app, { catalogue, known, told })
}

function refreshRoute(
  app: Parameters<typeof catalogRegistryRoutes>[0],
  {
    catalogue: { work },
    known,
    told,
  }: Pick<CatalogRoutesOptions, 'catalogue'> & {
    known: (host: string) => Promise<CatalogueSource>
    told: (source: CatalogueSource) => Promise<CatalogRegistry>
  },
): void {
  app.post(
    '/v1/catalog/registries/:host/refresh',
    { schema: refreshCatalogRegistrySchema, config: ADMIN },
    async (request, reply) => {
      const host = registryId(at('/host', registryNamed, request.params.host))
      const { repository } = request.body ?? {}
      if (repository === undefined)
        at('/host', () => requireAllBelow(request.caller, { registry: host, path: '' }), undefined)
      else at('/repository', () => repositoryAsked(request, host, repository), undefined)
      const source = await known(host)
      if (repository === undefined) await work.note(host, { nextAt: 0 })
      else await work.changed(host, repository)
      await work.wake()
      return reply
        .code(202)
        .header('cache-control', 'no-store')
        .send(await told(source))
    },
  )
}

/** What is told of a registry counts what all of it holds. */
function isSeen(limits: Limits, host: string): boolean {
  return allowsAllBelow(limits, { registry: host, path: '' })
}

/** Throws REFERENCE_INVALID, TOKEN_LIMITED. */
function hostAsked({ params, caller }: { params: { host: string }; caller: FastifyRequest['caller'] }): string {
  const host = registryId(at('/host', registryNamed, params.host))
  at('/host', () => requireAllBelow(caller, { registry: host, path: '' }), undefined)
  return host
}

/** Throws REFERENCE_INVALID, TOKEN_LIMITED. */
function repositoryAsked({ caller }: Pick<FastifyRequest, 'caller'>, registry: string, repository: string): void {
  requireRegistry(caller, registry)
  if (!isRepository(repository)) {
    throw new AppError('REFERENCE_INVALID', `"${repository.slice(0, 160)}" cannot be a repository`, {
      hint: 'It is a path without host and tag: team/nemo.',
    })
  }
  requirePlace(caller, { registry, repository })
}

/** Throws BODY_INVALID. */
function settingsOf({
  source = 'auto',
  repositories = null,
  refreshSeconds = 3600,
}: CatalogRegistryBody): CatalogueSettings {
  repositories?.forEach((pattern, index) => {
    if (!isRepositoryPattern(pattern)) throw noPattern(pattern, index)
  })
  const settings = { source, repositories, refreshSeconds }
  if (source === 'list' && (repositories === null || repositories.some((pattern) => pattern.includes('*')))) {
    throw new AppError('BODY_INVALID', 'the source "list" needs the repositories by name, without *', {
      hint: 'What a pattern stands for only the registry can tell: source "auto".',
      details: { pointer: '/repositories' },
    })
  }
  return settings
}

function etagOf({ revision }: CatalogueSource): string {
  return `"${revision}"`
}
