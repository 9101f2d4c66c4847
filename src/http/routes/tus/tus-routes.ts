import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadFolder } from '../../../files/upload-folder.ts'
import type { UploadLocks } from '../../../jobs/uploads/upload-locks.ts'
import type { ContentStore } from '../../../store/content-store.ts'
import { AppError } from '../../../lib/errors.ts'
import { uploadTarget } from '../../requests/audited.ts'
import { type BodyPace, LEAST_PACE } from '../../requests/bodies/body-pace.ts'
import type { OpenUploads } from '../../requests/bodies/open-uploads.ts'
import { requireUploadChange, uploadsSeenBy } from '../../requests/seen.ts'
import {
  appendUploadSchema,
  createUploadSchema,
  uploadOffsetSchema,
  uploadOptionsSchema,
  uploadsOptionsSchema,
} from '../../schemas/upload.ts'
import { noUpload } from '../uploads.ts'
import { CallerStore, type CallerStoreOptions } from './caller-store.ts'
import {
  BODY_TYPE,
  CHECKSUM_ALGORITHMS,
  nameIn,
  readChecksum,
  readCreation,
  requireBytes,
  requireOffset,
  requireTus,
} from './tus-headers.ts'
import { answerTus } from './tus-server.ts'

export interface TusRoutesOptions {
  uploads: UploadFolder
  store: Pick<ContentStore, 'disk'>
  uploadLocks: UploadLocks
  openUploads: OpenUploads
  closing: AbortSignal
  bodyPace?: BodyPace | undefined
}

type App = Parameters<FastifyPluginAsyncTypebox<TusRoutesOptions>>[0]
type OfUpload = { Params: { upload: string } }

const CONFIG = { scope: ['uploads:write'], body: 'own' } as const

/** Uploads that go on where they broke off: tus 1.0.0, by @tus/server over our own folder and locks. DELETE is that of all uploads. */
export const tusRoutes: FastifyPluginAsyncTypebox<TusRoutesOptions> = async (app, options) => {
  // Within this plugin only: bodies are handed on as streams.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  const answers = new TusAnswers(options)
  // They write down how far they came.
  app.addHook('onClose', () => answers.ended())
  creation(app, answers, options)
  appending(app, answers, options)
  offsets(app, answers, options)
  const offered = async (request: FastifyRequest, reply: FastifyReply) => {
    const { totalBytes, reserveBytes } = await options.store.disk()
    const maxSize = Math.min(options.uploads.partials.maxBytes, totalBytes - reserveBytes)
    await answerTus(request, reply, { store: answers.store(request), maxSize })
    return reply.header('tus-checksum-algorithm', CHECKSUM_ALGORITHMS.join(',')).send()
  }
  app.options('/v1/uploads', { schema: uploadsOptionsSchema, config: CONFIG }, offered)
  app.options('/v1/uploads/:upload', { schema: uploadOptionsSchema, config: CONFIG }, offered)
}

function creation(app: App, answers: TusAnswers, { uploads: { partials } }: TusRoutesOptions): void {
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    requireTus(request, reply)
    readCreation(request)
    readChecksum(request.headers)
    if (hasBody(request)) requireBytes(request)
    answers.takePlace(request, reply)
  }
  const audit = (request: FastifyRequest, reply: FastifyReply) => uploadTarget(nameIn(request), reply)
  const config = { ...CONFIG, audit }
  app.post<{ Reply: undefined }>(
    '/v1/uploads',
    { schema: createUploadSchema, config, onRequest },
    async (request, reply) => {
      const { name: principal } = request.caller
      const wish = { ...readCreation(request), principal }
      const store = answers.store(request, { wish, checksum: readChecksum(request.headers) })
      try {
        await answers.answer(request, reply, { store })
      } catch (error) {
        // Nobody knows its address.
        if (store.found) await partials.remove(store.found.id)
        throw error
      }
      request.log.info({ principal, upload: store.found?.id, name: wish.name, size: wish.length }, 'upload begun')
      return reply.send()
    },
  )
}

