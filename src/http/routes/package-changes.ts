import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parseDigest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { type PackageChanges, storedChanges } from '../../transfer/update/changes.ts'
import { sendJson } from '../answers/made-json.ts'
import { LOOK_WITHIN_MS, type Looks, lookWithin } from '../requests/look.ts'
import { storeSeenBy } from '../requests/seen.ts'
import { packageChangesSchema } from '../schemas/package.ts'

export interface PackageChangesOptions {
  store: ContentStore
  looks: Looks
  closing: AbortSignal
}

const READ = { scope: ['packages:read'] } as const

/** A stored package beside another one. */
export const packageChanges: FastifyPluginAsyncTypebox<PackageChangesOptions> = async (app, options) => {
  const { store, ...looking } = options
  app.get('/v1/packages/:digest/changes', { schema: packageChangesSchema, config: READ }, async (request, reply) => {
    const [digest, since] = [parseDigest(request.params.digest), parseDigest(request.query.since)]
    const seen = storeSeenBy(request.caller, store)
    const found = await lookWithin(request, { ...looking, tooLate }, (signal) =>
      storedChanges(seen, { digest, since, signal }),
    )
    return sendJson<PackageChanges>(reply.header('cache-control', 'no-cache'), found)
  })
}

function tooLate(): AppError {
  return new AppError('PACKAGE_TIMEOUT', `the packages were not compared within ${LOOK_WITHIN_MS / 1000} s`, {
    hint: 'Large SBOMs are hashed by the first look at them: the next one may be quick.',
  })
}
