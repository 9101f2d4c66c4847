import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type TProperties, Type } from 'typebox'
import type { Authenticator } from '../../access/authenticator.ts'
import type { Scope } from '../../access/scopes.ts'
import { parseDigest } from '../../content/digest.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import type { UploadFolder } from '../../files/upload-folder.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { inspectOpened } from '../../transfer/inspect/facts.ts'
import type { InspectablePackage } from '../../transfer/inspect/inspectable.ts'
import { openStoredFiles } from '../../transfer/inspect/stored.ts'
import { createArchiveReader } from '../../transfer/inspect/uploaded.ts'
import { sendDownload } from '../answers/download.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { sendJsonWith } from '../answers/made-json.ts'
import { LOOK_WITHIN_MS, lookWithin } from '../requests/look.ts'
import { storeSeenBy, uploadsSeenBy } from '../requests/seen.ts'
import { PackageParams } from '../schemas/package.ts'
import { fileRequestHeaders, fileResponse, type InspectedPackage } from '../schemas/package-views.ts'
import { UploadParams, getUploadedPackageSchema } from '../schemas/upload.ts'
import { remoteRequest } from '../schemas/remote-package.ts'
import { openReference, type RemotePackageRoutesOptions } from './remote-packages.ts'
import { noUpload } from './uploads.ts'
import { FILE_VIEWS, type FileView, mediaTypeOf, type View, VIEWS, type ViewQuery } from './view-table.ts'

export interface PackageViewsOptions extends RemotePackageRoutesOptions {
  store: ContentStore
  sources: LocalSources
  uploads: UploadFolder
  authenticator: Pick<Authenticator, 'required'>
  openDownloads: OpenAnswers
}

/** Where packages lie that can be looked into. */
interface Place {
  /** Of its operationIds. */
  readonly name: string
  readonly url: string
  readonly config: { readonly scope: readonly Scope[] }
  readonly params: TProperties
  readonly query: TProperties
  readonly headers: TProperties
  look<T>(request: FastifyRequest, task: (found: InspectablePackage) => Promise<T>): Promise<T>
}

/** Every view of a package: of one in its registry, of a stored one, of an uploaded one. */
export const packageViews: FastifyPluginAsyncTypebox<PackageViewsOptions> = async (app, options) => {
  const places = [remotePlace(options), storedPlace(options), uploadedPlace(options)]
  for (const place of places) {
    for (const view of VIEWS) addView(app, place, view)
    for (const view of FILE_VIEWS) addFileView(app, { place, view, openDownloads: options.openDownloads })
  }
  const uploaded = places[2] as Place
  app.get(uploaded.url, { schema: getUploadedPackageSchema, config: uploaded.config }, async (request, reply) => {
    void reply.header('cache-control', 'no-cache')
    const { definition, ...rest } = await uploaded.look(request, inspectOpened)
    return sendJsonWith<InspectedPackage>(reply, rest, ['definition', definition])
  })
}

type App = Parameters<typeof packageViews>[0]
type Asked = FastifyRequest<{ Params: Record<string, string>; Querystring: ViewQuery }>

function addView(app: App, place: Place, view: View): void {
  const { path, name, summary, description, query, response } = view
  const schema = {
    ...requestOf(place, { query: query ?? {} }),
    operationId: `get${place.name}${name}`,
    summary,
    ...(description === undefined ? {} : { description }),
    response,
  }
  app.get(`${place.url}/${path}`, { schema, config: place.config }, async (request, reply) => {
    void reply.header('cache-control', 'no-cache')
    return await place.look(request, async (found) => {
      const answered = await view.answer(found, request, reply)
      // To write an answer of 200,000 names takes long enough by itself.
      await nextTurn()
      return answered
    })
  })
}

/** Scripts of a page run in an origin of its own, and nothing can be fetched. */
const FOREIGN_CSP =
  "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"

