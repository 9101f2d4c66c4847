import type { TransformOptions } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress, type ZstdOptions } from 'node:zlib'
import type { ByteStream } from '../../content/endpoints.ts'
import { isAppError } from '../../lib/errors.ts'
import { lentChunks } from './lent-chunks.ts'
import { invalidZstd, MAX_WINDOW_BYTES, truncatedZstd, zstdFrames } from './zstd-frames.ts'

/** Measured: 256 KiB decodes 1.8 times as much a CPU second as the default of 16 KiB; more gains nothing. */
const OUTPUT_BYTES = 256 * 1024
/** What may lie decoded and unread: enough for the decoder's thread to work while the consumer does. */
const AHEAD_BYTES = 4 * OUTPUT_BYTES

/** How far a decoder is: compressed bytes that it has taken, and what it has made of them, read or not. */
export interface Unpacking {
  taken: number
  unpacked: number
}

export interface DecompressOptions {
  onMade?: (so: Unpacking) => void
  maxWindowBytes?: number
}

/**
 * The decompressed bytes of a zstd file, all its frames after each other. Memory: the frame's window (at most
 * `maxWindowBytes`, default 128 MiB), plus 3 MiB. `onMade` is told with each 256 KiB that are made. Throws
 * PACKAGE_TRUNCATED, PACKAGE_INVALID.
 */
export async function* decompress(
  compressed: ByteStream,
  { onMade, maxWindowBytes = MAX_WINDOW_BYTES }: DecompressOptions = {},
): ByteStream {
  const chunks = compressed[Symbol.asyncIterator]()
  const so: Unpacking = { taken: 0, unpacked: 0 }
  try {
    for await (const frame of zstdFrames(chunks, () => so.unpacked, maxWindowBytes)) {
      yield* decodeFrame(frame, so, { maxWindowBytes, ...(onMade ? { onMade } : {}) })
    }
  } finally {
    await chunks.return?.()
  }
}

/** `so`: what frames before have taken and made; this one is added. */
async function* decodeFrame(
  frame: AsyncIterable<Buffer>,
  so: Unpacking,
  { onMade, maxWindowBytes }: DecompressOptions & { maxWindowBytes: number },
): ByteStream {
  const options: ZstdOptions & TransformOptions = {
    chunkSize: OUTPUT_BYTES,
    readableHighWaterMark: AHEAD_BYTES,
    // Each write waits for the one before: what is written lies in a ring that is read over (fileBytes).
    writableHighWaterMark: 1,
    params: { [constants.ZSTD_d_windowLogMax]: Math.ceil(Math.log2(maxWindowBytes)) },
  }
  const decoder = createZstdDecompress(options)
  const feeding = pipeline(frame, decoder)
  // Its failure is met by reading the decoder; an early return of the consumer is none.
  feeding.catch(() => undefined)
  try {
    const before = { ...so }
    let handedOn = 0
    yield* lentChunks(decoder, (bytes) => {
      handedOn += bytes
      so.taken = before.taken + decoder.bytesWritten
      // What it took has been made into what waits in it, too.
      so.unpacked = before.unpacked + handedOn + decoder.readableLength
      onMade?.(so)
    })
  } catch (error) {
    throw decodingError(error)
  } finally {
    decoder.destroy()
    await feeding.catch(() => undefined)
  }
}

function decodingError(error: unknown): Error {
  if (isAppError(error)) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  if (code === 'Z_BUF_ERROR') return truncatedZstd()
  if (code === 'ZSTD_error_checksum_wrong') return invalidZstd('is damaged: its zstd checksum is wrong', error)
  return invalidZstd(`is damaged: zstd reports ${code}`, error)
}
