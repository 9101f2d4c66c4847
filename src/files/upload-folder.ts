import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CHECK_DISK_BYTES, type Reservation, type Room } from '../content/room.ts'
import { syncFolder } from '../lib/atomic-file.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { shareContent } from './equal-content.ts'
import { makeFolders } from '../lib/make-folders.ts'

/** A whole file that somebody sent. */
export interface Upload {
  id: string
  /** The file name it was sent under. */
  name: string
  /** Bytes. */
  size: number
  /** Hexadecimal. */
  sha256: string
  /** Who sent it, where it was told. */
  principal?: string
}

export interface UploadFolderOptions {
  /** `<data dir>/uploads`; made when missing. All processes of one layerd share it. */
  folder: string
  /** Most bytes of one upload; default: what the disk holds. */
  maxBytes?: number
  /** Keeps room for what comes in. Default: nobody keeps account. */
  room?: Pick<Room, 'reserve'>
  /** Uploads go so long after their last use. Default 24 h. */
  keepMs?: number
  clock?: Pick<Clock, 'now'>
}

/**
 * Uploaded files by id. On disk: `<id>/<file name>` and `<id>/upload.json`, whose modification time is the last use; what
 * is still coming in lies under `incoming-<id>` and becomes visible whole, by a rename.
 */
export interface UploadFolder {
  /**
   * Writes `bytes` under a new id, hashing on the way. Throws PAYLOAD_TOO_LARGE, STORE_FULL, UPLOAD_INTERRUPTED,
   * BODY_DIGEST_MISMATCH; then nothing is left. Other errors of `bytes` go up as they are. `declaredBytes` is what the sender
   * announced, to refuse in time what can't fit; `sha256` (hexadecimal) what the bytes must have.
   */
  receive(
    name: string,
    bytes: AsyncIterable<Buffer>,
    options?: { declaredBytes?: number; sha256?: string; principal?: string },
  ): Promise<Upload>
  get(id: string): Promise<Upload | undefined>
  /** All that are whole, in no order. */
  list(): Promise<Upload[]>
  /** For good, also for a job that still needs it. False: there is none of this id. */
  remove(id: string): Promise<boolean>
  /**
   * The upload and where it lies, for who reads it now: `path` ends in the original file name. Counts as a use, so the
   * 24 h begin anew; who reads longer calls it again. Throws UPLOAD_NOT_FOUND.
   */
  use(id: string): Promise<Upload & { path: string }>
  /** Removes what nobody used for `keepMs`, and what a process that died left half-written. Returns how many. */
  sweep(): Promise<number>
}

const DAY_MS = 24 * 60 * 60 * 1000
/** A half-written upload that got no byte for so long belongs to nobody any more; the API closes idle sockets sooner. */
const ABANDONED_MS = 60 * 60 * 1000
/** Fewer, larger writes: measured 228 -> 412 MB per CPU second against the default of 64 KiB. */
const WRITE_BUFFER_BYTES = 1024 * 1024
const RECORD = 'upload.json'
const INCOMING = 'incoming-'
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isUploadId(text: string): boolean {
  return ID.test(text)
}

export async function openUploadFolder(options: UploadFolderOptions): Promise<UploadFolder> {
  const { folder, maxBytes = Number.POSITIVE_INFINITY, room = UNCOUNTED, keepMs = DAY_MS } = options
  const clock = options.clock ?? systemClock
  await makeFolders(folder, 0o700)

  return {
    async receive(name, bytes, { declaredBytes, sha256, principal } = {}) {
      checkName(name)
      checkSize(declaredBytes ?? 0, maxBytes)
      const id = randomUUID()
      const incoming = join(folder, INCOMING + id)
      const path = join(incoming, name)
      try {
        await mkdir(incoming, { mode: 0o700 })
        const from = principal === undefined ? {} : { principal }
        const upload = { id, name, ...(await write(path, bytes, { maxBytes, declaredBytes, room })), ...from }
        checkDigest(upload, sha256)
        await shareContent(path, await filesWith(folder, upload))
        await writeFile(join(incoming, RECORD), JSON.stringify(upload), { mode: 0o600, flush: true })
        await syncFolder(incoming)
        await rename(incoming, join(folder, id))
        await syncFolder(folder)
        return upload
      } catch (error) {
        await rm(incoming, { recursive: true, force: true })
        throw explain(error, maxBytes)
      }
    },
    get: (id) => read(folder, id),
    async list() {
      const found = await Promise.all((await readdir(folder)).map((entry) => read(folder, entry)))
      return found.filter((upload) => upload !== undefined)
    },
    remove: (id) => remove(folder, id),
    async use(id) {
      const upload = await read(folder, id)
      if (!upload) throw noSuchUpload(id)
      const now = new Date(clock.now())
      await utimes(join(folder, id, RECORD), now, now)
      return { ...upload, path: join(folder, id, upload.name) }
    },
    async sweep() {
      let removed = 0
      for (const entry of await readdir(folder)) {
        const idleMs = clock.now() - (await lastUse(folder, entry))
        if (idleMs <= (entry.startsWith(INCOMING) ? ABANDONED_MS : keepMs)) continue
        await rm(join(folder, entry), { recursive: true, force: true })
        removed += 1
      }
      return removed
    },
  }
}

