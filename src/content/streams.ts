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

/** The whole stream in one buffer of its own; for content whose size the caller has bounded. */
export async function readAll(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  // A large chunk may lie in a buffer that its source reuses, and these are kept.
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
