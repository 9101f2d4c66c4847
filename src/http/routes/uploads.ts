import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'
import { hasUnseen } from '../../lib/text.ts'
import { noArchive } from '../../files/archive-name.ts'
import { isUploadId, type Upload, type UploadFolder } from '../../files/upload-folder.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { placedPage } from '../answers/placed-page.ts'
import { targetOfUpload } from '../requests/audited.ts'
import { type BodyPace, LEAST_PACE, paced } from '../requests/bodies/body-pace.ts'
import { readBodyDigest } from '../requests/bodies/body-digest.ts'
import { OpenUploads } from '../requests/bodies/open-uploads.ts'
import { requireUploadChange, uploadsSeenBy } from '../requests/seen.ts'
import { deleteUploadSchema, getUploadSchema, listUploadsSchema, putUploadSchema } from '../schemas/upload.ts'

export interface UploadRoutesOptions {
  uploads: UploadFolder
  closing: AbortSignal
  /** AppOptions. */
  uploadsPerPrincipal?: number
  bodyPace?: BodyPace | undefined
}

const UPLOADS_PER_PRINCIPAL = 32

const SWEEP_EVERY_MS = 10 * 60 * 1000
/** One plain file name: no folders, nothing hidden. The extension decides the format. */
const SAFE_NAME = /^[^./\\][^/\\]{0,250}$/u
const ARCHIVE = /\.tar(\.zst)?(\.part[0-9]{3})?$/

const WRITE = { scope: ['uploads:write'] } as const

export const uploadRoutes: FastifyPluginAsyncTypebox<UploadRoutesOptions> = async (app, options) => {
  const { uploads, closing, bodyPace = LEAST_PACE } = options
  const open = new OpenUploads(options.uploadsPerPrincipal ?? UPLOADS_PER_PRINCIPAL)
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

  app.put<{ Params: { upload: string } }>(
    '/v1/uploads/:upload',
    {
      schema: putUploadSchema,
      config: { ...WRITE, audit: targetOfUpload },
      // Before the client is told to go on: a refused upload is not sent at all by who asks first (curl does).
      onRequest: async (request, reply) => {
        checkFileName(request.params.upload)
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
        return await reply.code(201).header('location', `/v1/uploads/${upload.id}`).send(upload)
      } catch (error) {
        // What is still on its way is not read to its end. node:http no longer tells a request whose answer is out that
        // its connection has ended, so who still reads it would wait for ever.
        void reply.header('connection', 'close')
        reply.raw.once('close', () => request.raw.destroy())
        throw error
      }
    },
  )
  keptUploads(app, uploads)
}

function keptUploads(app: Parameters<typeof uploadRoutes>[0], uploads: UploadFolder): void {
  app.get('/v1/uploads/:upload', { schema: getUploadSchema, config: WRITE }, async (request) => {
    const upload = await uploadsSeenBy(request.caller, uploads).get(request.params.upload)
    if (upload) return upload
    throw noUpload(request.params.upload)
  })

  app.get('/v1/uploads', { schema: listUploadsSchema, config: WRITE }, async (request, reply) => {
    const order = { place: ({ name, id }: Upload) => [name, id], isId: isUploadId }
    const seen = await uploadsSeenBy(request.caller, uploads).list()
    return sendPage(reply, request.url, placedPage(seen, pageFrom(request.query), order))
  })

  app.delete('/v1/uploads/:upload', { schema: deleteUploadSchema, config: WRITE }, async (request, reply) => {
    const { upload: id } = request.params
    const upload = await uploadsSeenBy(request.caller, uploads).get(id)
    if (upload) requireUploadChange(request.caller, upload)
    if (!upload || !(await uploads.remove(id))) throw noUpload(id)
    request.log.info({ principal: request.caller.name, upload: id }, 'upload deleted')
    return reply.code(204).send(null)
  })
}

export function noUpload(id: string): AppError {
  return new AppError('NOT_FOUND', `there is no upload ${id.slice(0, 64)}`, {
    hint: 'Uploads go 24 h after their last use.',
  })
}

function checkFileName(name: string): void {
  if (!SAFE_NAME.test(name) || hasUnseen(name)) {
    throw new AppError('REQUEST_INVALID', `"${name.slice(0, 300)}" is not a plain file name`, {
      hint: 'PUT /v1/uploads/zarf-package-name-amd64-1.0.0.tar.zst, without folders.',
    })
  }
  if (ARCHIVE.test(name)) return
  throw noArchive(
    name,
    'Send the package, or each part of a split one, under the file name that zarf gave it; its extension decides the format.',
  )
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
