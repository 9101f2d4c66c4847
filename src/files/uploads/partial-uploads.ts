import { createHash, type Hash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { constants, copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Room } from '../../content/room.ts'
import { syncFolder } from '../../lib/atomic-file.ts'
import type { Clock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { createLimiter } from '../../lib/limiter.ts'
import { bootId } from '../../lib/processes/owner.ts'
import { type Append, appendBytes, settleBytes, type WriteRight } from './append.ts'
import { KeptHashes } from './kept-hashes.ts'
import {
  type FoundPartial,
  PARTIAL,
  PARTIAL_RECORD,
  type PartialRecord,
  type PartialUpload,
  partialFolder,
  readPartial,
  writePartial,
} from './partial-record.ts'
import { checkDigest, checkName, checkSize, explain, INCOMING, RECORD, type Upload } from './upload-rules.ts'
import { readWhole, type WholeUploads } from './whole-uploads.ts'

export type { Append, WriteRight } from './append.ts'
export type { PartialUpload } from './partial-record.ts'

export type NewPartial = Omit<PartialUpload, 'offset' | 'expiresAt'>

export interface PartialUploadsOptions {
  folder: string
  maxBytes: number
  room: Pick<Room, 'reserve'>
  keepMs: number
  clock: Pick<Clock, 'now'>
  wholes: WholeUploads
  /** Most that one principal may have. */
  perPrincipal: number
}

/** Beside an upload's file, while it is replaced. */
const COPY = '.copy'
/** Readings of what nobody hashed on its way. */
const READ_BACKS = 2

/**
 * Uploads that come in pieces. On disk: `partial-<id>/<file name>`, which grows at its end alone, and `partial-<id>/partial.json`.
 * Whole ones lie as others do (UploadFolder). All changes but `create` are for who has the right to write.
 */
export class PartialUploads {
  readonly #options: PartialUploadsOptions
  readonly #hashes = new KeptHashes()
  readonly #readBacks = createLimiter(READ_BACKS)

  constructor(options: PartialUploadsOptions) {
    this.#options = options
  }

  /** Most bytes of one; infinite where only the disk limits it. */
  get maxBytes(): number {
    return this.#options.maxBytes
  }

  /** An empty one. Throws PAYLOAD_TOO_LARGE, STORE_FULL, UPLOADS_TOO_MANY, REQUEST_INVALID. */
  async create(upload: NewPartial): Promise<PartialUpload> {
    const { folder, maxBytes, room, clock, perPrincipal, wholes } = this.#options
    checkName(upload.name, [RECORD, PARTIAL_RECORD])
    checkSize(upload.length ?? 0, maxBytes)
    checkCount(upload, await this.list(), perPrincipal)
    await wholes.requirePlace(upload.principal)
    const at = partialFolder(folder, upload.id)
    const path = join(at, upload.name)
    try {
      await mkdir(at, { mode: 0o700 })
      await using _room = await room.reserve({ path, bytes: upload.length, what: 'upload' })
      await (await open(path, 'wx', 0o600)).close()
      const record = await writePartial(folder, { ...upload, synced: 0, boot: bootId() })
      await syncFolder(folder)
      return this.#shown({ record, offset: 0, at: clock.now() })
    } catch (error) {
      await rm(at, { recursive: true, force: true })
      throw explain(error, maxBytes)
    }
  }

  /** One that is not whole, as it lies there: more of it may come at any time. */
  async get(id: string): Promise<PartialUpload | undefined> {
    const found = await this.#find(id)
    return found && this.#shown(found)
  }

  /** All, in no order. */
  async list(): Promise<PartialUpload[]> {
    const names = (await readdir(this.#options.folder)).filter((name) => name.startsWith(PARTIAL))
    const found = await Promise.all(names.map((name) => this.get(name.slice(PARTIAL.length))))
    return found.filter((upload) => upload !== undefined)
  }

  /**
   * All that has come of it is on the disk for good; of which all has come becomes whole. Undefined: there is none. Throws as `append`
   * does at its end.
   */
  async settle(id: string, right: WriteRight): Promise<PartialUpload | Upload | undefined> {
    const { folder } = this.#options
    const found = await this.#find(id)
    if (!found) return readWhole(folder, id)
    const { offset } = found
    if (right.isDoubtful) await this.#replaceFile(found, right)
    const record = await settleBytes(found.record, { folder, offset, right })
    return offset === record.length ? this.#finish(record, offset, right) : this.#shown({ ...found, record })
  }

  /** Says how long it will be. Throws PAYLOAD_TOO_LARGE, NOT_FOUND. */
  async declareLength(id: string, length: number, right: WriteRight): Promise<void> {
    const { folder, maxBytes } = this.#options
    checkSize(length, maxBytes)
    const { record } = (await this.#find(id)) ?? gone(id)
    right.check()
    await writePartial(folder, { ...record, length })
  }

  /**
   * Writes what comes. However it ends, what was written counts, and is on the disk when it resolves or rejects; with a checksum all
   * of it or nothing. Throws UPLOAD_OFFSET_MISMATCH, UPLOAD_CHECKSUM_MISMATCH, PAYLOAD_TOO_LARGE, STORE_FULL, NOT_FOUND, what `bytes`
   * throws, and when the whole is another than was promised BODY_DIGEST_MISMATCH, which ends it.
   */
  async append(id: string, bytes: AsyncIterable<Buffer>, append: Append): Promise<number> {
    const { maxBytes } = this.#options
    const { record, offset } = (await this.#find(id)) ?? gone(id)
    if (offset !== append.offset) throw elsewhere(offset, append.offset)
    try {
      const reached = await appendBytes(record, bytes, {
        ...this.#options,
        ...append,
        hash: this.#hashes.take(id, offset) ?? (offset === 0 ? createHash('sha256') : undefined),
        onEnd: (at, hash) => this.#hashes.keep(id, at, hash),
      })
      if (reached === record.length) await this.#finish(record, reached, append.right)
      return reached
    } catch (error) {
      throw explain(error, maxBytes)
    }
  }

  /**
   * Its bytes in another file, so that what the one before still writes goes nowhere. Linked, where the file system can; else written
   * once more: it is not often that a holder neither ends nor is known to be gone.
   */
  async #replaceFile({ record, offset }: FoundPartial, right: WriteRight): Promise<void> {
    const { folder, room } = this.#options
    const at = partialFolder(folder, record.id)
    const [path, copy] = [join(at, record.name), join(at, COPY)]
    await using _room = await room.reserve({ path: copy, bytes: offset, what: 'upload' })
    try {
      await copyFile(path, copy, constants.COPYFILE_FICLONE)
      await syncFile(copy)
      right.check()
      await rename(copy, path)
      await syncFolder(at)
    } finally {
      await rm(copy, { force: true })
    }
  }

  /** False: there is none. */
  async remove(id: string): Promise<boolean> {
    const { folder } = this.#options
    this.#hashes.forget(id)
    // Out of sight first, so that nobody finds half of it.
    const leaving = join(folder, INCOMING + randomUUID())
    try {
      await rename(partialFolder(folder, id), leaving)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
    await rm(leaving, { recursive: true, force: true })
    return true
  }

  /** Its last byte is there. */
  async #finish(record: PartialRecord, size: number, right: WriteRight): Promise<Upload> {
    const { folder, wholes } = this.#options
    const { id, name, principal } = record
    await right.commit()
    const at = partialFolder(folder, id)
    const hash = this.#hashes.take(id, size) ?? (await this.#readBacks.run(() => hashOf(join(at, name))))
    const upload = { id, name, size, sha256: hash.digest('hex'), ...(principal === undefined ? {} : { principal }) }
    right.check()
    try {
      checkDigest(upload, record.sha256)
    } catch (error) {
      await this.remove(id)
      throw error
    }
    await wholes.keep(at, upload, () => right.check())
    await rm(join(folder, id, PARTIAL_RECORD), { force: true })
    return upload
  }

  async #find(id: string): Promise<FoundPartial | undefined> {
    const { folder, keepMs, clock } = this.#options
    const found = await readPartial(folder, id)
    return found && found.at + keepMs > clock.now() ? found : undefined
  }

  #shown({ record, offset, at }: FoundPartial): PartialUpload {
    const { synced: _synced, boot: _boot, unproved: _unproved, ...rest } = record
    return { ...rest, offset, expiresAt: at + this.#options.keepMs }
  }
}

async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, 'r+')
  await handle.datasync()
}

/** Read once more, a MiB at a time, with turns for others in between. */
async function hashOf(path: string): Promise<Hash> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer)
  return hash
}

function checkCount({ principal = 'anonymous' }: NewPartial, all: PartialUpload[], most: number): void {
  const own = all.filter((each) => (each.principal ?? 'anonymous') === principal)
  if (own.length < most) return
  const what = `${principal} has ${own.length} uploads that are not whole, and no more are begun`
  throw new AppError('UPLOADS_TOO_MANY', what, {
    hint: 'Send the rest of them, or delete them (DELETE /v1/uploads/{id}); each goes by itself 24 h after its last byte.',
    details: { open: own.length, maxOpen: most },
  })
}

function elsewhere(offset: number, asked: number): AppError {
  return new AppError('UPLOAD_OFFSET_MISMATCH', `the upload stands at byte ${offset}, and this begins at ${asked}`, {
    hint: 'Ask where it stands (HEAD), and go on from there.',
    details: { offset, asked },
  })
}

function gone(id: string): never {
  throw new AppError('NOT_FOUND', `there is no upload ${id.slice(0, 64)}`, {
    hint: 'Uploads go 24 h after their last use.',
  })
}
