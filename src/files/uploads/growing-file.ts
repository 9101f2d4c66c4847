import { type FileHandle, open } from 'node:fs/promises'
import { Pieces } from '../../content/streams.ts'

/** Bytes that are written at once: fewer, larger writes (see UploadFolder). */
const WRITE_BYTES = 1024 * 1024

/**
 * A file that grows at its end alone. What was pushed is written in pieces of 1 MiB, at explicit places, so that no writer depends on
 * where another left off. A write that fails counts for nothing: what it may have left is cut off.
 */
export class GrowingFile implements AsyncDisposable {
  readonly #handle: FileHandle
  readonly #onWritten: (bytes: Buffer) => void
  readonly #mayWrite: () => void
  #pending = new Pieces()
  #offset: number

  private constructor(handle: FileHandle, offset: number, hooks: GrowingFileHooks) {
    this.#handle = handle
    this.#offset = offset
    this.#onWritten = hooks.onWritten ?? (() => undefined)
    this.#mayWrite = hooks.mayWrite
  }

  /** The file at `path`, which is there and loses what it has beyond `offset`. */
  static async open(path: string, offset: number, hooks: GrowingFileHooks): Promise<GrowingFile> {
    const handle = await open(path, 'r+')
    try {
      hooks.mayWrite()
      if ((await handle.stat()).size > offset) await handle.truncate(offset)
      return new GrowingFile(handle, offset, hooks)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Bytes that are written; those that are only pushed are not among them. */
  get offset(): number {
    return this.#offset
  }

  get pushed(): number {
    return this.#offset + this.#pending.bytes
  }

  async push(bytes: Buffer): Promise<void> {
    this.#pending.push(bytes)
    if (this.#pending.bytes >= WRITE_BYTES) await this.flush()
  }

  /** Writes what is pushed. */
  async flush(): Promise<void> {
    const { bytes } = this.#pending
    const buffers = this.#pending.take()
    if (bytes === 0) return
    this.#mayWrite()
    try {
      await this.#write(buffers)
    } catch (error) {
      await this.#handle.truncate(this.#offset).catch(() => undefined)
      throw error
    }
    for (const each of buffers) this.#onWritten(each)
    this.#offset += bytes
  }

  async #write(buffers: Buffer[]): Promise<void> {
    let left = buffers
    for (let at = this.#offset; left.length > 0; ) {
      const { bytesWritten } = await this.#handle.writev(left, at)
      at += bytesWritten
      left = without(left, bytesWritten)
    }
  }

  /** What is written is on the disk. */
  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  /** Goes back to an earlier place. */
  async cut(offset: number): Promise<void> {
    this.#mayWrite()
    this.#pending = new Pieces()
    await this.#handle.truncate(offset)
    this.#offset = offset
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

export interface GrowingFileHooks {
  /** Asked right before anything is changed; throws where another may write by now. */
  mayWrite: () => void
  /** Told what was written, in order, once it is. */
  onWritten?: (bytes: Buffer) => void
}

/** A write may take less than it was given. */
function without(buffers: Buffer[], bytes: number): Buffer[] {
  let done = bytes
  return buffers.flatMap((buffer) => {
    const taken = Math.min(done, buffer.length)
    done -= taken
    return taken === buffer.length ? [] : [buffer.subarray(taken)]
  })
}
