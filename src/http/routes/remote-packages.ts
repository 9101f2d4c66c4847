import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { formatReference, parseReference, type Reference } from '../../content/reference.ts'
import type { JobCredentials } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { InspectedPackage } from '../../transfer/inspect.ts'
import type { FoundReferrers, ReferrersRequest } from '../../transfer/referrers.ts'
import type { FoundSignatures } from '../../transfer/signatures.ts'
import { sendJson, sendJsonWith } from '../answers/made-json.ts'
import { at, later, type MayName, parsePackageReference } from '../requests/package-reference.ts'
import { readRegistryAuth } from '../requests/registry-auth.ts'
import type { PackageSignatures } from '../schemas/package.ts'
import {
  getRemotePackageSchema,
  getRemoteSignaturesSchema,
  listReferrersSchema,
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

/** What is in registries; throws what transfer/inspect.ts and the registry client throw. */
export interface RegistryReader {
  inspect(request: { reference: Reference; architecture?: string }, access: RegistryAccess): Promise<InspectedPackage>
  /** What refers to a manifest. */
  referrers(request: ReferrersRequest, access: RegistryAccess): Promise<FoundReferrers>
  /** What a package is signed with, unverified. */
  signatures(request: { reference: Reference; architecture?: string }, access: RegistryAccess): Promise<FoundSignatures>
  /** All tags of the repository; empty where the registry knows no such repository. */
  tags(reference: Reference, access: RegistryAccess): Promise<readonly string[]>
}

export interface RemotePackageRoutesOptions {
  remote: RegistryReader
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
  closing: AbortSignal
}

/** A caller waits for it, so it ends before proxies give up on the request. */
const LOOK_WITHIN_MS = 50_000

/** A look at packages in registries. */
export const remotePackageRoutes: FastifyPluginAsyncTypebox<RemotePackageRoutesOptions> = async (app, options) => {
  const { remote, mayName } = options

  app.get('/v1/remote-packages', { schema: getRemotePackageSchema }, async (request, reply) => {
    const { ref, architecture } = request.query
    const reference = at('/ref', parseReference, ref)
    await later('/ref', mayName, reference.registry)
    void reply.header('cache-control', 'no-cache')
    if (reference.tag === undefined && reference.digest === undefined) {
      const tags = await looking(request, reference, options, (access) => remote.tags(reference, access))
      return sendJson<RemoteRepository>(reply, { reference: formatReference(reference), tags })
    }
    const wanted = { reference, ...(architecture === undefined ? {} : { architecture }) }
    const found = await looking(request, reference, options, (access) => remote.inspect(wanted, access))
    const { definition, ...rest } = found
    return sendJsonWith<RemotePackage>(reply, rest, ['definition', definition])
  })

  app.get('/v1/remote-packages/signatures', { schema: getRemoteSignaturesSchema }, async (request, reply) => {
    const { ref, architecture } = request.query
    const reference = parsePackageReference(ref, '/ref')
    await later('/ref', mayName, reference.registry)
    void reply.header('cache-control', 'no-cache')
    const wanted = { reference, ...(architecture === undefined ? {} : { architecture }) }
    const found = await looking(request, reference, options, (access) => remote.signatures(wanted, access))
    return sendJson<PackageSignatures>(reply, found)
  })

  app.get('/v1/remote-packages/referrers', { schema: listReferrersSchema }, async (request, reply) => {
    const { ref, architecture, artifactType } = request.query
    const reference = parsePackageReference(ref, '/ref')
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

async function looking<T>(
  request: FastifyRequest<{ Querystring: { plainHttp?: boolean } }>,
  reference: Reference,
  { closing }: RemotePackageRoutesOptions,
  look: (access: RegistryAccess) => Promise<T>,
): Promise<T> {
  const { plainHttp = false } = request.query
  const header = request.headers['x-registry-auth']
  const credentials = readRegistryAuth(typeof header === 'string' ? header : undefined, reference.registry)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooLate(reference)), LOOK_WITHIN_MS)
  try {
    const found = await look({
      credentials,
      plainHttp,
      signal: AbortSignal.any([closing, request.signal, late.signal]),
    })
    // To write an answer of 200,000 names takes long enough by itself.
    await nextTurn()
    return found
  } finally {
    clearTimeout(timer)
  }
}

function tooLate({ registry, repository }: Reference): AppError {
  return new AppError('REGISTRY_TIMEOUT', `${registry} did not answer all of it within ${LOOK_WITHIN_MS / 1000} s`, {
    upstream: { registry, repository },
    hint: 'A pull job waits for slow registries longer.',
  })
}
