import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  allowsSomeBelow,
  requireAllBelow,
  requirePlace,
  requireRegistry,
  requireSomeBelow,
} from '../../access/limits.ts'
import type { Principal } from '../../access/principal.ts'
import {
  formatRegistryPlace,
  parseDestination,
  parseRegistryPlace,
  type RegistryPlace,
  registryPlaceId,
} from '../../content/reference.ts'
import type { RegistryRecord } from '../../jobs/model/registry-record.ts'
import { COMMON_WAY, type WaySettings } from '../../jobs/model/registry-way.ts'
import type { RegistryRecords } from '../../jobs/registries/registry-records.ts'
import { AppError } from '../../lib/errors.ts'
import { lifeOf } from '../requests/look.ts'
import { isKnownTag } from '../answers/conditional.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { placedPage } from '../answers/placed-page.ts'
import { at, later, type MayName } from '../requests/package-reference.ts'
import { shownWay } from '../answers/shown-way.ts'
import { checkPreconditions, type Preconditions } from '../requests/preconditions.ts'
import { readRegistryAuth } from '../requests/registry-auth.ts'
import { registryNamed } from '../requests/registry-named.ts'
import { pathSettings } from '../requests/path-settings.ts'
import { checkMirror, givenWay } from '../requests/registry-way.ts'
import { registrySettings } from '../requests/registry-settings.ts'
import {
  deleteRegistrySchema,
  getRegistrySchema,
  listRegistriesSchema,
  pingRegistrySchema,
  putRegistrySchema,
  type Registry,
  type RegistryPing,
} from '../schemas/registry.ts'
import type { RegistryProfile } from '../schemas/registry-profile.ts'
import { etagWith, type RegistryProfiles, withoutProfile } from './registry-profiles.ts'
import type { RegistryAccess } from './remote-packages.ts'

export type { MayName } from '../requests/package-reference.ts'

/** What is wrong with a registry; rejects only when the caller goes. */
export type RegistryPinger = (
  request: { registry: string; repository: string | undefined; way: WaySettings | undefined },
  access: RegistryAccess,
) => Promise<RegistryPing>

export interface RegistryRoutesOptions {
  ping: RegistryPinger
  registries: RegistryRecords
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
  /** The same for one that is to be kept, and so named. */
  mayKeep: (registry: string) => void
  profiles: RegistryProfiles
  closing: AbortSignal
}

/** The registries themselves. */
export const registryRoutes: FastifyPluginAsyncTypebox<RegistryRoutesOptions> = async (app, options) => {
  const { registries, profiles, mayKeep } = options
  const shown = async (record: RegistryRecord) =>
    toldRegistry(record, await profiles.of(parseRegistryPlace(record.host).registry))

  app.get('/v1/registries', { schema: listRegistriesSchema, config: READ }, async (request, reply) => {
    const { limits } = request.caller
    const shownOnes = (await registries.list()).filter(({ host }) => allowsSomeBelow(limits, parseRegistryPlace(host)))
    const page = placedPage(shownOnes, pageFrom(request.query), BY_HOST)
    const items = await Promise.all(page.items.map(shown))
    return sendPage(reply, request.url, { ...page, items })
  })

  app.get('/v1/registries/:host', { schema: getRegistrySchema, config: READ }, async (request, reply) => {
    const host = placeAsked(request, requireSomeBelow)
    const record = await registries.get(host)
    if (!record) throw notKept(host)
    const found = await shown(record)
    const etag = etagWith(record.revision, found.profile)
    void reply.header('etag', etag).header('cache-control', 'no-cache')
    if (isKnownTag(request.headers['if-none-match'], etag)) return reply.code(304).send(null)
    return reply.send(found)
  })

  app.put('/v1/registries/:host', { schema: putRegistrySchema, config: ADMIN }, async (request, reply) => {
    const host = placeAsked(request, requireAllBelow)
    const { registry, path } = parseRegistryPlace(host)
    at('/host', mayKeep, registry)
    const { body } = request
    const settings = path === '' ? registrySettings(body, registry) : pathSettings(body, { registry, path })
    checkMirror(registry, settings.way?.mirror, (mirror) => {
      requireAllBelow(request.caller, mirror)
      mayKeep(mirror.registry)
    })
    const seen = await registries.get(host)
    checkPreconditions(conditionsOf(request.headers), seen && etagOf(seen), `the registry ${host}`)
    const record = await registries.put(host, settings, seen)
    request.log.info({ registry: host, principal: request.caller.name }, seen ? 'registry changed' : 'registry kept')
    const found = await shown(record)
    void reply.header('etag', etagWith(record.revision, found.profile)).header('cache-control', 'no-cache')
    return reply.code(seen ? 200 : 201).send(found)
  })

  app.delete('/v1/registries/:host', { schema: deleteRegistrySchema, config: ADMIN }, async (request, reply) => {
    const host = placeAsked(request, requireAllBelow)
    const seen = await registries.get(host)
    if (!seen) throw notKept(host)
    const { 'if-match': match } = conditionsOf(request.headers)
    checkPreconditions({ 'if-match': match }, etagOf(seen), `the registry ${host}`)
    await registries.remove(host, seen)
    if (parseRegistryPlace(host).path === '') await profiles.forget(host)
    request.log.info({ registry: host, principal: request.caller.name }, 'registry forgotten')
    return reply.code(204).send(null)
  })
  pingRoute(app, options)
}

