import type { Readable } from 'node:stream'
import { DataStore, type Lock, Upload } from '@tus/server'
import type { Append, NewPartial, PartialUploads, WriteRight } from '../../../files/uploads/partial-uploads.ts'
import type { UploadLock, UploadLocks } from '../../../jobs/uploads/upload-locks.ts'
import { AppError } from '../../../lib/errors.ts'
import { type BodyPace, paced } from '../../requests/bodies/body-pace.ts'
import { noUpload } from '../uploads.ts'

export interface CallerStoreOptions {
  partials: PartialUploads
  locks: UploadLocks
  /** The request's body. */
  bytes: () => AsyncIterable<Buffer>
  pace: BodyPace
  /** Abort when what runs has to end: with the token, the process. */
  stops: readonly AbortSignal[]
  /** Of a creation. */
  wish?: Omit<NewPartial, 'id'>
  checksum?: Append['checksum']
}

const EXTENSIONS = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'expiration',
  'termination',
  'checksum',
]

/** Somebody else wants to write: what came counts, and that is no error. */
const HANDED_OVER = new Error('another request writes to the upload')
const TOO_SLOW =
  'What came was kept: ask where the upload stands (HEAD), and go on from there over a better connection.'

/** Our uploads as @tus/server wants them, for one request. */
export class CallerStore extends DataStore {
  readonly #options: CallerStoreOptions
  #lock: UploadLock | undefined
  readonly #wanted = new AbortController()
  /** As it stood last. */
  found: { id: string; offset: number; length?: number; metadata?: string; expiresAt?: number } | undefined

  constructor(options: CallerStoreOptions) {
    super()
    this.#options = options
    this.extensions = EXTENSIONS
  }

  /** What @tus/server locks an upload by. */
  newLock(id: string): Lock {
    const { locks, stops } = this.#options
    return {
      lock: async (signal) => {
        this.#lock = await locks.acquire(id, {
          signal: AbortSignal.any([signal, ...stops]),
          // Not as the server does it, which has what was not begun yet fail.
          onWanted: () => this.#wanted.abort(HANDED_OVER),
        })
      },
      unlock: async () => this.#lock?.release(),
    }
  }

  get #right(): WriteRight {
    const { stops } = this.#options
    const lock = this.#lock
    if (!lock) throw new TypeError('an upload is locked before it is asked for')
    return {
      isDoubtful: lock.isDoubtful,
      check: () => lock.check(),
      commit: async () => {
        for (const stop of stops) stop.throwIfAborted()
      },
    }
  }

  override async create(upload: Upload): Promise<Upload> {
    const { partials, wish } = this.#options
    if (!wish) throw new TypeError('a creation has a wish')
    this.found = await partials.create({ ...wish, id: upload.id })
    if (wish.length === 0) await this.getUpload(upload.id)
    return upload
  }

  override async getUpload(id: string): Promise<Upload> {
    const upload = await this.#options.partials.settle(id, this.#right)
    if (!upload) throw noUpload(id)
    this.found = 'offset' in upload ? upload : { id, offset: upload.size, length: upload.size }
    const { offset, length } = this.found
    return new Upload({ id, offset, ...(length === undefined ? {} : { size: length }) })
  }

  override async declareUploadLength(id: string, length: number): Promise<void> {
    await this.#options.partials.declareLength(id, length, this.#right)
    if (this.found) this.found.length = length
  }

  /** Reads the request itself: the server's own way, over three more streams, costs as much again (ADR 25). */
  override async write(stream: Readable, id: string, offset: number): Promise<number> {
    stream.resume()
    const { partials, bytes, pace, checksum, stops } = this.#options
    // Nothing comes behind the end; the server has seen to that.
    if (this.found?.length === offset && !(await partials.get(id))) return offset
    const signal = AbortSignal.any([...stops, this.#wanted.signal])
    const body = paced(bytes(), pace, { hint: TOO_SLOW, signal })
    const reached = await partials
      .append(id, body, { offset, right: this.#right, checksum })
      .catch((error: unknown) => {
        if (error === HANDED_OVER) return undefined
        throw error
      })
    const left = await partials.get(id)
    this.found = left ?? { id, offset: reached ?? offset, length: reached ?? offset }
    return this.found.offset
  }
}

export function sizeExceeded({ found }: CallerStore): AppError {
  const most = found?.length === undefined ? 'as it may have' : `than the ${found.length} bytes that it has`
  return new AppError('PAYLOAD_TOO_LARGE', `more came for the upload ${most}`, {
    hint: 'Ask where it stands (HEAD), and send what is left of it.',
    details: { offset: found?.offset ?? null, length: found?.length ?? null },
  })
}
