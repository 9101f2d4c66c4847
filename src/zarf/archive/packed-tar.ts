import type { ByteStream } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { StreamTarInput } from './tar-input.ts'
import { decompress, type Unpacking } from './zstd.ts'
import { checkLeadingFrames, MAX_HEADER_BYTES, parseFrameStart, truncatedZstd } from './zstd-frames.ts'

/** What a reader of a `.tar` holds. */
const PLAIN_BYTES = 4 * 1024 * 1024

/**
 * What one reader of a `.tar.zst`, or of a `.tar` that is read in one go, keeps in memory. Throws PACKAGE_INVALID,
 * PACKAGE_TRUNCATED, PACKAGE_TOO_LARGE.
 */
export async function readWindow(
  file: OpenedFile,
  fileName: string,
  maxWindowBytes: number | undefined,
): Promise<number> {
  return fileName.endsWith('.tar') ? PLAIN_BYTES : await firstWindow(file, maxWindowBytes)
}

export interface ReadTarOptions {
  signal: AbortSignal
  onMade?: (so: Unpacking) => void
  maxWindowBytes?: number
}

/** A tar from its beginning on, decompressed where its name says so. */
export function readTar(file: OpenedFile, fileName: string, { signal, ...options }: ReadTarOptions): StreamTarInput {
  const bytes = file.stream({ signal })
  return new StreamTarInput(fileName.endsWith('.tar') ? unpacked(bytes, options.onMade) : decompress(bytes, options))
}

/** Nothing is to be unpacked. */
async function* unpacked(stream: ByteStream, onMade?: (so: Unpacking) => void): ByteStream {
  let taken = 0
  for await (const chunk of stream) {
    taken += chunk.length
    onMade?.({ taken, unpacked: taken })
    yield chunk
  }
}

async function firstWindow(file: OpenedFile, maxWindowBytes: number | undefined): Promise<number> {
  for (let at = 0, hops = 0; ; hops += 1) {
    checkLeadingFrames(hops)
    if (at >= file.size) throw truncatedZstd()
    const target = Buffer.alloc(Math.min(MAX_HEADER_BYTES, file.size - at))
    const start = parseFrameStart(await file.read(target, at), maxWindowBytes)
    if ('windowBytes' in start) return start.windowBytes
    at += start.skipBytes
  }
}
