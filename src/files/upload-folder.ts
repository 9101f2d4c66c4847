import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CHECK_DISK_BYTES, type Reservation, type Room } from '../content/room.ts'
import { gathered } from '../content/streams.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { makeFolders } from '../lib/make-folders.ts'
import { PARTIAL } from './uploads/partial-record.ts'
import { PartialUploads } from './uploads/partial-uploads.ts'
import {
  checkDigest,
  checkName,
  checkSize,
  explain,
  INCOMING,
  isUploadId,
  noSuchUpload,
  RECORD,
  type Upload,
} from './uploads/upload-rules.ts'
import { readWhole, WholeUploads } from './uploads/whole-uploads.ts'

export { isUploadId, noSuchUpload, type Upload } from './uploads/upload-rules.ts'

export interface UploadFolderOptions {
  /** `<data dir>/uploads`; made when missing. All processes of one layerd share it. */
  folder: string
  /** Most bytes of one upload; default: what the disk holds. */
  maxBytes?: number
  /** Keeps room for what comes in. Default: nobody keeps account. */
  room?: Pick<Room, 'reserve'>
  /** Uploads go so long after their last use. Default 24 h. */
  keepMs?: number
  /** Most that are not whole that one principal may have. Default 128. */
  partialsPerPrincipal?: number
  /** Most that are whole that one principal may have: each takes three files of the disk. Default 10,000. */
  wholesPerPrincipal?: number
  clock?: Pick<Clock, 'now'>
}

/**
 * Uploaded files by id. On disk: `<id>/<file name>` and `<id>/upload.json`, whose modification time is the last use; what
 * is still coming in lies under `incoming-<id>` and becomes visible whole, by a rename.
 */
export interface UploadFolder {
  /** Those that come in pieces. */
  readonly partials: PartialUploads
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
const PARTIALS_PER_PRINCIPAL = 128
const WHOLES_PER_PRINCIPAL = 10_000
/** A half-written upload that got no byte for so long belongs to nobody any more; the API closes idle sockets sooner. */
const ABANDONED_MS = 60 * 60 * 1000
/** Fewer, larger writes: measured 228 -> 412 MB per CPU second against the default of 64 KiB. */
const WRITE_BUFFER_BYTES = 1024 * 1024
/** What is asked of it by who reads uploads. */
export type ReadUploads = Pick<UploadFolder, 'get' | 'list' | 'use'> & {
  readonly partials: Pick<PartialUploads, 'get' | 'list'>
}

export async function openUploadFolder(options: UploadFolderOptions): Promise<UploadFolder> {
  const { folder, maxBytes = Number.POSITIVE_INFINITY, room = UNCOUNTED, keepMs = DAY_MS } = options
  const { clock = systemClock, partialsPerPrincipal: perPrincipal = PARTIALS_PER_PRINCIPAL } = options
  const wholes = new WholeUploads({ folder, perPrincipal: options.wholesPerPrincipal ?? WHOLES_PER_PRINCIPAL })
  await makeFolders(folder, 0o700)

  return {
    partials: new PartialUploads({ folder, wholes, maxBytes, room, keepMs, clock, perPrincipal }),
    async receive(name, bytes, { declaredBytes, sha256, principal } = {}) {
      checkName(name)
      checkSize(declaredBytes ?? 0, maxBytes)
      await wholes.requirePlace(principal)
      const id = randomUUID()
      const incoming = join(folder, INCOMING + id)
      const path = join(incoming, name)
      try {
        await mkdir(incoming, { mode: 0o700 })
        const from = principal === undefined ? {} : { principal }
        const upload = { id, name, ...(await write(path, bytes, { maxBytes, declaredBytes, room })), ...from }
        checkDigest(upload, sha256)
        await wholes.keep(incoming, upload)
        return upload
      } catch (error) {
        await rm(incoming, { recursive: true, force: true })
        throw explain(error, maxBytes)
      }
    },
    get: (id) => readWhole(folder, id),
    list: () => wholes.all(),
    remove: (id) => remove(folder, id),
    async use(id) {
      const upload = await readWhole(folder, id)
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
      for await (const chunk of gathered(chunks)) {
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

/** Out of sight first, so that nobody finds half of it. */
async function remove(folder: string, id: string): Promise<boolean> {
  if (!isUploadId(id)) return false
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
    if (isUploadId(entry)) return (await stat(join(path, RECORD))).mtimeMs
    if (!entry.startsWith(INCOMING) && !entry.startsWith(PARTIAL)) return Number.POSITIVE_INFINITY
    const times = await Promise.all((await readdir(path)).map((name) => stat(join(path, name))))
    return Math.max((await stat(path)).mtimeMs, ...times.map(({ mtimeMs }) => mtimeMs))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Number.POSITIVE_INFINITY
    throw error
  }
}