function pingRoute(app: Parameters<typeof registryRoutes>[0], { ping, mayName, closing }: RegistryRoutesOptions): void {
  app.post('/v1/registries/:host/ping', { schema: pingRegistrySchema, config: ADMIN }, async (request, reply) => {
    const registry = at('/host', registryNamed, request.params.host)
    at('/host', () => requireRegistry(request.caller, registry), undefined)
    const { repository, plainHttp = false } = request.body ?? {}
    if (repository !== undefined)
      at('/repository', () => repositoryAsked(request.caller, registry, repository), undefined)
    await later('/host', mayName, registry)
    const header = request.headers['x-registry-auth']
    const credentials = readRegistryAuth(typeof header === 'string' ? header : undefined, registry)
    void reply.header('cache-control', 'no-store')
    const signal = lifeOf(request, closing)
    const way = givenWay(request.body ?? {})
    return await ping({ registry, repository, way }, { credentials, plainHttp, signal })
  })
}

const BY_HOST = { place: ({ host }: RegistryRecord) => [host], isId: (text: string) => text !== '' }
const READ = { scope: ['registries:read'] } as const
const ADMIN = { scope: ['registries:admin'] } as const

function toldRegistry(record: RegistryRecord, profile: RegistryProfile): Registry {
  const { host, plainHttp, repositories, credentials, limits = null, updatedAt } = record
  const { registry, path } = parseRegistryPlace(host)
  const place = { id: registryPlaceId(host), host: registry, path: path === '' ? null : path }
  // A path goes the way of its registry, and tells none of its own.
  const way = shownWay(path === '' ? record.way : COMMON_WAY)
  return {
    ...place,
    plainHttp,
    repositories: repositories && [...repositories],
    credentials,
    ...way,
    limits,
    updatedAt,
    profile,
  }
}

/** Throws REFERENCE_INVALID, and what `require` throws. */
function placeAsked(
  { params, caller }: { params: { host: string }; caller: Principal },
  require: (caller: Principal, place: RegistryPlace) => void,
): string {
  const host = at('/host', placeNamed, params.host)
  at('/host', () => require(caller, parseRegistryPlace(host)), undefined)
  return host
}

/** Throws REFERENCE_INVALID, TOKEN_LIMITED: the daemon's password is shown for it. */
function repositoryAsked(caller: Principal, registry: string, text: string): void {
  const { namespace: repository } = parseDestination(`oci://${registry}/${text}`)
  requirePlace(caller, { registry, repository })
}

/** host[:port], or host[:port]/path. Throws REFERENCE_INVALID. */
function placeNamed(text: string): string {
  return formatRegistryPlace(parseRegistryPlace(text))
}

function conditionsOf(headers: Preconditions): Preconditions {
  return { ...headers, 'if-match': withoutProfile(headers['if-match']) }
}

function etagOf({ revision }: RegistryRecord): string {
  return `"${revision}"`
}

function notKept(host: string): AppError {
  return new AppError('NOT_FOUND', `nothing is kept of the registry ${host}`, {
    hint: "PUT keeps credentials for it; without them jobs use those that they bring, or Docker's.",
  })
}
