import type { ByteStream } from '../../../content/endpoints.ts'

/** A blob's bytes in parts, over one reading of its source as long as they follow on each other. */
export interface PartReader {
  pieces(offset: number, end: number): ByteStream
  /** Closes the source where it waits for the next part. */
  close(): Promise<void>
}

/** A smaller piece may lie in the socket's queue while its source uses the buffer again (ByteStream). */
const REUSED_FROM_BYTES = 64 * 1024

/** A source as it stands between two parts: an archive's entry that is opened again is read from the archive's start. */
interface Reading {
  readonly chunks: AsyncIterator<Buffer>
  position: number
  /** What was read past the last part. */
  rest: Buffer
}

/** `read` gives a blob of `size` bytes from an offset on. */
export function createPartReader(read: (offset: number) => AsyncIterator<Buffer>, size: number): PartReader {
  let waiting: Reading | undefined

  const close = async (): Promise<void> => {
    const reading = waiting
    waiting = undefined
    await reading?.chunks.return?.()
  }

  const readingAt = async (offset: number): Promise<Reading> => {
    const known = waiting
    if (known?.position !== offset) await close()
    waiting = undefined
    return known?.position === offset ? known : { chunks: read(offset), position: offset, rest: Buffer.alloc(0) }
  }

  async function* pieces(offset: number, end: number): ByteStream {
    const reading = await readingAt(offset)
    try {
      for (;;) {
        // The last part is read to its end: only there it shows that nothing is missing and nothing more comes.
        if (reading.position === end && end < size) break
        const chunk = reading.rest.length > 0 ? reading.rest : await nextOf(reading)
        if (chunk === undefined) return
        const piece = chunk.subarray(0, end - reading.position)
        reading.rest = kept(chunk.subarray(piece.length))
        reading.position += piece.length
        yield piece
      }
      waiting = reading
    } finally {
      if (waiting !== reading) await reading.chunks.return?.()
    }
  }

  return { pieces, close }
}

async function nextOf({ chunks }: Reading): Promise<Buffer | undefined> {
  const { done, value } = await chunks.next()
  return done ? undefined : value
}

function kept(bytes: Buffer): Buffer {
  return bytes.length < REUSED_FROM_BYTES ? Buffer.from(bytes) : bytes
}
