import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parseDestination } from '../../content/reference.ts'
import type { RegistryRecord } from '../../jobs/model/registry-record.ts'
import type { RegistryRecords } from '../../jobs/registries/registry-records.ts'
import { AppError } from '../../lib/errors.ts'
import { isKnownTag } from '../answers/conditional.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { placedPage } from '../answers/placed-page.ts'
import { at, later, type MayName } from '../requests/package-reference.ts'
import { checkPreconditions } from '../requests/preconditions.ts'
import { readRegistryAuth } from '../requests/registry-auth.ts'
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
import type { RegistryAccess } from './remote-packages.ts'

export type { MayName } from '../requests/package-reference.ts'

/** What is wrong with a registry; rejects only when the caller goes. */
export type RegistryPinger = (
  request: { registry: string; repository: string | undefined },
  access: RegistryAccess,
) => Promise<RegistryPing>

export interface RegistryRoutesOptions {
  ping: RegistryPinger
  registries: RegistryRecords
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
  /** The same for one that is to be kept, and so named. */
  mayKeep: (registry: string) => void
  closing: AbortSignal
}

/** The registries themselves. */
export const registryRoutes: FastifyPluginAsyncTypebox<RegistryRoutesOptions> = async (app, options) => {
  const { ping, registries, mayName, mayKeep, closing } = options

  app.get('/v1/registries', { schema: listRegistriesSchema, config: READ }, async (request, reply) => {
    const all = (await registries.list()).map(shown)
    return sendPage(reply, request.url, placedPage(all, pageFrom(request.query), BY_HOST))
  })

  app.get('/v1/registries/:host', { schema: getRegistrySchema, config: READ }, async (request, reply) => {
    const host = at('/host', registryNamed, request.params.host)
    const record = await registries.get(host)
    if (!record) throw notKept(host)
    void reply.header('etag', etagOf(record)).header('cache-control', 'no-cache')
    if (isKnownTag(request.headers['if-none-match'], etagOf(record))) return reply.code(304).send(null)
    return reply.send(shown(record))
  })

  app.put('/v1/registries/:host', { schema: putRegistrySchema, config: ADMIN }, async (request, reply) => {
    const host = at('/host', registryNamed, request.params.host)
    at('/host', mayKeep, host)
    const settings = registrySettings(request.body, host)
    const seen = await registries.get(host)
    checkPreconditions(request.headers, seen && etagOf(seen), `the registry ${host}`)
    const record = await registries.put(host, settings, seen)
    request.log.info({ registry: host, principal: request.principal }, seen ? 'registry changed' : 'registry kept')
    void reply.header('etag', etagOf(record)).header('cache-control', 'no-cache')
    return reply.code(seen ? 200 : 201).send(shown(record))
  })

  app.delete('/v1/registries/:host', { schema: deleteRegistrySchema, config: ADMIN }, async (request, reply) => {
    const host = at('/host', registryNamed, request.params.host)
    const seen = await registries.get(host)
    if (!seen) throw notKept(host)
    checkPreconditions({ 'if-match': request.headers['if-match'] }, etagOf(seen), `the registry ${host}`)
    await registries.remove(host, seen)
    request.log.info({ registry: host, principal: request.principal }, 'registry forgotten')
    return reply.code(204).send(null)
  })

  app.post('/v1/registries/:host/ping', { schema: pingRegistrySchema, config: ADMIN }, async (request, reply) => {
    const registry = at('/host', registryNamed, request.params.host)
    const { repository, plainHttp = false } = request.body ?? {}
    if (repository !== undefined) at('/repository', parseDestination, `oci://${registry}/${repository}`)
    await later('/host', mayName, registry)
    const header = request.headers['x-registry-auth']
    const credentials = readRegistryAuth(typeof header === 'string' ? header : undefined, registry)
    void reply.header('cache-control', 'no-store')
    const signal = AbortSignal.any([closing, request.signal])
    return await ping({ registry, repository }, { credentials, plainHttp, signal })
  })
}

const BY_HOST = { place: ({ host }: Registry) => [host], isId: (text: string) => text !== '' }
const READ = { scope: 'registries:read' } as const
const ADMIN = { scope: 'registries:admin' } as const

function shown({ host, plainHttp, repositories, credentials, updatedAt }: RegistryRecord): Registry {
  return { host, plainHttp, repositories: repositories && [...repositories], credentials, updatedAt }
}

function etagOf({ revision }: RegistryRecord): string {
  return `"${revision}"`
}

function notKept(host: string): AppError {
  return new AppError('NOT_FOUND', `nothing is kept of the registry ${host}`, {
    hint: "PUT keeps credentials for it; without them jobs use those that they bring, or Docker's.",
  })
}

/** Throws REFERENCE_INVALID. */
function registryNamed(host: string): string {
  const { registry, namespace } = parseDestination(`oci://${host}`)
  if (namespace === '') return registry
  throw new AppError('REFERENCE_INVALID', `"${host}" is more than the host of a registry`, {
    hint: 'It is host[:port], percent-encoded; a repository goes into the body.',
  })
}
