import { createHash, type Hash } from 'node:crypto'
import { join } from 'node:path'
import { CHECK_DISK_BYTES, type Reservation, type Room } from '../../content/room.ts'
import { AppError } from '../../lib/errors.ts'
import { bootId } from '../../lib/processes/owner.ts'
import { GrowingFile } from './growing-file.ts'
import { type PartialRecord, partialFolder, writePartial } from './partial-record.ts'
import { checkSize } from './upload-rules.ts'

/** Who changes an upload, and until when: one at a time, in all processes. */
export interface WriteRight {
  /** Whether somebody who had it before may run yet, and not know that it is over. */
  readonly isDoubtful: boolean
  /** Throws where another may write by now. */
  check(): void
  /** Asked before it becomes whole; throws where it must not. */
  commit(): Promise<void>
}

export interface Append {
  /** Where the bytes begin; has to be where the upload stands. */
  offset: number
  right: WriteRight
  /** What these bytes alone must have, or none of them counts. */
  checksum?: { algorithm: string; digest: Buffer } | undefined
}

export interface AppendOptions extends Append {
  folder: string
  maxBytes: number
  room: Pick<Room, 'reserve'>
  /** Of what is there; gets what comes. Undefined: nobody has one. */
  hash: Hash | undefined
  /** Told where the upload stands and the hash of that, however it ends. */
  onEnd: (offset: number, hash: Hash | undefined) => void
}

/** What a machine that dies may lose of an append, and what who takes over waits for. */
const SYNC_BYTES = 64 * 1024 * 1024

/** Writes what comes behind what is there (PartialUploads.append); where it stands then. */
export async function appendBytes(
  start: PartialRecord,
  bytes: AsyncIterable<Buffer>,
  options: AppendOptions,
): Promise<number> {
  const { offset, room, hash, onEnd } = options
  const path = join(partialFolder(options.folder, start.id), start.name)
  await using reservation = await room.reserve({ path, bytes: start.length, written: offset, what: 'upload' })
  const proof = proofOf(options)
  await using file = await GrowingFile.open(path, offset, {
    mayWrite: () => options.right.check(),
    onWritten(chunk) {
      hash?.update(chunk)
      proof?.hash.update(chunk)
    },
  })
  const kept = new KeptOffset({ ...start, ...(proof ? { unproved: offset } : {}) }, file, options)
  if (proof || start.boot !== bootId()) await kept.save()
  const most = Math.min(options.maxBytes, start.length ?? options.maxBytes)
  let failure = await failureOf(() => pump(bytes, { file, kept, reservation, most }))
  // What came counts, whatever ended it.
  failure ??= await failureOf(() => file.flush())
  if (failure) await file.flush().catch(() => undefined)
  if (proof && !(failure === undefined && proof.hash.digest().equals(proof.digest))) {
    await file.cut(offset)
    failure ??= { error: unlike(proof.algorithm) }
  }
  await kept.settle()
  onEnd(file.offset, proof && failure ? proof.before : hash)
  if (failure) throw failure.error
  return file.offset
}

function proofOf({ checksum, hash }: AppendOptions) {
  return checksum && { ...checksum, hash: createHash(checksum.algorithm), before: hash?.copy() }
}

interface Pump {
  file: GrowingFile
  kept: KeptOffset
  reservation: Reservation
  most: number
}

async function pump(bytes: AsyncIterable<Buffer>, { file, kept, reservation, most }: Pump): Promise<void> {
  let lookAt = file.offset + CHECK_DISK_BYTES
  for await (const chunk of bytes) {
    checkSize(file.pushed + chunk.length, most)
    await file.push(chunk)
    if (file.offset - kept.synced >= SYNC_BYTES) await kept.save()
    if (file.offset < lookAt) continue
    lookAt = file.offset + CHECK_DISK_BYTES
    await reservation.reached(file.offset)
  }
}

/** The record's word for how much is on the disk. */
class KeptOffset {
  #record: PartialRecord
  readonly #file: GrowingFile
  readonly #options: Pick<AppendOptions, 'folder' | 'right'>

  constructor(record: PartialRecord, file: GrowingFile, options: Pick<AppendOptions, 'folder' | 'right'>) {
    this.#record = record
    this.#file = file
    this.#options = options
  }

  get synced(): number {
    return this.#record.synced
  }

  async save(record = this.#record): Promise<void> {
    const { folder, right } = this.#options
    await this.#file.sync()
    right.check()
    this.#record = await writePartial(folder, { ...record, synced: this.#file.offset, boot: bootId() })
  }

  /** All that is there counts. */
  async settle(): Promise<void> {
    const { unproved, ...proved } = this.#record
    if (unproved !== undefined || this.#file.offset !== proved.synced) await this.save(proved)
  }
}

async function failureOf(task: () => Promise<void>): Promise<{ error: unknown } | undefined> {
  try {
    await task()
    return undefined
  } catch (error) {
    return { error }
  }
}

function unlike(algorithm: string): AppError {
  return new AppError(
    'UPLOAD_CHECKSUM_MISMATCH',
    `the ${algorithm} of what came is another than Upload-Checksum says`,
    {
      hint: 'None of it was kept: send it again from where the upload stands (HEAD).',
      details: { algorithm },
    },
  )
}

/** What is there is on the disk, and nothing else is there. */
export async function settleBytes(
  record: PartialRecord,
  { folder, offset, right }: { folder: string; offset: number; right: WriteRight },
): Promise<PartialRecord> {
  const { unproved, ...rest } = record
  if (record.synced === offset && unproved === undefined && record.boot === bootId()) return record
  const path = join(partialFolder(folder, record.id), record.name)
  await using file = await GrowingFile.open(path, offset, { mayWrite: () => right.check() })
  await file.sync()
  right.check()
  return await writePartial(folder, { ...rest, synced: offset, boot: bootId() })
}
