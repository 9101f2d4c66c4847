import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { OpenedLink } from '../../access/links.ts'
import { parseDigest } from '../../content/digest.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { AppError } from '../../lib/errors.ts'
import { listedNames } from '../../lib/text.ts'
import { openStoredArchive } from '../../transfer/bundle/stored.ts'
import type { PackageChoice } from '../../transfer/stored-package.ts'
import { openStoredUpdate } from '../../transfer/update/make.ts'
import { type Download, sendDownload } from '../answers/download.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { lifeOf } from '../requests/look.ts'
import { noSuchLink } from '../access/link.ts'
import { storeSeenBy } from '../requests/seen.ts'
import { getArchiveSchema, headArchiveSchema } from '../schemas/package.ts'

export interface PackageFilesOptions {
  store: ContentStore
  closing: AbortSignal
  openDownloads: OpenAnswers
}

const READ = { scope: ['packages:read'], linked: true } as const

/** A stored package as a file. */
export const packageFiles: FastifyPluginAsyncTypebox<PackageFilesOptions> = async (app, options) => {
  const { store, closing, openDownloads } = options
  // A download may be hours from its end: a shutdown cuts it, and its client goes on by Range.
  const signalOf = (request: FastifyRequest) => lifeOf(request, closing)
  const archiveOf = async (
    request: FastifyRequest<{ Params: { digest: string }; Querystring: ArchiveChoice }>,
  ): Promise<Download> => {
    const digest = parseDigest(request.params.digest)
    const choice = request.link ? await linkedChoice(request, request.link, store) : choiceOf(request.query)
    const seen = storeSeenBy(request.caller, store)
    const signal = signalOf(request)
    const { since } = request.query
    if (since === undefined) return download(await openStoredArchive(seen, digest, { choice, signal }))
    checkNoChoice(choice)
    return download(await openStoredUpdate(seen, { digest, since: parseDigest(since), signal }))
  }
  const url = '/v1/packages/:digest/archive'
  // Not Fastify's own HEAD: that would open the stream and throw its bytes away.
  app.get(url, { schema: getArchiveSchema, config: READ, exposeHeadRoute: false }, async (request, reply) => {
    const sending = {
      signal: signalOf(request),
      openDownloads,
      onFetched: releaser(request, storeSeenBy(request.caller, store)),
    }
    return sendDownload(request, reply, { download: await archiveOf(request), ...sending })
  })
  app.head(url, { schema: headArchiveSchema, config: READ }, async (request, reply) => {
    return sendDownload(request, reply, {
      download: await archiveOf(request),
      signal: signalOf(request),
      openDownloads,
    })
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
  since?: string | undefined
  components?: readonly string[] | undefined
  images?: readonly string[] | undefined
  metadataOnly?: boolean
}

/** What a link is of, where who made it still sees that. Throws NOT_FOUND as for any other link, REQUEST_INVALID. */
async function linkedChoice(
  { query }: FastifyRequest,
  { digest, choice, maker }: OpenedLink,
  store: ContentStore,
): Promise<PackageChoice> {
  if (Object.keys(query as object).length > 1) {
    throw new AppError('REQUEST_INVALID', 'a link is of one archive, and nothing can be chosen beside it')
  }
  if (!(await storeSeenBy(maker, store).packages.get(parseDigest(digest)))) throw noSuchLink()
  return choice
}

/** What an update leaves out is what the other package has. Throws REQUEST_INVALID. */
function checkNoChoice({ components, images, metadataOnly = false }: PackageChoice): void {
  if (!metadataOnly && (components ?? images) === undefined) return
  throw new AppError(
    'REQUEST_INVALID',
    '"since" gives all that the other package lacks, so nothing else can be chosen',
    {
      hint: 'Leave "components", "images" and "metadataOnly" out.',
      details: { pointer: '/since' },
    },
  )
}

/** Throws REQUEST_INVALID where one excludes the other. */
export function checkChoice({ components, images, metadataOnly = false }: ArchiveChoice): void {
  if (!metadataOnly || (components ?? images) === undefined) return
  throw new AppError('REQUEST_INVALID', 'metadataOnly leaves out all components and images, so none can be chosen')
}

/** Names are separated by commas or repeated; an empty one says that none is meant. Throws as checkChoice. */
function choiceOf({ components, images, metadataOnly = false }: ArchiveChoice): PackageChoice {
  checkChoice({ components, images, metadataOnly })
  return {
    ...(components === undefined ? {} : { components: components.flatMap((names) => listedNames(names)) }),
    ...(images === undefined ? {} : { images: images.flatMap((names) => listedNames(names)) }),
    metadataOnly,
  }
}
