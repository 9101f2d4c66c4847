import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../../lib/atomic-file.ts'
import { bootId } from '../../lib/processes/owner.ts'
import { isUploadId } from './upload-rules.ts'

/** In front of the id, of a folder whose upload is not whole. */
export const PARTIAL = 'partial-'
export const PARTIAL_RECORD = 'partial.json'

/** What is kept of an upload that comes in pieces, beside its bytes. */
export interface PartialRecord {
  readonly id: string
  readonly name: string
  /** Bytes that it will have, once that is known. */
  readonly length?: number
  /** Hexadecimal; what all of it must have. */
  readonly sha256?: string
  /** As its sender wrote it (tus: Upload-Metadata). */
  readonly metadata?: string
  readonly principal?: string
  /** So many bytes are on the disk, whatever happens. */
  readonly synced: number
  /** The boot of the machine that wrote what is beyond: while it lasts, that is there too. */
  readonly boot: string
  /** From here on bytes are being compared with a checksum, and count once they have it. */
  readonly unproved?: number
}

/** An upload that is not whole. */
export interface PartialUpload extends Omit<PartialRecord, 'synced' | 'boot' | 'unproved'> {
  /** Bytes that have come. */
  readonly offset: number
  /** When it goes unless more comes; milliseconds since the epoch. */
  readonly expiresAt: number
}

export function partialFolder(folder: string, id: string): string {
  return join(folder, PARTIAL + id)
}

export interface FoundPartial {
  readonly record: PartialRecord
  readonly offset: number
  /** When its last byte came, milliseconds since the epoch. */
  readonly at: number
}

/** As it lies there. Undefined where there is none, or where it became whole. */
export async function readPartial(folder: string, id: string): Promise<FoundPartial | undefined> {
  if (!isUploadId(id)) return undefined
  const at = partialFolder(folder, id)
  try {
    const record = JSON.parse(await readFile(join(at, PARTIAL_RECORD), 'utf8')) as PartialRecord
    const { size, mtimeMs } = await stat(join(at, record.name))
    return { record, offset: offsetOf(record, size), at: mtimeMs }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function writePartial(folder: string, record: PartialRecord): Promise<PartialRecord> {
  await writeFileAtomic(join(partialFolder(folder, record.id), PARTIAL_RECORD), JSON.stringify(record), 0o600)
  return record
}

/**
 * What counts of a file of `size` bytes. A process that was killed leaves what it wrote to the kernel; a machine that was leaves what
 * was synced, and past that a file may have what nobody sent.
 */
function offsetOf({ synced, boot, unproved }: PartialRecord, size: number): number {
  const there = boot !== '' && boot === bootId() ? size : Math.min(size, synced)
  return Math.min(there, unproved ?? there)
}
