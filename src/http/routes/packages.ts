import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ANONYMOUS } from '../../access/principal.ts'
import { parseDigest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore, StoredPackage } from '../../store/content-store.ts'
import { pageOfPackages } from '../answers/package-list.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { storeSeenBy } from '../requests/seen.ts'
import {
  deletePackageSchema,
  getPackageSchema,
  listPackagesSchema,
  type StoredPackage as StoredPackageAnswer,
} from '../schemas/package.ts'

export interface PackageRoutesOptions {
  store: ContentStore
}

const READ = { scope: ['packages:read'] } as const
const DELETE = { scope: ['packages:delete'] } as const

/** The packages in the store. */
export const packageRoutes: FastifyPluginAsyncTypebox<PackageRoutesOptions> = async (app, { store }) => {
  app.get('/v1/packages', { schema: listPackagesSchema, config: READ }, async (request, reply) => {
    if (request.query.ref !== undefined) return reply.code(308).header('location', remoteUrl(request.url)).send(null)
    const { items, ...page } = pageOfPackages(
      await storeSeenBy(request.caller, store).packages.list(),
      pageFrom(request.query),
    )
    return sendPage(reply, request.url, { items: items.map(toAnswer), ...page })
  })

  app.get('/v1/packages/:digest', { schema: getPackageSchema, config: READ }, async (request, reply) => {
    const digest = parseDigest(request.params.digest)
    const stored = await storeSeenBy(request.caller, store).packages.get(digest)
    if (!stored) throw notStored(digest)
    return reply.header('cache-control', 'no-cache').send(toAnswer(stored))
  })

  app.delete('/v1/packages/:digest', { schema: deletePackageSchema, config: DELETE }, async (request, reply) => {
    const digest = parseDigest(request.params.digest)
    if (!(await storeSeenBy(request.caller, store).packages.delete(digest))) throw notStored(digest)
    request.log.info({ principal: request.caller.name, package: digest }, 'package deleted')
    return reply.code(204).send(null)
  })
}

/** The form that looked into a registry before it had a path of its own. */
function remoteUrl(url: string): string {
  return url.replace('/v1/packages', '/v1/remote-packages')
}

function toAnswer(stored: StoredPackage): StoredPackageAnswer {
  const {
    manifestMediaType: _,
    manifestSize: __,
    holders,
    nested: ___,
    without: ____,
    lacks: _____,
    owners = [ANONYMOUS],
    kind = 'package',
    ...rest
  } = stored
  return {
    kind,
    ...rest,
    owners: owners.map(({ name }) => name),
    transient: holders !== undefined,
    archive: `/v1/packages/${stored.digest}/archive`,
  }
}

function notStored(digest: string): AppError {
  return new AppError('PACKAGE_NOT_STORED', `the store does not hold the package ${digest}`, {
    details: { digest },
    hint: 'GET /v1/packages (layerd packages) lists what it holds; a pull job brings more.',
  })
}
