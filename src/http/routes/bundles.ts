import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Authenticator } from '../../access/authenticator.ts'
import { requirePlace } from '../../access/limits.ts'
import { storedDigest } from '../../content/reference.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { type BundleArchives, createBundleArchives } from '../../transfer/bundle/archives.ts'
import { type InspectedBundle, inspectStoredBundle } from '../../transfer/bundle/inspect.ts'
import { openBundleArchive } from '../../transfer/publish/open.ts'
import { sendJson } from '../answers/made-json.ts'
import { LOOK_WITHIN_MS, lookWithin } from '../requests/look.ts'
import { at, later, parsePackageReference } from '../requests/package-reference.ts'
import { seenBy } from '../requests/seen.ts'
import { getBundleSchema } from '../schemas/bundle.ts'
import { looking, type RemotePackageRoutesOptions } from './remote-packages.ts'

export interface BundleRoutesOptions extends RemotePackageRoutesOptions {
  store: ContentStore
  sources: LocalSources
  authenticator: Pick<Authenticator, 'required'>
}

const READ = { scope: ['packages:read'] } as const

/** A look at a UDS bundle, wherever it lies. */
export const bundleRoutes: FastifyPluginAsyncTypebox<BundleRoutesOptions> = async (app, options) => {
  const { remote, mayName, looks, closing, authenticator } = options
  const archives = createBundleArchives({ fair: authenticator.required })

  app.get('/v1/bundles', { schema: getBundleSchema, config: READ }, async (request, reply) => {
    const { ref, architecture } = request.query
    void reply.header('cache-control', 'no-cache')
    if (!ref.startsWith('oci://')) {
      const found = await lookWithin(request, { looks, closing, tooLate: () => tooLate(ref) }, (signal) =>
        localBundle(ref, { ...options, ...seenBy(request.caller, options), archives, by: request.caller.name }, signal),
      )
      return sendJson<InspectedBundle>(reply, found)
    }
    const reference = parsePackageReference(ref, '/ref')
    at('/ref', () => requirePlace(request.caller, reference), undefined)
    await later('/ref', mayName, reference.registry)
    const wanted = { reference, ...(architecture === undefined ? {} : { architecture }) }
    return sendJson<InspectedBundle>(
      reply,
      await looking(request, reference, options, (access) => remote.bundle(wanted, access)),
    )
  })
}

async function localBundle(
  ref: string,
  { store, sources, archives, by }: BundleRoutesOptions & { archives: BundleArchives; by: string },
  signal: AbortSignal,
): Promise<InspectedBundle> {
  const digest = at('/ref', storedDigest, ref)
  if (digest !== undefined) return await inspectStoredBundle(store, digest, signal)
  if (!/^(?:file|upload):/.test(ref)) throw notNamed(ref)
  const open = async () => openBundleArchive(await openLocalSource(ref, sources), { signal })
  return await archives.inspect(open, { reference: ref, by, signal })
}

/** In an archive of another order than that of uds create its small files may come last, and it may be a bomb. */
function tooLate(ref: string): AppError {
  return new AppError(
    'PACKAGE_TOO_LARGE',
    `${ref.slice(0, 300)} was not looked through within ${LOOK_WITHIN_MS / 1000} s`,
    {
      hint: 'What tells what it is does not come first in it; a publish or a verify job reads all of it.',
    },
  )
}

function notNamed(ref: string): AppError {
  return new AppError('REFERENCE_INVALID', `"${ref.slice(0, 160)}" names no bundle`, {
    hint: 'A bundle is named as oci://host/repository:tag, store:sha256:..., upload:{id} or file:/absolute/path.',
    details: { pointer: '/ref' },
  })
}
