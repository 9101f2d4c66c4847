/** Bytes gathered before a write: fewer, larger ones cost a third less processor time than a write per chunk. */
const WRITE_BYTES = 1024 * 1024
/** From here on a chunk is written from where it lies. */
const LARGE_BYTES = 512 * 1024

/** Writes all of the bytes at a position of a file. */
export type WriteAt = (bytes: Buffer, position: number) => Promise<void>

/**
 * Writes a stream to a file from a position on: each byte once, in large writes, one of which runs while the next bytes
 * arrive. Memory: two buffers of 1 MiB, or of the range's size when that is less.
 */
export class RangeWriter {
  readonly #write: WriteAt
  readonly #bufferBytes: number
  /** Gathered into, and being written; made when they are needed. */
  #buffers: [Buffer | undefined, Buffer | undefined] = [undefined, undefined]
  #filled = 0
  #position: number
  #running: Promise<void> = Promise.resolve()
  /** Whether what is being written lies in its source's memory: then nothing more may be asked of that meanwhile. */
  #lent = false

  constructor(write: WriteAt, range: { start: number; bytes: number }) {
    this.#write = write
    this.#position = range.start
    this.#bufferBytes = Math.min(WRITE_BYTES, range.bytes)
  }

  /** Takes the chunk's bytes over. */
  async append(chunk: Buffer): Promise<void> {
    if (this.#lent) await this.#running
    this.#lent = false
    if (chunk.length >= LARGE_BYTES) {
      await this.#writeGathered()
      await this.#start(chunk)
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

  /** Hands the gathered bytes to the disk, so that they outlive this process. */
  async settle(): Promise<void> {
    await this.#writeGathered()
    await this.#running
  }

  /** Resolves when no write is under way, whatever came of it. */
  async rest(): Promise<void> {
    await this.#running.catch(() => undefined)
  }

  #gathering(): Buffer {
    return (this.#buffers[0] ??= Buffer.allocUnsafe(this.#bufferBytes))
  }

  async #writeGathered(): Promise<void> {
    if (this.#filled === 0) return
    await this.#start(this.#gathering().subarray(0, this.#filled))
    const [full, other] = this.#buffers
    this.#filled = 0
    this.#buffers = [other, full]
  }

  /** Starts a write once the one before has ended. */
  async #start(bytes: Buffer): Promise<void> {
    await this.#running
    this.#running = this.#write(bytes, this.#position)
    // Whoever comes next awaits it; until then a failure must not count as unhandled.
    this.#running.catch(() => undefined)
    this.#position += bytes.length
  }
}
