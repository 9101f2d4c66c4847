import { createHash } from 'node:crypto'
import { digestHex } from '../../content/digest.ts'
import type { ByteStream } from '../../content/endpoints.ts'
import type { OpenedFile, OpenedSource } from '../../content/opened.ts'
import { isAppError } from '../../lib/errors.ts'
import { parseChecksums } from '../layout/checksums.ts'
import { CHECKSUMS, checkMetadataSize } from '../layout/metadata-files.ts'
import { type TarEntry, tarEntries } from '../archive/tar-entries.ts'
import { StreamTarInput } from '../archive/tar-input.ts'
import { decompress, type Unpacking } from '../archive/zstd.ts'

/** Bytes of an archive, from `start` up to `end`. */
export interface ArchiveRange {
  start: number
  end: number
}

/** A block that was taken and not yet made into anything, with its header. Source: RFC 8878 3.1.1.2.3. */
const BLOCK_BYTES = 128 * 1024 + 3
/** The smaller, the closer the place is told. */
const PIECE_BYTES = 32 * 1024

/**
 * Where in the bytes of a damaged archive the first fault lies, as closely as it can be told: where zstd or tar stop making
 * sense, or where the first file lies that differs from checksums.txt. Undefined where all that can be checked is right, and for a
 * folder. Reads the file up to there. Throws what the signal was aborted with.
 */
export async function findSourceFault(
  source: OpenedSource,
  options: { signal: AbortSignal; maxWindowBytes?: number },
): Promise<ArchiveRange | undefined> {
  return 'file' in source ? findFault(source.file, { ...options, fileName: source.fileName }) : undefined
}

async function findFault(
  file: OpenedFile,
  { fileName, signal, maxWindowBytes }: { fileName: string; signal: AbortSignal; maxWindowBytes?: number },
): Promise<ArchiveRange | undefined> {
  const places = createPlaces()
  const bytes = inPieces(file.stream({ signal }), places.fed)
  const window = maxWindowBytes === undefined ? {} : { maxWindowBytes }
  const compressed = fileName.endsWith('.zst')
  const input = new StreamTarInput(compressed ? decompress(bytes, { onMade: places.note, ...window }) : bytes)
  const rangeOf = (start: number, end: number) => (compressed ? places.around(start, end) : { start, end })
  try {
    const wrong = await firstWrongEntry(input, places.passed)
    return wrong && rangeOf(wrong.offset, wrong.offset + wrong.size)
  } catch (error) {
    signal.throwIfAborted()
    if (!isAppError(error)) throw error
    return compressed ? places.sinceLast() : { start: places.at(), end: input.position }
  } finally {
    await input.close()
  }
}

async function firstWrongEntry(
  input: StreamTarInput,
  passed: (position: number) => void,
): Promise<TarEntry | undefined> {
  let declared: ReturnType<typeof parseChecksums> | undefined
  for await (const entry of tarEntries(input)) {
    passed(entry.offset)
    if (entry.path === CHECKSUMS) {
      checkMetadataSize(entry)
      declared = parseChecksums(await input.take(entry.size))
      continue
    }
    const digest = declared?.get(entry.path)
    if (digest && (await hashOf(input, entry)) !== digestHex(digest)) return entry
  }
  return undefined
}

async function hashOf(input: StreamTarInput, { size }: TarEntry): Promise<string> {
  const hash = createHash('sha256')
  for (let left = size; left > 0; ) {
    const piece = await input.some(left)
    if (!piece) break
    hash.update(piece)
    left -= piece.length
  }
  return hash.digest('hex')
}

/** Which compressed bytes became which of the archive, as the decoder tells. */
function createPlaces() {
  let samples: Unpacking[] = [{ taken: 0, unpacked: 0 }]
  let position = 0
  let fed = 0
  const before = (at: number) => {
    const { taken } = samples.findLast(({ unpacked }) => unpacked <= at) ?? { taken: 0 }
    return Math.max(0, taken - BLOCK_BYTES)
  }
  return {
    fed: (bytes: number): void => void (fed += bytes),
    note: (so: Unpacking): void => void samples.push({ ...so }),
    /** Everything before this position of the archive was right. */
    passed: (at: number): void => {
      const keep = samples.findLastIndex(({ unpacked }) => unpacked <= at)
      if (keep > 0) samples = samples.slice(keep)
      position = at
    },
    at: () => position,
    around(start: number, end: number): ArchiveRange {
      const after = samples.find(({ unpacked }) => unpacked >= end)
      return { start: before(start), end: after?.taken ?? fed }
    },
    /** From what was right to where the decoder stopped. */
    sinceLast: (): ArchiveRange => ({ start: before(position), end: fed }),
  }
}

async function* inPieces(stream: ByteStream, onPiece: (bytes: number) => void): ByteStream {
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES)
      onPiece(piece.length)
      yield piece
    }
  }
}