function appending(app: App, answers: TusAnswers, { uploads }: TusRoutesOptions): void {
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    requireTus(request, reply)
    requireBytes(request)
    requireOffset(request)
    readChecksum(request.headers)
    answers.takePlace(request, reply)
  }
  const given = { schema: appendUploadSchema, config: CONFIG, onRequest }
  app.patch<OfUpload>('/v1/uploads/:upload', given, async (request, reply) => {
    const { upload: id } = request.params
    await requireOwn(request, uploads, id)
    const store = answers.store(request, { checksum: readChecksum(request.headers) })
    await answers.answer(request, reply, { store, id })
    const { offset, length } = store.found ?? {}
    const whole = offset === length
    if (whole) request.log.info({ principal: request.caller.name, upload: id, size: length }, 'upload received')
    return reply.send()
  })
}

function offsets(app: App, answers: TusAnswers, { uploads }: TusRoutesOptions): void {
  const given = { schema: uploadOffsetSchema, config: CONFIG }
  app.head<OfUpload>('/v1/uploads/:upload', given, async (request, reply) => {
    const { upload: id } = request.params
    if (request.headers['tus-resumable'] === undefined) {
      const seen = uploadsSeenBy(request.caller, uploads)
      if ((await seen.get(id)) ?? (await seen.partials.get(id))) return reply.send()
      throw noUpload(id)
    }
    requireTus(request, reply)
    await requireOwn(request, uploads, id)
    await answers.answer(request, reply, { store: answers.store(request), id })
    return reply.send()
  })
}

/** What requests of tus have in common. */
class TusAnswers {
  readonly #options: TusRoutesOptions
  readonly #stopping: AbortSignal
  readonly #running = new Set<Promise<unknown>>()

  constructor(options: TusRoutesOptions) {
    this.#options = options
    this.#stopping = whenClosing(options.closing)
  }

  store(request: FastifyRequest, more: Partial<CallerStoreOptions> = {}): CallerStore {
    const { uploads, uploadLocks: locks, bodyPace: pace = LEAST_PACE } = this.#options
    const stops = [this.#stopping, request.accessEnded()]
    // A refusal half-way must still find the connection open.
    const bytes = () => request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
    return new CallerStore({ partials: uploads.partials, locks, pace, stops, bytes, ...more })
  }

  async answer(request: FastifyRequest, reply: FastifyReply, asked: Parameters<typeof answerTus>[2]): Promise<void> {
    const answered = answerTus(request, reply, asked)
    this.#running.add(answered)
    try {
      await answered
    } finally {
      this.#running.delete(answered)
      endOf(request, reply)
    }
  }

  /** Until the answer is out. Throws UPLOADS_TOO_MANY. */
  takePlace(request: FastifyRequest, reply: FastifyReply): void {
    const place = this.#options.openUploads.take(request.caller.name)
    if (reply.raw.closed || reply.raw.destroyed || request.raw.destroyed) place[Symbol.dispose]()
    else reply.raw.once('close', () => place[Symbol.dispose]())
  }

  async ended(): Promise<void> {
    await Promise.allSettled(this.#running)
  }
}

/** Also to be asked how far one is, as that ends what runs. Throws NOT_FOUND, SCOPE_MISSING. */
async function requireOwn({ caller }: FastifyRequest, uploads: UploadFolder, id: string): Promise<void> {
  const seen = uploadsSeenBy(caller, uploads)
  const upload = (await seen.get(id)) ?? (await seen.partials.get(id))
  if (!upload) throw noUpload(id)
  requireUploadChange(caller, upload)
}

/** What is still on its way is not read to its end. */
function endOf({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete) return
  void reply.header('connection', 'close')
  reply.raw.once('close', () => raw.destroy())
}

function hasBody({ headers }: FastifyRequest): boolean {
  const { 'content-type': type, 'content-length': length, 'transfer-encoding': coding } = headers
  return type === BODY_TYPE || coding !== undefined || (length !== undefined && length !== '0')
}

/** As `closing`, with what is told to who sends. */
function whenClosing(closing: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const abort = () =>
    controller.abort(
      new AppError('SHUTTING_DOWN', 'layerd shuts down; what came of the upload was kept', {
        hint: 'Ask where it stands (HEAD) in a moment, and go on from there.',
      }),
    )
  if (closing.aborted) abort()
  else closing.addEventListener('abort', abort, { once: true })
  return controller.signal
}
