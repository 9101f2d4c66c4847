import type { Descriptor } from '../../../content/descriptor.ts'
import type { BlobOpener, ByteStream, PushEvent, VerifyOptions } from '../../../content/endpoints.ts'
import { bufferOpener, readAll } from '../../../content/streams.ts'
import { createVerifier } from '../../../content/hashing/verify.ts'
import type { Clock } from '../../../lib/clock.ts'
import { createPartReader } from './part-reader.ts'
import { SMALL_BYTES } from '../../request/transport.ts'

export interface PushBodyOptions {
  signal: AbortSignal
  verify: VerifyOptions | undefined
  emit: (event: PushEvent) => void
  clock: Clock
}

/** A blob's bytes on their way into requests: opened as often as needed, verified and counted. */
export interface PushBody {
  /** A body from `offset` to `end`, opened when the socket asks for its first byte. */
  part(offset: number, end: number): () => ByteStream
  /** The whole blob in memory, for small ones; later bodies come from there. */
  bytes(): Promise<Buffer>
  /** How far the newest body may have gone out; a small one counts as sent once it is put together. */
  readonly sent: number
  /** Tells of a small body, which tells nothing as it is put together, that it was taken. */
  taken(): void
  /** When the first piece of the newest body was there to be sent; undefined before. */
  readonly begunAt: number | undefined
  /** Bytes before `offset` went out in an earlier process: only the registry can check the digest now. */
  trust(offset: number): void
  /** Closes the source where it still waits for the next part. */
  close(): Promise<void>
}

export function createPushBody(descriptor: Descriptor, open: BlobOpener, options: PushBodyOptions): PushBody {
  const verifier = createVerifier(descriptor, options.verify)
  const count = new BodyCount(options)
  let opener = open

  async function* read(offset: number): AsyncGenerator<Buffer> {
    const start = verifier.rewind(offset)
    if (start === descriptor.size) return
    // The verifier remembers a place every few MiB: what lies between it and `offset` is hashed again, not sent again.
    for await (const chunk of await opener({ offset: start, signal: options.signal })) {
      if (chunk.length === 0) continue
      const before = verifier.position
      verifier.take(chunk)
      if (verifier.position <= offset) continue
      yield before >= offset ? chunk : chunk.subarray(offset - before)
    }
    verifier.end()
  }

  const reader = createPartReader(read, descriptor.size)

  async function* counted(offset: number, end: number): ByteStream {
    count.begin(offset)
    for await (const piece of reader.pieces(offset, end)) {
      count.ready()
      yield piece
      // The consumer asked for more, so the socket has taken this one. Of a small body it has taken none: that goes out
      // when all of it is there.
      count.add(piece.length)
      if (end - offset > SMALL_BYTES) count.tell()
    }
  }

  return {
    part(offset, end) {
      count.begin(offset)
      return () => counted(offset, end)
    },
    async bytes() {
      const whole = await readAll(read(0))
      opener = bufferOpener(whole)
      return whole
    },
    get sent() {
      return count.sent
    },
    get begunAt() {
      return count.begunAt
    },
    taken: () => count.tell(),
    trust: (offset) => verifier.trust(offset),
    close: () => reader.close(),
  }
}

class BodyCount {
  sent = 0
  begunAt: number | undefined
  #untold = 0
  readonly #options: Pick<PushBodyOptions, 'emit' | 'clock'>

  constructor(options: Pick<PushBodyOptions, 'emit' | 'clock'>) {
    this.#options = options
  }

  begin(offset: number): void {
    this.sent = offset
    this.begunAt = undefined
    this.#untold = 0
  }

  /** A piece is there to be sent. */
  ready(): void {
    this.begunAt ??= this.#options.clock.now()
  }

  add(bytes: number): void {
    this.sent += bytes
    this.#untold += bytes
  }

  tell(): void {
    const wire = this.#untold
    this.#untold = 0
    if (wire > 0) this.#options.emit({ type: 'bytes', offset: this.sent, wire })
  }
}