const UNCOUNTED: Pick<Room, 'reserve'> = {
  reserve: async () => ({
    bytesBesideStore: 0,
    reached: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }),
}

interface WriteOptions {
  maxBytes: number
  declaredBytes: number | undefined
  room: Pick<Room, 'reserve'>
}

async function write(
  path: string,
  bytes: AsyncIterable<Buffer>,
  { maxBytes, declaredBytes, room }: WriteOptions,
): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  let size = 0
  let lookAt = CHECK_DISK_BYTES
  await using reservation: Reservation = await room.reserve({ path, bytes: declaredBytes, what: 'upload' })
  await pipeline(
    bytes,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        size += chunk.byteLength
        checkSize(size, maxBytes)
        if (size >= lookAt) {
          lookAt = size + CHECK_DISK_BYTES
          await reservation.reached(size)
        }
        hash.update(chunk)
        yield chunk
      }
    },
    createWriteStream(path, { flags: 'wx', mode: 0o600, highWaterMark: WRITE_BUFFER_BYTES, flush: true }),
  )
  return { size, sha256: hash.digest('hex') }
}

async function read(folder: string, id: string): Promise<Upload | undefined> {
  // Also keeps an id from climbing out of the folder.
  if (!ID.test(id)) return undefined
  try {
    return JSON.parse(await readFile(join(folder, id, RECORD), 'utf8')) as Upload
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Those of other uploads of the same sender with the same bytes: by time and disk anybody could tell what others have sent. */
async function filesWith(folder: string, { sha256, size, principal }: Upload): Promise<string[]> {
  const others = await Promise.all((await readdir(folder)).map((entry) => read(folder, entry)))
  return others
    .filter((other) => other?.sha256 === sha256 && other.size === size && other.principal === principal)
    .map((other) => join(folder, other?.id ?? '', other?.name ?? ''))
}

/** Out of sight first, so that nobody finds half of it. */
async function remove(folder: string, id: string): Promise<boolean> {
  if (!ID.test(id)) return false
  const leaving = join(folder, `${INCOMING}${randomUUID()}`)
  try {
    await rename(join(folder, id), leaving)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  await rm(leaving, { recursive: true, force: true })
  return true
}

/** Milliseconds since the epoch; now for what another process removes or renames meanwhile. */
async function lastUse(folder: string, entry: string): Promise<number> {
  const path = join(folder, entry)
  try {
    if (ID.test(entry)) return (await stat(join(path, RECORD))).mtimeMs
    if (!entry.startsWith(INCOMING)) return Number.POSITIVE_INFINITY
    const times = await Promise.all((await readdir(path)).map((name) => stat(join(path, name))))
    return Math.max((await stat(path)).mtimeMs, ...times.map(({ mtimeMs }) => mtimeMs))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Number.POSITIVE_INFINITY
    throw error
  }
}

/** The name becomes a file's name in the upload's own folder, beside our record. */
function checkName(name: string): void {
  const plain = name === basename(name) && !/^\.{0,2}$/.test(name) && !/[\\\0]/.test(name)
  if (plain && name !== RECORD && Buffer.byteLength(name) <= 255) return
  throw new AppError('REQUEST_INVALID', `"${name.slice(0, 300)}" cannot be the name of an uploaded file`)
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return
  throw new AppError('PAYLOAD_TOO_LARGE', `the upload is larger than the ${maxBytes} bytes allowed`, {
    details: { maxBytes },
  })
}

function checkDigest({ sha256, size }: Upload, expected: string | undefined): void {
  if (expected === undefined || expected === sha256) return
  throw new AppError(
    'BODY_DIGEST_MISMATCH',
    `the SHA-256 of the ${size} bytes that came is ${sha256}, not ${expected}`,
    {
      hint: 'Nothing of it was kept: send it again. If that does not help, the file changed after its digest was taken.',
      details: { expected, actual: sha256 },
    },
  )
}

function full(cause: unknown): AppError {
  return new AppError('STORE_FULL', 'the disk of the data directory is full', {
    hint: 'Delete uploads or stored packages, or put the package into a folder of LAYERD_FILE_ROOTS on another disk and publish it from there.',
    cause,
  })
}

function explain(error: unknown, maxBytes: number): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return full(error)
    case 'EFBIG':
      return new AppError('PAYLOAD_TOO_LARGE', 'the upload is larger than the file system allows', {
        details: Number.isFinite(maxBytes) ? { maxBytes } : {},
        cause: error,
      })
    case 'ECONNRESET':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return new AppError('UPLOAD_INTERRUPTED', 'the connection ended before the upload was whole', { cause: error })
    default:
      return error
  }
}

/** What `use` throws. */
export function noSuchUpload(id: string): AppError {
  return new AppError('UPLOAD_NOT_FOUND', `there is no upload ${id.slice(0, 64)}`, {
    hint: 'Uploads go 24 h after their last use: send it again with PUT /v1/uploads/{file name}.',
    details: { pointer: '/source' },
  })
}
