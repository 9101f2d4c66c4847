import type { ByteStream } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { AppError } from '../../lib/errors.ts'
import type { TarInput } from './tar-entries.ts'
import { invalidTar } from './tar-header.ts'

/** Headers of small files lie close together: one read brings many. */
const WINDOW_BYTES = 64 * 1024

/** A tar that can be read anywhere: contents are hopped over, so a package of any size is listed in a few reads. */
export class FileTarInput implements TarInput {
  position = 0
  readonly #file: Pick<OpenedFile, 'size' | 'read'>
  readonly #windowBytes: number
  #window: Buffer = Buffer.alloc(0)
  #windowStart = 0

  constructor(file: Pick<OpenedFile, 'size' | 'read'>, windowBytes = WINDOW_BYTES) {
    this.#file = file
    this.#windowBytes = windowBytes
  }

  async take(length: number): Promise<Buffer> {
    const start = this.position
    await this.skip(length)
    const offset = start - this.#windowStart
    if (offset >= 0 && offset + length <= this.#window.length) {
      return Buffer.from(this.#window.subarray(offset, offset + length))
    }
    const bytes = Buffer.alloc(Math.min(Math.max(length, this.#windowBytes), this.#file.size - start))
    await this.#file.read(bytes, start)
    this.#window = bytes
    this.#windowStart = start
    return Buffer.from(bytes.subarray(0, length))
  }

  async skip(length: number): Promise<void> {
    if (this.position + length > this.#file.size) throw truncatedTar()
    this.position += length
  }
}

/** GNU tar pads to a record: 10 KiB, and as much as its user says. */
const MAX_TAIL_BYTES = 16 * 1024 ** 2

/** A tar as it comes out of a decompressor. */
export class StreamTarInput implements TarInput {
  position = 0
  readonly #chunks: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)

  constructor(stream: ByteStream) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** Up to `most` bytes without copying, at least one; undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next()
      if (next.done) return undefined
      this.#chunk = next.value
    }
    const bytes = this.#chunk.length <= most ? this.#chunk : this.#chunk.subarray(0, most)
    this.#chunk = this.#chunk.subarray(bytes.length)
    this.position += bytes.length
    return bytes
  }

  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    for (let filled = 0; filled < length; ) {
      const piece = await this.some(length - filled)
      if (!piece) throw truncatedTar()
      piece.copy(bytes, filled)
      filled += piece.length
    }
    return bytes
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const piece = await this.some(left)
      if (!piece) throw truncatedTar()
      left -= piece.length
    }
  }

  /**
   * Reads on from the end mark to the end of the stream, so that a damaged or cut tail does not pass. Throws PACKAGE_INVALID
   * where there is more than programs pad an archive with: 2 MiB of zstd can be 64 GiB of it.
   */
  async drain(): Promise<void> {
    const end = this.position + MAX_TAIL_BYTES
    while (await this.some(Number.MAX_SAFE_INTEGER)) {
      if (this.position > end) throw invalidTar(`goes on for more than ${MAX_TAIL_BYTES} bytes after its end mark`)
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

function truncatedTar(): AppError {
  return new AppError('PACKAGE_TRUNCATED', 'the package ends too early', {
    hint: 'The file was cut short: copy it again.',
  })
}

/** The same error with the entry at which it was met, unless it names one already. */
export function atEntry(error: unknown, path: string | undefined): unknown {
  if (!(error instanceof AppError) || !NEEDS_PLACE.has(error.code) || error.details?.path !== undefined) return error
  const place = path === undefined ? 'before its first entry' : `at the entry ${path}`
  return new AppError(error.code, `${error.message}, met ${place}`, {
    cause: error.cause ?? error,
    details: { ...error.details, ...(path === undefined ? {} : { path }) },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  })
}

const NEEDS_PLACE: ReadonlySet<string> = new Set(['PACKAGE_INVALID', 'PACKAGE_TRUNCATED'])
