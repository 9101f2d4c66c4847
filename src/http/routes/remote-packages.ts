import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { requirePlace } from '../../access/limits.ts'
import { parseReference, type Reference } from '../../content/reference.ts'
import type { JobCredentials } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { InspectedBundle } from '../../transfer/bundle/inspect.ts'
import type { InspectedRemote } from '../../transfer/inspect/overview.ts'
import type { RemotePackageFiles } from '../../transfer/inspect/remote.ts'
import type { InspectedRepository, RepositoryRequest } from '../../transfer/inspect/repository.ts'
import type { FoundReferrers, ReferrersRequest } from '../../transfer/referrers.ts'
import type { ResolveRequest } from '../../transfer/resolve.ts'
import { sendJson, sendJsonWith } from '../answers/made-json.ts'
import { LOOK_WITHIN_MS, lookWithin, type Looks } from '../requests/look.ts'
import { at, later, type MayName, parsePackageReference } from '../requests/package-reference.ts'
import { readRegistryAuth } from '../requests/registry-auth.ts'
import {
  DEFAULT_TAGS_PAGE,
  getRemotePackageSchema,
  listReferrersSchema,
  MAX_TAGS_PAGE,
  type RemotePackage,
  type RemoteReferrers,
  type RemoteRepository,
} from '../schemas/remote-package.ts'

export interface RegistryAccess {
  /** The caller's own, for the reference's registry; without them the daemon's. */
  credentials: JobCredentials | undefined
  plainHttp: boolean
  signal: AbortSignal
}

/** What is in registries; throws what transfer/inspect and the registry client throw. */
export interface RegistryReader {
  inspect(request: ResolveRequest, access: RegistryAccess): Promise<InspectedRemote>
  /** A UDS bundle. */
  bundle(request: ResolveRequest, access: RegistryAccess): Promise<InspectedBundle>
  /** A package to be looked into. */
  open(request: ResolveRequest, access: RegistryAccess): Promise<RemotePackageFiles>
  /** What refers to a manifest. */
  referrers(request: ReferrersRequest, access: RegistryAccess): Promise<FoundReferrers>
  /** All tags of a repository, and what a page of them is; empty where the registry knows no such repository. */
  repository(request: RepositoryRequest, access: RegistryAccess): Promise<InspectedRepository>
}

export interface RemotePackageRoutesOptions {
  remote: RegistryReader
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
  closing: AbortSignal
  looks: Looks
}

const READ = { scope: ['packages:read'] } as const

/** A look at packages in registries. */
export const remotePackageRoutes: FastifyPluginAsyncTypebox<RemotePackageRoutesOptions> = async (app, options) => {
  const { remote, mayName } = options

  app.get('/v1/remote-packages', { schema: getRemotePackageSchema, config: READ }, async (request, reply) => {
    const { ref, architecture, pageToken } = request.query
    const reference = at('/ref', parseReference, ref)
    at('/ref', () => requirePlace(request.caller, reference), undefined)
    await later('/ref', mayName, reference.registry)
    void reply.header('cache-control', 'no-cache')
    if (reference.tag === undefined && reference.digest === undefined) {
      const pageSize = Math.min(request.query.pageSize ?? DEFAULT_TAGS_PAGE, MAX_TAGS_PAGE)
      const page = { reference, pageSize, pageToken }
      const held = await looking(request, reference, options, (access) => remote.repository(page, access))
      return sendJson<RemoteRepository>(reply, held)
    }
    const wanted = { reference, ...(architecture === undefined ? {} : { architecture }) }
    const found = await looking(request, reference, options, (access) => remote.inspect(wanted, access))
    const { definition, ...rest } = found
    return sendJsonWith<RemotePackage>(reply, rest, ['definition', definition])
  })

  app.get('/v1/remote-packages/referrers', { schema: listReferrersSchema, config: READ }, async (request, reply) => {
    const { ref, architecture, artifactType } = request.query
    const reference = parsePackageReference(ref, '/ref')
    at('/ref', () => requirePlace(request.caller, reference), undefined)
    await later('/ref', mayName, reference.registry)
    void reply.header('cache-control', 'no-cache')
    const wanted = {
      reference,
      ...(architecture === undefined ? {} : { architecture }),
      ...(artifactType === undefined ? {} : { artifactType }),
    }
    const found = await looking(request, reference, options, (access) => remote.referrers(wanted, access))
    return sendJson<RemoteReferrers>(reply, found)
  })
}

/** Looks into the package that `ref` names. */
export async function openReference<T>(
  request: FastifyRequest,
  options: RemotePackageRoutesOptions,
  task: (found: RemotePackageFiles) => Promise<T>,
): Promise<T> {
  const { ref, architecture } = request.query as { ref: string; architecture?: string }
  const reference = parsePackageReference(ref, '/ref')
  at('/ref', () => requirePlace(request.caller, reference), undefined)
  await later('/ref', options.mayName, reference.registry)
  const wanted = { reference, architecture }
  return await looking(request, reference, options, async (access) => task(await options.remote.open(wanted, access)))
}

/** Asks a registry as the caller of a request may. Throws REGISTRY_TIMEOUT, LOOKS_TOO_MANY. */
export async function looking<T>(
  request: FastifyRequest,
  reference: Reference,
  { looks, closing }: RemotePackageRoutesOptions,
  look: (access: RegistryAccess) => Promise<T>,
): Promise<T> {
  const { plainHttp = false } = request.query as { plainHttp?: boolean }
  const header = request.headers['x-registry-auth']
  const credentials = readRegistryAuth(typeof header === 'string' ? header : undefined, reference.registry)
  const found = await lookWithin(request, { looks, closing, tooLate: () => tooLate(reference) }, (signal) =>
    look({ credentials, plainHttp, signal }),
  )
  // To write an answer of 200,000 names takes long enough by itself.
  await nextTurn()
  return found
}

function tooLate({ registry, repository }: Reference): AppError {
  return new AppError('REGISTRY_TIMEOUT', `${registry} did not answer all of it within ${LOOK_WITHIN_MS / 1000} s`, {
    upstream: { registry, repository },
    hint: 'A pull job waits for slow registries longer.',
  })
}
