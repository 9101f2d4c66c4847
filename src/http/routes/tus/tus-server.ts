import { randomUUID } from 'node:crypto'
import { ERRORS, Server } from '@tus/server'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, toAppError } from '../../../lib/errors.ts'
import { noUpload } from '../uploads.ts'
import { type CallerStore, sizeExceeded } from './caller-store.ts'
import { TUS_VERSION } from './tus-headers.ts'

export type TusMethod = 'POST' | 'HEAD' | 'PATCH' | 'DELETE' | 'OPTIONS'

/** What of a request is @tus/server's affair: nothing of what proxies add, no origin, no credential. */
const REQUEST_HEADERS = [
  'content-length',
  'content-type',
  'upload-defer-length',
  'upload-length',
  'upload-offset',
] as const
/** What of its answer is: no CORS. */
const ANSWER_HEADERS = [
  'cache-control',
  'location',
  'tus-extension',
  'tus-max-size',
  'tus-version',
  'upload-defer-length',
  'upload-length',
  'upload-offset',
] as const
const PATH = '/v1/uploads'

/** Lets @tus/server answer by the caller's store: what it says goes into `reply`, to be sent. Throws what went wrong in our words. */
export async function answerTus(
  request: FastifyRequest,
  reply: FastifyReply,
  { store, id, maxSize }: { store: CallerStore; id?: string; maxSize?: number },
): Promise<void> {
  let failure: unknown
  const server = new Server({
    path: PATH,
    datastore: store,
    locker: store,
    relativeLocation: true,
    // None, so that no answer names one.
    allowedOrigins: [],
    namingFunction: () => randomUUID(),
    getFileIdFromRequest: () => id,
    onResponseError: (_request, error) => {
      failure = error
      return undefined
    },
    ...(maxSize === undefined ? {} : { maxSize }),
  })
  const answer = await server.handleWeb(webRequest(request, id))
  if (failure !== undefined) throw translated(failure, store, id)
  if (answer.status >= 400) throw new AppError('REQUEST_INVALID', (await answer.text()).trim())
  for (const name of ANSWER_HEADERS) {
    const value = answer.headers.get(name)
    if (value !== null) void reply.header(name, value)
  }
  if (answer.headers.get('connection') === 'close') void reply.header('connection', 'close')
  tellFound(reply, store)
  void reply.code(answer.status)
}

/** Beside what @tus/server tells: it knows expiry by the time of creation alone, and metadata as it reads them. */
function tellFound(reply: FastifyReply, { found }: CallerStore): void {
  if (found?.expiresAt !== undefined) void reply.header('upload-expires', new Date(found.expiresAt).toUTCString())
  if (found?.metadata !== undefined) void reply.header('upload-metadata', found.metadata)
}

/** Without its body, which the store reads. */
function webRequest({ method, headers }: FastifyRequest, id: string | undefined): Request {
  const named = REQUEST_HEADERS.flatMap((name): Array<[string, string]> => {
    const value = headers[name]
    return value === undefined ? [] : [[name, String(value)]]
  })
  return new Request(`http://layerd${PATH}${id === undefined ? '' : `/${id}`}`, {
    method,
    headers: [...named, ['tus-resumable', TUS_VERSION]],
  })
}

function translated(error: unknown, store: CallerStore, id = ''): AppError {
  if (error instanceof AppError) return error
  // Its StreamLimiter's, which it does not export.
  if ((error as { status_code?: number }).status_code === ERRORS.ERR_MAX_SIZE_EXCEEDED.status_code)
    return sizeExceeded(store)
  switch (error) {
    case ERRORS.INVALID_OFFSET: {
      const { offset = 0 } = store.found ?? {}
      return new AppError('UPLOAD_OFFSET_MISMATCH', `the upload stands at byte ${offset}, and this begins elsewhere`, {
        hint: 'Go on from there.',
        details: { offset },
      })
    }
    case ERRORS.FILE_NOT_FOUND:
      return noUpload(id)
    case ERRORS.ABORTED:
      return new AppError('UPLOAD_INTERRUPTED', 'the connection ended before all bytes had come', {
        hint: 'What came was kept: ask where the upload stands (HEAD), and go on from there.',
      })
    case ERRORS.INVALID_LENGTH:
      return new AppError(
        'REQUEST_INVALID',
        'Upload-Length is not what this upload takes: it is said once, and not below what has come',
      )
    default:
      return toAppError(error)
  }
}
