import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { parseDigest } from '../../content/digest.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { storedSignatures } from '../../transfer/signatures.ts'
import { openStoredPackage, type OpenedStoredPackage } from '../../transfer/stored-package.ts'
import { acceptsByName } from '../answers/accept.ts'
import { type Download, sendDownload } from '../answers/download.ts'
import { sendBytes, sendJson } from '../answers/made-json.ts'
import {
  getArchiveSchema,
  getChecksumsSchema,
  getDefinitionSchema,
  getImagesSchema,
  getSignaturesSchema,
  headArchiveSchema,
  type PackageSignatures,
} from '../schemas/package.ts'

export interface PackageFilesOptions {
  store: ContentStore
  closing: AbortSignal
}

/** What is in a stored package, and the package as a file. */
export const packageFiles: FastifyPluginAsyncTypebox<PackageFilesOptions> = async (app, { store, closing }) => {
  // A download may be hours from its end: a shutdown cuts it, and its client goes on by Range.
  const signalOf = (request: FastifyRequest) => AbortSignal.any([closing, request.signal])
  const open = (request: FastifyRequest<{ Params: { digest: string } }>) =>
    openStoredPackage(store, parseDigest(request.params.digest), signalOf(request))

  app.get('/v1/packages/:digest/definition', { schema: getDefinitionSchema }, async (request, reply) => {
    const opened = await open(request)
    void reply.header('vary', 'accept')
    if (acceptsByName(request.headers.accept, 'application/json')) {
      return sendBytes(reply, 'application/json', opened.definitionJson)
    }
    return sendBytes(reply, 'application/yaml', await opened.file('zarf.yaml'))
  })

  app.get('/v1/packages/:digest/checksums', { schema: getChecksumsSchema }, async (request, reply) => {
    const checksums = await (await open(request)).file('checksums.txt')
    return sendBytes(reply, 'text/plain', checksums)
  })

  app.get('/v1/packages/:digest/images', { schema: getImagesSchema }, async (request, reply) => {
    const { images } = await open(request)
    return sendJson<{ images: string[] }>(reply, { images })
  })

  app.get('/v1/packages/:digest/signatures', { schema: getSignaturesSchema }, async (request, reply) => {
    const digest = parseDigest(request.params.digest)
    return sendJson<PackageSignatures>(reply, await storedSignatures(store, digest, signalOf(request)))
  })

  const url = '/v1/packages/:digest/archive'
  // Not Fastify's own HEAD: that would open the stream and throw its bytes away.
  app.get(url, { schema: getArchiveSchema, exposeHeadRoute: false }, async (request, reply) => {
    const download = await archiveOf(await open(request), request.query.components)
    return sendDownload(request, reply, { download, signal: signalOf(request), onFetched: releaser(request, store) })
  })
  app.head(url, { schema: headArchiveSchema }, async (request, reply) => {
    const download = await archiveOf(await open(request), request.query.components)
    return sendDownload(request, reply, { download, signal: signalOf(request) })
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

async function archiveOf(opened: OpenedStoredPackage, query: readonly string[] | undefined): Promise<Download> {
  const components = query
    ?.flatMap((names) => names.split(',').map((name) => name.trim()))
    .filter((name) => name !== '')
  const archive = await opened.archive(components)
  return { ...archive, mediaType: archive.fileName.endsWith('.zst') ? 'application/zstd' : 'application/x-tar' }
}
