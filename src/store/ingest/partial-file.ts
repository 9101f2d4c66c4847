import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { blobName, type Descriptor } from '../../content/descriptor.ts'
import type { VerifyOptions } from '../../content/endpoints.ts'
import type { Range } from '../../content/ranges.ts'
import { createVerifier, type Verifier } from '../../content/hashing/verify.ts'
import { fileError } from '../files/file-errors.ts'
import { appendRange, removeJournal, writtenRanges } from './range-journal.ts'
import { RangeWriter } from './range-writer.ts'

const READ_BYTES = 1024 * 1024

/**
 * A blob on its way in: its bytes are hashed as they arrive, each written once. Several streams may write ranges of it;
 * what comes behind a hole is read back and hashed when the hole is filled. One writer at a time for each byte.
 */
export class PartialFile implements AsyncDisposable {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #descriptor: Descriptor
  readonly #verify: VerifyOptions
  #verifier: Verifier
  /** Writes what is hashed as it arrives. */
  #writer: RangeWriter
  /** Whether there may be a journal. */
  #journaled = false
  #there: readonly Range[] = []

  private constructor(path: string, handle: FileHandle, options: { descriptor: Descriptor; verify: VerifyOptions }) {
    const { descriptor, verify } = options
    this.#path = path
    this.#handle = handle
    this.#descriptor = descriptor
    this.#verify = verify
    this.#verifier = createVerifier(descriptor, verify)
    this.#writer = this.writerAt({ start: 0, end: descriptor.size })
  }

  /**
   * Goes on with what an earlier process left, or begins. What lies there is hashed again, because a hash's inner state
   * can't be saved. Throws DIGEST_MISMATCH when all bytes are there and wrong; STORE_FULL, STORE_CORRUPT like all methods.
   */
  static async open(path: string, descriptor: Descriptor, verify: VerifyOptions = {}): Promise<PartialFile> {
    const handle = await openOrCreate(path)
    const partial = new PartialFile(path, handle, { descriptor, verify })
    try {
      await partial.#readBack()
      return partial
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** What was there when it was opened. */
  get there(): readonly Range[] {
    return this.#there
  }

  /** Up to here bytes are hashed; those that `append` takes come next. */
  get offset(): number {
    return this.#verifier.position
  }

  /** Takes the chunk's bytes over. Throws SIZE_MISMATCH past the end and DIGEST_MISMATCH with the last byte. */
  async append(chunk: Buffer): Promise<void> {
    this.#verifier.take(chunk)
    await this.#writer.append(chunk)
  }

  /** What was written otherwise is hashed: `append` goes on behind it. */
  appendOn(): void {
    this.#writer = this.writerAt({ start: this.offset, end: this.#descriptor.size })
  }

  /** Writes another range of the blob, unhashed. */
  writerAt({ start, end }: Range): RangeWriter {
    return new RangeWriter((bytes, position) => this.#told(writeFully(this.#handle, bytes, position)), {
      start,
      bytes: end - start,
    })
  }

  /** Remembers beyond this process that a range was written: from the first one on the file may have holes. */
  async remember(range: Range): Promise<void> {
    this.#journaled = true
    await this.#told(appendRange(this.#path, range))
  }

  /** Reads back and hashes what was written up to `end`; nothing is appended before `appendOn`. Throws as append does. */
  async hashTo(end: number): Promise<void> {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(0, end - this.offset)))
    while (this.offset < end) {
      const length = Math.min(buffer.length, end - this.offset)
      const { bytesRead } = await this.#told(this.#handle.read(buffer, 0, length, this.offset))
      if (bytesRead === 0) return
      this.#verifier.take(buffer.subarray(0, bytesRead))
    }
  }

  /** Everything has come: throws SIZE_MISMATCH when bytes are missing, else every byte is on the disk, fsynced. */
  async finish(): Promise<void> {
    this.#verifier.end()
    await this.settle()
    await this.#told(this.#handle.sync())
    if (this.#journaled) await this.#told(removeJournal(this.#path))
  }

  /** Hands the appended bytes to the disk, so that they outlive this process. */
  async settle(): Promise<void> {
    await this.#writer.settle()
  }

  /** Throws everything away and begins at the first byte. */
  async restart(): Promise<void> {
    await this.#writer.rest()
    await this.#told(removeJournal(this.#path))
    await this.#told(this.#handle.truncate(0))
    this.#verifier = createVerifier(this.#descriptor, this.#verify)
    this.#writer = this.writerAt({ start: 0, end: this.#descriptor.size })
    this.#there = []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.rest()
    await this.#handle.close()
  }

  /** The outcome, its error in our terms. */
  async #told<T>(outcome: Promise<T>): Promise<T> {
    try {
      return await outcome
    } catch (error) {
      throw await fileError(error, dirname(this.#path), `storing ${blobName(this.#descriptor)}`)
    }
  }

  /** Without holes the file's size says how much is there. */
  async #closeJournal(): Promise<void> {
    await this.#told(this.#handle.truncate(this.offset))
    await this.#told(removeJournal(this.#path))
  }

  async #readBack(): Promise<void> {
    const { size } = await this.#handle.stat()
    // More than the blob has: not ours, or of another time.
    if (size > this.#descriptor.size) return this.restart()
    // A journal of another file: its ranges would be believed of what is written now.
    if (size === 0) return this.#told(removeJournal(this.#path))
    this.#there = (await writtenRanges(this.#path)) ?? []
    this.#journaled = true
    const [first, ...others] = this.#there
    if (first?.start === 0) await this.hashTo(first.end)
    if (others.length === 0 && (first?.start ?? 0) === 0) await this.#closeJournal()
    this.appendOn()
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return open(path, 'wx+')
  }
}

async function writeFully(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}
