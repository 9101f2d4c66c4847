import type { Descriptor } from '../content/descriptor.ts'
import type { BlobOpener, ByteStream, PushEvent, VerifyOptions } from '../content/endpoints.ts'
import { bufferOpener } from '../content/streams.ts'
import { createVerifier } from '../content/verify.ts'

export interface PushBodyOptions {
  signal: AbortSignal
  verify: VerifyOptions | undefined
  emit: (event: PushEvent) => void
}

/** A blob's bytes on their way into requests: opened as often as needed, verified and counted. */
export interface PushBody {
  /** A body from `offset` to the end, opened when the socket asks for its first byte. */
  from(offset: number): () => ByteStream
  /** The whole blob in memory, for small ones; later bodies come from there. */
  bytes(): Promise<Buffer>
  /** How far the newest body was handed to the socket. */
  readonly sent: number
  /** Bytes before `offset` went out in an earlier process: only the registry can check the digest now. */
  trust(offset: number): void
}

export function createPushBody(descriptor: Descriptor, open: BlobOpener, options: PushBodyOptions): PushBody {
  const verifier = createVerifier(descriptor, options.verify)
  let opener = open
  let sent = 0

  async function* read(offset: number): ByteStream {
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

  async function* counted(offset: number): ByteStream {
    sent = offset
    for await (const chunk of read(offset)) {
      yield chunk
      // The consumer asked for more, so the socket has taken this one.
      sent += chunk.length
      options.emit({ type: 'bytes', offset: sent, wire: chunk.length })
    }
  }

  return {
    from: (offset) => () => counted(offset),
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
    trust: (offset) => verifier.trust(offset),
  }
}
