import type { Descriptor } from '../content/descriptor.ts'
import type { BlobOpener, ByteStream, PushEvent, VerifyOptions } from '../content/endpoints.ts'
import { bufferOpener } from '../content/streams.ts'
import { createVerifier } from '../content/verify.ts'
import type { Clock } from '../lib/clock.ts'
import { createPartReader } from './part-reader.ts'

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
  /** How far the newest body was handed to the socket. */
  readonly sent: number
  /** When the first piece of the newest body was there to be sent; undefined before. */
  readonly begunAt: number | undefined
  /** Bytes before `offset` went out in an earlier process: only the registry can check the digest now. */
  trust(offset: number): void
  /** Closes the source where it still waits for the next part. */
  close(): Promise<void>
}

export function createPushBody(descriptor: Descriptor, open: BlobOpener, options: PushBodyOptions): PushBody {
  const verifier = createVerifier(descriptor, options.verify)
  let opener = open
  let sent = 0
  let begunAt: number | undefined

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

  const startAt = (offset: number): void => {
    sent = offset
    begunAt = undefined
  }

  async function* counted(offset: number, end: number): ByteStream {
    startAt(offset)
    for await (const piece of reader.pieces(offset, end)) {
      begunAt ??= options.clock.now()
      yield piece
      // The consumer asked for more, so the socket has taken this one.
      sent += piece.length
      options.emit({ type: 'bytes', offset: sent, wire: piece.length })
    }
  }

  return {
    part(offset, end) {
      startAt(offset)
      return () => counted(offset, end)
    },
    async bytes() {
      const chunks: Buffer[] = []
      // A large chunk may lie in a buffer that its source reuses, and these are kept.
      for await (const chunk of read(0)) chunks.push(Buffer.from(chunk))
      const whole = Buffer.concat(chunks)
      opener = bufferOpener(whole)
      return whole
    },
    get sent() {
      return sent
    },
    get begunAt() {
      return begunAt
    },
    trust: (offset) => verifier.trust(offset),
    close: () => reader.close(),
  }
}
