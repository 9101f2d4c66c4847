import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { parseDigest } from '../../content/digest.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { AppError } from '../../lib/errors.ts'
import { listedNames } from '../../lib/text.ts'
import { openStoredArchive } from '../../transfer/bundle/stored.ts'
import type { PackageChoice } from '../../transfer/stored-package.ts'
import { type Download, sendDownload } from '../answers/download.ts'
import { lifeOf } from '../requests/look.ts'
import { storeSeenBy } from '../requests/seen.ts'
import { getArchiveSchema, headArchiveSchema } from '../schemas/package.ts'

export interface PackageFilesOptions {
  store: ContentStore
  closing: AbortSignal
}

const READ = { scope: ['packages:read'] } as const

/** A stored package as a file. */
export const packageFiles: FastifyPluginAsyncTypebox<PackageFilesOptions> = async (app, { store, closing }) => {
  // A download may be hours from its end: a shutdown cuts it, and its client goes on by Range.
  const signalOf = (request: FastifyRequest) => lifeOf(request, closing)
  const archiveOf = async (
    request: FastifyRequest<{ Params: { digest: string }; Querystring: ArchiveChoice }>,
  ): Promise<Download> => {
    const choice = choiceOf(request.query)
    const digest = parseDigest(request.params.digest)
    return download(
      await openStoredArchive(storeSeenBy(request.caller, store), digest, { choice, signal: signalOf(request) }),
    )
  }
  const url = '/v1/packages/:digest/archive'
  // Not Fastify's own HEAD: that would open the stream and throw its bytes away.
  app.get(url, { schema: getArchiveSchema, config: READ, exposeHeadRoute: false }, async (request, reply) => {
    const options = { signal: signalOf(request), onFetched: releaser(request, storeSeenBy(request.caller, store)) }
    return sendDownload(request, reply, { download: await archiveOf(request), ...options })
  })
  app.head(url, { schema: headArchiveSchema, config: READ }, async (request, reply) => {
    return sendDownload(request, reply, { download: await archiveOf(request), signal: signalOf(request) })
  })
}

/** A transient package has done its service once its archive was fetched. */
function releaser(
  request: FastifyRequest<{ Params: { digest: string }; Querystring: { forJob?: string } }>,
  store: ContentStore,
): (() => void) | undefined {
  const { forJob } = request.query
  if (forJob === undefined) return undefined
  return () => {
    store.packages.release(parseDigest(request.params.digest), forJob).catch((error: unknown) => {
      request.log.warn({ err: error, package: request.params.digest }, 'a transient package stays until it expires')
    })
  }
}

function download(archive: Omit<Download, 'mediaType'>): Download {
  return { ...archive, mediaType: archive.fileName.endsWith('.zst') ? 'application/zstd' : 'application/x-tar' }
}

interface ArchiveChoice {
  components?: readonly string[]
  images?: readonly string[]
  metadataOnly?: boolean
}

/** Names are separated by commas or repeated; an empty one says that none is meant. Throws REQUEST_INVALID where one excludes the other. */
function choiceOf({ components, images, metadataOnly = false }: ArchiveChoice): PackageChoice {
  if (metadataOnly && (components ?? images) !== undefined) {
    throw new AppError('REQUEST_INVALID', 'metadataOnly leaves out all components and images, so none can be chosen')
  }
  return {
    ...(components === undefined ? {} : { components: components.flatMap((names) => listedNames(names)) }),
    ...(images === undefined ? {} : { images: images.flatMap((names) => listedNames(names)) }),
    metadataOnly,
  }
}
