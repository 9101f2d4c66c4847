import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'
import type { Principal } from '../../access/principal.ts'
import { isUploadId, type Upload, type UploadFolder } from '../../files/upload-folder.ts'
import type { PartialUpload } from '../../files/uploads/partial-uploads.ts'
import type { UploadLocks } from '../../jobs/uploads/upload-locks.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { placedPage } from '../answers/placed-page.ts'
import { targetOfUpload } from '../requests/audited.ts'
import { type BodyPace, LEAST_PACE, paced } from '../requests/bodies/body-pace.ts'
import { readBodyDigest } from '../requests/bodies/body-digest.ts'
import type { OpenUploads } from '../requests/bodies/open-uploads.ts'
import { checkFileName, type UploadedAs } from '../requests/bodies/upload-name.ts'
import { requireUploadChange, uploadsSeenBy } from '../requests/seen.ts'
import {
  deleteUploadSchema,
  getUploadSchema,
  listUploadsSchema,
  putUploadSchema,
  type Upload as UploadView,
} from '../schemas/upload.ts'

export interface UploadRoutesOptions {
  uploads: UploadFolder
  uploadLocks: UploadLocks
  openUploads: OpenUploads
  closing: AbortSignal
  /** AppOptions. */
  bodyPace?: BodyPace | undefined
}

const SWEEP_EVERY_MS = 10 * 60 * 1000
const WRITE = { scope: ['uploads:write'] } as const

export const uploadRoutes: FastifyPluginAsyncTypebox<UploadRoutesOptions> = async (app, options) => {
  const { uploads, openUploads: open, closing, bodyPace = LEAST_PACE } = options
  // Within this plugin only: the body is handed on as a stream, whatever it calls itself (curl -T names no type).
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  sweepNowAndThen(app, uploads)

  const receiving = new Set<Promise<Upload>>()
  const receive = (request: FastifyRequest<{ Params: { upload: string } }>, ended: AbortSignal): Promise<Upload> => {
    const declaredBytes = declaredLength(request)
    const sha256 = readBodyDigest(request.headers)
    // destroyOnReturn: a refusal half-way must still find the connection open.
    const bytes = paced(request.raw.iterator({ destroyOnReturn: false }), bodyPace)
    const received = uploads.receive(request.params.upload, bytes, {
      ...(declaredBytes === undefined ? {} : { declaredBytes }),
      ...(sha256 === undefined ? {} : { sha256 }),
      principal: request.caller.name,
    })
    const promise = received.then(async (upload) => {
      if (ended.aborted) await uploads.remove(upload.id)
      return upload
    })
    receiving.add(promise)
    void promise.catch(() => {}).finally(() => receiving.delete(promise))
    return promise
  }
  const shutdown = whenClosing(closing)
  // Their answers end them; they clean up after themselves.
  app.addHook('onClose', async () => void (await Promise.allSettled(receiving)))

  app.put<{ Params: { upload: string }; Querystring: { as?: UploadedAs } }>(
    '/v1/uploads/:upload',
    {
      schema: putUploadSchema,
      config: { ...WRITE, audit: targetOfUpload },
      // Before the client is told to go on: a refused upload is not sent at all by who asks first (curl does).
      onRequest: async (request, reply) => {
        // Before the schema: a refused upload is not sent at all.
        checkFileName(request.params.upload, request.query.as === 'file' ? 'file' : 'package')
        checkWhole(request)
        readBodyDigest(request.headers)
        const place = open.take(request.caller.name)
        // Its connection may have ended while the token was looked at.
        if (reply.raw.closed || reply.raw.destroyed || request.raw.destroyed) place[Symbol.dispose]()
        else reply.raw.once('close', () => place[Symbol.dispose]())
      },
    },
    async (request, reply) => {
      try {
        const ended = request.accessEnded()
        const upload = await Promise.race([receive(request, ended), shutdown, whenEnded(ended)])
        const { id, name, size } = upload
        request.log.info({ principal: request.caller.name, upload: id, name, size }, 'upload received')
        return await reply.code(201).header('location', `/v1/uploads/${upload.id}`).send(uploadView(upload))
      } catch (error) {
        // What is still on its way is not read to its end. node:http no longer tells a request whose answer is out that
        // its connection has ended, so who still reads it would wait for ever.
        void reply.header('connection', 'close')
        reply.raw.once('close', () => request.raw.destroy())
        throw error
      }
    },
  )
  keptUploads(app, options)
}

