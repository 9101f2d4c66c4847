import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { parseDigest } from '../../content/digest.ts'
import type { Reference } from '../../content/reference.ts'
import type { JobCredentials } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore, StoredPackage } from '../../store/content-store.ts'
import type { InspectedPackage } from '../../transfer/inspect.ts'
import { pageOfPackages } from '../answers/package-list.ts'
import { parsePackageReference } from '../requests/package-reference.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { readRegistryAuth } from '../requests/registry-auth.ts'
import {
  deletePackageSchema,
  getPackageSchema,
  listPackagesSchema,
  type PackageQuery,
  type StoredPackage as StoredPackageAnswer,
} from '../schemas/package.ts'

/** Looks at a package in its registry; throws what transfer/inspect.ts throws. */
export type PackageInspector = (
  request: { reference: Reference; architecture?: string },
  access: {
    /** The caller's own, for the reference's registry; without them the daemon's. */
    credentials: JobCredentials | undefined
    plainHttp: boolean
    signal: AbortSignal
  },
) => Promise<InspectedPackage>

export interface PackageRoutesOptions {
  store: ContentStore
  inspect: PackageInspector
  closing: AbortSignal
}

/** A caller waits for it, so it ends before proxies give up on the request. */
const INSPECT_WITHIN_MS = 50_000

/** The packages in the store, and a look at those in registries. */
export const packageRoutes: FastifyPluginAsyncTypebox<PackageRoutesOptions> = async (app, options) => {
  const { store } = options

  app.get('/v1/packages', { schema: listPackagesSchema }, async (request, reply) => {
    const { ref } = request.query
    if (ref !== undefined) return reply.send(await inspectRemote(request, ref, options))
    refuseWithoutRef(request.query)
    const { items, ...page } = pageOfPackages(await store.packages.list(), pageFrom(request.query))
    return sendPage(reply, request.url, { items: items.map(toAnswer), ...page })
  })

  app.get('/v1/packages/:digest', { schema: getPackageSchema }, async (request, reply) => {
    const digest = parseDigest(request.params.digest)
    const stored = await store.packages.get(digest)
    if (!stored) throw notStored(digest)
    return reply.header('cache-control', 'no-cache').send(toAnswer(stored))
  })

  app.delete('/v1/packages/:digest', { schema: deletePackageSchema }, async (request, reply) => {
    const digest = parseDigest(request.params.digest)
    if (!(await store.packages.delete(digest))) throw notStored(digest)
    request.log.info({ principal: request.principal, package: digest }, 'package deleted')
    return reply.code(204).send(null)
  })
}

async function inspectRemote(
  request: FastifyRequest<{ Querystring: PackageQuery }>,
  ref: string,
  { inspect, closing }: PackageRoutesOptions,
): Promise<InspectedPackage> {
  const { architecture, plainHttp = false } = request.query
  const reference = parsePackageReference(ref, '/ref')
  const header = request.headers['x-registry-auth']
  const credentials = readRegistryAuth(typeof header === 'string' ? header : undefined, reference.registry)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooLate(reference)), INSPECT_WITHIN_MS)
  try {
    const signal = AbortSignal.any([closing, request.signal, late.signal])
    const wanted = { reference, ...(architecture === undefined ? {} : { architecture }) }
    return await inspect(wanted, { credentials, plainHttp, signal })
  } finally {
    clearTimeout(timer)
  }
}

function tooLate({ registry, repository }: Reference): AppError {
  return new AppError('REGISTRY_TIMEOUT', `${registry} did not answer all of it within ${INSPECT_WITHIN_MS / 1000} s`, {
    upstream: { registry, repository },
    hint: 'A pull job waits for slow registries longer.',
  })
}

function refuseWithoutRef(query: PackageQuery): void {
  const [name] = (['architecture', 'plainHttp'] as const).filter((one) => query[one] !== undefined)
  if (name === undefined) return
  throw new AppError('REQUEST_INVALID', `"${name}" goes with "ref": it chooses among the packages of a tag`, {
    details: { pointer: `/${name}` },
  })
}

function toAnswer(stored: StoredPackage): StoredPackageAnswer {
  const { manifestMediaType: _, manifestSize: __, ...rest } = stored
  return { ...rest, archive: `/v1/packages/${stored.digest}/archive` }
}

function notStored(digest: string): AppError {
  return new AppError('PACKAGE_NOT_STORED', `the store does not hold the package ${digest}`, {
    details: { digest },
    hint: 'GET /v1/packages lists what it holds; a pull job brings more.',
  })
}