function addFileView(app: App, { place, view, openDownloads }: PlacedView): void {
  const schema = {
    ...requestOf(place, { params: view.params, headers: fileRequestHeaders }),
    operationId: `get${place.name}${view.name}`,
    summary: view.summary,
    response: fileResponse,
  }
  const answer = async (request: Asked, reply: FastifyReply) => {
    const content = await place.look(request, (found) => view.find(found, request.params))
    const isPage = view.isPage(content.fileName)
    const mediaType = isPage ? 'text/html; charset=utf-8' : mediaTypeOf(content.fileName)
    const download = { ...content, mediaType, ...(isPage ? { disposition: 'inline' as const } : {}) }
    void reply.header('content-security-policy', FOREIGN_CSP)
    const signal = AbortSignal.any([request.signal, request.accessEnded()])
    return sendDownload(request, reply, { download, signal, openDownloads })
  }
  const url = `${place.url}/${view.path}`
  // Not Fastify's own HEAD: that would open the stream and throw its bytes away. Compressed, ranges would be of other bytes.
  app.get(url, { schema, config: place.config, exposeHeadRoute: false, compress: false }, async (request, reply) =>
    answer(request as Asked, reply),
  )
  const { response: _, ...asked } = schema
  app.head(url, { schema: { ...asked, hide: true }, config: place.config }, async (request, reply) =>
    answer(request as Asked, reply),
  )
}

interface PlacedView {
  place: Place
  view: FileView
  openDownloads: OpenAnswers
}

function requestOf(
  place: Place,
  { params = {}, query = {}, headers = {} }: { params?: TProperties; query?: TProperties; headers?: TProperties },
) {
  return {
    tags: ['packages'],
    params: Type.Object({ ...place.params, ...params }),
    querystring: Type.Object({ ...place.query, ...query }, { additionalProperties: false }),
    headers: Type.Object({ ...place.headers, ...headers }),
  }
}

function remotePlace(options: PackageViewsOptions): Place {
  return {
    name: 'RemotePackage',
    url: '/v1/remote-packages',
    config: { scope: ['packages:read'] },
    params: {},
    query: remoteRequest.querystring,
    headers: remoteRequest.headers,
    look: (request, task) => openReference(request, options, task),
  }
}

function storedPlace({ store, looks, closing }: PackageViewsOptions): Place {
  return {
    name: 'Package',
    url: '/v1/packages/:digest',
    config: { scope: ['packages:read'] },
    params: PackageParams.properties,
    query: {},
    headers: {},
    async look(request, task) {
      const { digest } = request.params as { digest: string }
      const seen = storeSeenBy(request.caller, store)
      const open = (signal: AbortSignal) => openStoredFiles(seen, parseDigest(digest), signal)
      return await lookWithin(request, { looks, closing, tooLate }, async (signal) => task(await open(signal)))
    },
  }
}

function uploadedPlace({ sources, uploads, looks, closing, authenticator }: PackageViewsOptions): Place {
  const archives = createArchiveReader({ fair: authenticator.required })
  return {
    name: 'UploadedPackage',
    url: '/v1/uploads/:upload/package',
    config: { scope: ['uploads:write', 'packages:read'] },
    params: UploadParams.properties,
    query: {},
    headers: {},
    async look(request, task) {
      const { upload } = request.params as { upload: string }
      const seen = uploadsSeenBy(request.caller, uploads)
      const open = async () => {
        // One that is not whole is told by what opens it.
        if (!((await seen.get(upload)) ?? (await seen.partials.get(upload)))) throw noUpload(upload)
        return await openLocalSource(`upload:${upload}`, { ...sources, uploads: seen })
      }
      const by = request.caller.name
      return await lookWithin(request, { looks, closing, tooLate }, async (signal) =>
        task(await archives.open(open, { by, signal })),
      )
    },
  }
}

function tooLate(): AppError {
  return new AppError('PACKAGE_TIMEOUT', `the package was not read through within ${LOOK_WITHIN_MS / 1000} s`, {
    hint: 'What lies compressed is read from its beginning: publish it, or pull it, and look at it there.',
  })
}