function keptUploads(
  app: Parameters<typeof uploadRoutes>[0],
  { uploads, uploadLocks: locks, closing }: UploadRoutesOptions,
): void {
  const find = async (caller: Principal, id: string): Promise<Upload | PartialUpload | undefined> => {
    const seen = uploadsSeenBy(caller, uploads)
    return (await seen.get(id)) ?? (await seen.partials.get(id))
  }
  // HEAD is told by tus-routes.ts.
  app.get(
    '/v1/uploads/:upload',
    { schema: getUploadSchema, config: WRITE, exposeHeadRoute: false },
    async (request) => {
      const upload = await find(request.caller, request.params.upload)
      if (upload) return uploadView(upload)
      throw noUpload(request.params.upload)
    },
  )

  app.get('/v1/uploads', { schema: listUploadsSchema, config: WRITE }, async (request, reply) => {
    const order = { place: ({ name, id }: UploadView) => [name, id], isId: isUploadId }
    const seen = uploadsSeenBy(request.caller, uploads)
    const views = [...(await seen.list()), ...(await seen.partials.list())].map(uploadView)
    return sendPage(reply, request.url, placedPage(views, pageFrom(request.query), order))
  })

  app.delete('/v1/uploads/:upload', { schema: deleteUploadSchema, config: WRITE }, async (request, reply) => {
    const { upload: id } = request.params
    const upload = await find(request.caller, id)
    if (!upload) throw noUpload(id)
    requireUploadChange(request.caller, upload)
    if (!(await removeUpload(id, { uploads, locks, signal: closing }))) throw noUpload(id)
    if (request.headers['tus-resumable'] !== undefined) void reply.header('tus-resumable', '1.0.0')
    request.log.info({ principal: request.caller.name, upload: id }, 'upload deleted')
    return reply.code(204).send(null)
  })
}

/** What sends to it ends first. */
async function removeUpload(
  id: string,
  { uploads, locks, signal }: { uploads: UploadFolder; locks: UploadLocks; signal: AbortSignal },
): Promise<boolean> {
  if (await uploads.remove(id)) return true
  const lock = await locks.acquire(id, { signal, onWanted: () => undefined })
  try {
    // Whole by now, perhaps.
    return (await uploads.partials.remove(id)) || (await uploads.remove(id))
  } finally {
    await lock.release()
  }
}

/** As callers see it. */
function uploadView(upload: Upload | PartialUpload): UploadView {
  const { id, name } = upload
  if (!('offset' in upload)) return { id, name, state: 'complete', size: upload.size, sha256: upload.sha256 }
  const { offset, length = null, expiresAt } = upload
  const view = { id, name, state: 'incomplete', size: length, sha256: null, offset } as const
  return { ...view, expiresAt: new Date(expiresAt).toISOString() }
}

export function noUpload(id: string): AppError {
  return new AppError('NOT_FOUND', `there is no upload ${id.slice(0, 64)}`, {
    hint: 'Uploads go 24 h after their last use.',
  })
}

/** Taken for the whole, a part would be a package without its head. Source: RFC 9110 14.5. */
function checkWhole({ headers }: FastifyRequest): void {
  if (headers['content-range'] === undefined) return
  throw new AppError('REQUEST_INVALID', 'an upload comes whole in one request; this one has a Content-Range', {
    hint: 'Send the whole file again: curl -T without -C.',
  })
}

function declaredLength({ headers }: FastifyRequest): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

function sweepNowAndThen(app: Parameters<typeof uploadRoutes>[0], uploads: UploadFolder): void {
  const sweep = () => {
    uploads.sweep().catch((error: unknown) => app.log.warn({ err: error }, 'upload sweep failed'))
  }
  const timer = setInterval(sweep, SWEEP_EVERY_MS).unref()
  app.addHook('onListen', async () => sweep())
  app.addHook('onClose', async () => clearInterval(timer))
}

/** Rejects when layerd shuts down: an upload in one request may be hours from its end. */
function whenClosing(closing: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_resolve, reject) => {
    const refuse = () => {
      reject(
        new AppError('SHUTTING_DOWN', 'layerd shut down during the upload; nothing of it was kept', {
          hint: 'Send it again.',
        }),
      )
    }
    closing.addEventListener('abort', refuse, { once: true })
  })
  promise.catch(() => {})
  return promise
}

/** Rejects when the token that lets it in ends: what came so far is dropped with the connection. */
function whenEnded(ended: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_resolve, reject) => {
    const refuse = () => reject(ended.reason as Error)
    if (ended.aborted) refuse()
    else ended.addEventListener('abort', refuse, { once: true })
  })
  promise.catch(() => {})
  return promise
}
