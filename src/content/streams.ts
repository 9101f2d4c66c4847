import type { BlobOpener, ByteStream } from './endpoints.ts'

/** Opens bytes that lie in memory. */
export function bufferOpener(bytes: Buffer): BlobOpener {
  return async ({ offset = 0, end }) => streamOf(bytes.subarray(offset, end))
}

/** Bytes that lie in memory, in one piece. */
export async function* streamOf(bytes: Buffer): ByteStream {
  if (bytes.length > 0) yield bytes
}

/** The stream without its first `bytes`. */
export async function* skipBytes(stream: ByteStream, bytes: number): ByteStream {
  let left = bytes
  for await (const chunk of stream) {
    if (left >= chunk.length) {
      left -= chunk.length
      continue
    }
    yield left === 0 ? chunk : chunk.subarray(left)
    left = 0
  }
}

/** The first bytes of a stream, of which no more is read. */
export async function* firstBytes(stream: ByteStream, bytes: number): ByteStream {
  let left = bytes
  if (left <= 0) return
  for await (const chunk of stream) {
    yield chunk.length <= left ? chunk : chunk.subarray(0, left)
    left -= chunk.length
    if (left <= 0) return
  }
}

/** Bytes of which buffers of their own are kept; smaller ones lie together. */
const OWN_BUFFER_BYTES = 4096
const TOGETHER_BYTES = 64 * 1024

/**
 * Bytes that wait, in order. A sender chooses in how many pieces they come, and each buffer takes some 200 bytes beside its own: a MiB that
 * comes byte by byte would take 240 MiB. So small ones are copied together.
 */
export class Pieces {
  #whole: Buffer[] = []
  /** Small ones lie in it from `#from` to `#to`. */
  #together: Buffer | undefined
  #from = 0
  #to = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  push(bytes: Buffer): void {
    this.#bytes += bytes.length
    if (bytes.length >= OWN_BUFFER_BYTES) {
      this.#close()
      this.#whole.push(bytes)
      return
    }
    for (let at = 0; at < bytes.length; ) {
      this.#together ??= Buffer.allocUnsafeSlow(TOGETHER_BYTES)
      const copied = bytes.copy(this.#together, this.#to, at)
      at += copied
      this.#to += copied
      if (this.#to === TOGETHER_BYTES) this.#close()
    }
  }

  /** Of what may lie in a buffer that its source reuses. */
  keep(bytes: Buffer): void {
    this.push(bytes.length < OWN_BUFFER_BYTES ? bytes : Buffer.from(bytes))
  }

  /** All of them; none waits then. */
  take(): Buffer[] {
    this.#close()
    const taken = this.#whole
    this.#whole = []
    this.#bytes = 0
    return taken
  }

  #close(): void {
    if (!this.#together) return
    if (this.#to > this.#from) this.#whole.push(this.#together.subarray(this.#from, this.#to))
    this.#from = this.#to
    if (this.#to < TOGETHER_BYTES) return
    this.#together = undefined
    this.#from = 0
    this.#to = 0
  }
}

/** The same bytes, small pieces of them together. What waits for more when the stream fails is dropped. */
export async function* gathered(stream: AsyncIterable<Buffer>): ByteStream {
  const pieces = new Pieces()
  for await (const chunk of stream) {
    pieces.push(chunk)
    if (pieces.bytes >= TOGETHER_BYTES) yield* pieces.take()
  }
  yield* pieces.take()
}

/** The whole stream in one buffer of its own; for content whose size the caller has bounded. */
export async function readAll(stream: ByteStream): Promise<Buffer> {
  const pieces = new Pieces()
  for await (const chunk of stream) pieces.keep(chunk)
  return Buffer.concat(pieces.take())
}
