import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { blobName, type Descriptor } from '../content/descriptor.ts'
import type { VerifyOptions } from '../content/endpoints.ts'
import { createVerifier, type Verifier } from '../content/verify.ts'
import { fileError } from './file-errors.ts'

/** Bytes gathered before a write: fewer, larger ones cost a third less processor time than a write per chunk. */
const WRITE_BYTES = 1024 * 1024
/** From here on a chunk is written from where it lies. */
const LARGE_BYTES = 512 * 1024

/**
 * A blob on its way in: hashed as it arrives, each byte written once, in large writes, one of which runs while the next
 * arrives. Memory: two buffers of 1 MiB, or of the blob's size when that is less. One writer at a time.
 */
export class PartialFile implements AsyncDisposable {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #descriptor: Descriptor
  readonly #verify: VerifyOptions
  #verifier: Verifier
  /** Gathered into, and being written; made when they are needed. */
  #buffers: [Buffer | undefined, Buffer | undefined] = [undefined, undefined]
  #filled = 0
  #written = 0
  #running: Promise<void> = Promise.resolve()
  /** Whether what is being written lies in its source's memory: then nothing more may be asked of that meanwhile. */
  #lent = false

  private constructor(path: string, handle: FileHandle, options: { descriptor: Descriptor; verify: VerifyOptions }) {
    const { descriptor, verify } = options
    this.#path = path
    this.#handle = handle
    this.#descriptor = descriptor
    this.#verify = verify
    this.#verifier = createVerifier(descriptor, verify)
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

  /** Bytes that have arrived, those not written yet included. */
  get offset(): number {
    return this.#verifier.position
  }

  /** Takes the chunk's bytes over. Throws SIZE_MISMATCH past the end and DIGEST_MISMATCH with the last byte. */
  async append(chunk: Buffer): Promise<void> {
    this.#verifier.take(chunk)
    if (this.#lent) await this.#running
    this.#lent = false
    if (chunk.length >= LARGE_BYTES) {
      await this.#writeGathered()
      await this.#write(chunk)
      this.#lent = true
      return
    }
    for (let taken = 0; taken < chunk.length; ) {
      const buffer = this.#gathering()
      const copied = chunk.copy(buffer, this.#filled, taken)
      taken += copied
      this.#filled += copied
      if (this.#filled === buffer.length) await this.#writeGathered()
    }
  }

  /** The source has ended: throws SIZE_MISMATCH when bytes are missing, else every byte is on the disk, fsynced. */
  async finish(): Promise<void> {
    this.#verifier.end()
    await this.settle()
    await this.#told(this.#handle.sync())
  }

  /** Hands the gathered bytes to the disk, so that they outlive this process. */
  async settle(): Promise<void> {
    await this.#writeGathered()
    await this.#running
  }

  /** Throws everything away and begins at the first byte. */
  async restart(): Promise<void> {
    await this.#running.catch(() => undefined)
    await this.#told(this.#handle.truncate(0))
    this.#verifier = createVerifier(this.#descriptor, this.#verify)
    this.#filled = 0
    this.#written = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.catch(() => undefined)
    await this.#handle.close()
  }

  #gathering(): Buffer {
    return (this.#buffers[0] ??= Buffer.allocUnsafe(Math.min(WRITE_BYTES, this.#descriptor.size)))
  }

  async #writeGathered(): Promise<void> {
    if (this.#filled === 0) return
    await this.#write(this.#gathering().subarray(0, this.#filled))
    const [full, other] = this.#buffers
    this.#filled = 0
    this.#buffers = [other, full]
  }

  /** Starts a write once the one before has ended. */
  async #write(bytes: Buffer): Promise<void> {
    await this.#running
    this.#running = this.#told(writeFully(this.#handle, bytes, this.#written))
    // Whoever comes next awaits it; until then a failure must not count as unhandled.
    this.#running.catch(() => undefined)
    this.#written += bytes.length
  }

  /** The outcome, its error in our terms. */
  async #told<T>(outcome: Promise<T>): Promise<T> {
    try {
      return await outcome
    } catch (error) {
      throw await fileError(error, dirname(this.#path), `storing ${blobName(this.#descriptor)}`)
    }
  }

  async #readBack(): Promise<void> {
    const { size } = await this.#handle.stat()
    // More than the blob has: not ours, or of another time.
    if (size > this.#descriptor.size) return this.restart()
    if (size === 0) return
    const buffer = this.#gathering()
    while (this.#written < size) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#written)
      if (bytesRead === 0) return
      this.#written += bytesRead
      this.#verifier.take(buffer.subarray(0, bytesRead))
    }
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
