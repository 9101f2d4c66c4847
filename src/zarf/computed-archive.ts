import { createHash } from 'node:crypto'
import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { ByteStream } from '../content/endpoints.ts'
import type { Range } from '../content/ranges.ts'
import { readAhead } from '../content/read-ahead.ts'
import { AppError } from '../lib/errors.ts'
import { compareBytes } from './definition/go-json.ts'
import { layOutFrame, rawContentBefore, rawFrameBytes } from './archive/raw-zstd.ts'
import { padding, TAR_END, tarHeader } from './archive/tar-writer.ts'

/** Of the bytes' arrangement. A change of anything below needs a new one: ETags of old downloads must not match. */
const LAYOUT_VERSION = 1

/** Where the archive takes content from. */
export interface ArchiveSource {
  /** `whole`: it will be read in order, from its first byte to its last. */
  openFile(blob: Descriptor, options: { whole: boolean }): Promise<ArchiveFile>
}

export interface ArchiveFile extends AsyncDisposable {
  /** Fills the buffers in order with the bytes from `position` on. */
  read(buffers: readonly Buffer[], position: number): Promise<void>
}

export interface ComputedArchiveOptions {
  /** The package's. */
  digest: Digest
  /** Its extension decides between `.tar` and `.tar.zst`. */
  fileName: string
  /** By path inside the package. */
  files: ReadonlyMap<string, Descriptor>
  /** Whether `files` are the whole package; a selection has another ETag. */
  whole: boolean
  source: ArchiveSource
}

/** A package archive that lies nowhere: each byte is known from where it is in the file. */
export interface ComputedArchive {
  readonly fileName: string
  /** Bytes. */
  readonly size: number
  /** Quoted, as the header has it: a strong validator, for the bytes are always the same. */
  readonly etag: string
  /** The bytes from `start` up to, not including, `end`. Throws RANGE_NOT_SATISFIABLE. */
  open(range: { start?: number; end?: number; signal: AbortSignal }): ByteStream
}

/**
 * Arranges a package as zarf does: a tar of its files by byte-wise name, so that checksums.txt comes first and zarf.yaml
 * last, without folders, in one zstd frame of raw blocks unless the package is an uncompressed one.
 */
export function computeArchive(options: ComputedArchiveOptions): ComputedArchive {
  const entries = [...options.files]
    .toSorted(([a], [b]) => compareBytes(a, b))
    .map(([path, content]) => ({ path, content }))
  const etag = `"${options.digest}-${LAYOUT_VERSION}${options.whole ? '' : `-${selectionHash(options.files)}`}"`
  return computeTar({ ...options, entries, etag })
}

/** One file of a computed archive: bytes of our own, or a blob. */
export interface ArchiveEntry {
  readonly path: string
  readonly content: Buffer | Descriptor
}

/**
 * A tar of these entries in their order, in one zstd frame of raw blocks unless its name says `.tar`. `etag`: see
 * ComputedArchive.
 */
export function computeTar(
  options: Pick<ComputedArchiveOptions, 'fileName' | 'source'> & { entries: readonly ArchiveEntry[]; etag: string },
): ComputedArchive {
  const segments = arrange(options.entries)
  const tarBytes = segments.at(-1)?.end ?? 0
  const raw = !options.fileName.endsWith('.zst')
  const size = raw ? tarBytes : rawFrameBytes(tarBytes)
  return {
    fileName: options.fileName,
    size,
    etag: options.etag,
    open({ start = 0, end = size, signal }) {
      if (start < 0 || start > end || end > size) throw outside(start, end, size)
      const contentAt = (position: number) => (raw ? position : rawContentBefore(position, tarBytes))
      const reader = new TarReader(segments, options.source, { start: contentAt(start), end: contentAt(end) })
      return readArchive(reader, { start, end, signal, tarBytes, raw })
    },
  }
}

interface Segment {
  readonly start: number
  readonly end: number
  /** Bytes of our own, or a blob. */
  readonly content: Buffer | Descriptor
}

function arrange(entries: readonly ArchiveEntry[]): readonly Segment[] {
  const segments: Segment[] = []
  let end = 0
  const add = (content: Buffer | Descriptor) => {
    const size = sizeOf(content)
    if (size === 0) return
    segments.push({ start: end, end: end + size, content })
    end += size
  }
  for (const { path, content } of entries) {
    const size = sizeOf(content)
    add(tarHeader(path, size))
    add(content)
    add(TAR_END.subarray(0, padding(size)))
  }
  add(TAR_END)
  return segments
}

function sizeOf(content: Buffer | Descriptor): number {
  return Buffer.isBuffer(content) ? content.length : content.size
}

async function* readArchive(
  reader: TarReader,
  range: { start: number; end: number; signal: AbortSignal; tarBytes: number; raw: boolean },
): ByteStream {
  await using tar = reader
  yield* readAhead(range, async (buffer, position) => {
    const { slices, contentStart } = range.raw
      ? { slices: [buffer], contentStart: position }
      : layOutFrame(buffer, position, range.tarBytes)
    await tar.read(slices, contentStart)
  })
}

/** Reads the tar that segments make. One blob is open at a time; calls come one after another. */
class TarReader implements AsyncDisposable {
  readonly #segments: readonly Segment[]
  readonly #source: ArchiveSource
  /** All that will be read. */
  readonly #range: Range
  #open: { blob: Descriptor; file: ArchiveFile } | undefined

  constructor(segments: readonly Segment[], source: ArchiveSource, range: Range) {
    this.#segments = segments
    this.#source = source
    this.#range = range
  }

  async read(buffers: readonly Buffer[], position: number): Promise<void> {
    let left = buffers
    let at = position
    for (let index = this.#indexAt(at); left.length > 0; index += 1) {
      const segment = this.#segments[index]
      if (!segment) return
      const [slices, rest] = split(left, segment.end - at)
      await this.#copy(segment, slices, at - segment.start)
      left = rest
      at = segment.end
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.file[Symbol.asyncDispose]()
  }

  async #copy(segment: Segment, slices: readonly Buffer[], offset: number): Promise<void> {
    const { content } = segment
    if (!Buffer.isBuffer(content)) return (await this.#file(content, segment)).read(slices, offset)
    let from = offset
    for (const slice of slices) from += content.copy(slice, 0, from)
  }

  async #file(blob: Descriptor, { start, end }: Segment): Promise<ArchiveFile> {
    if (this.#open?.blob !== blob) {
      await this[Symbol.asyncDispose]()
      const whole = this.#range.start <= start && end <= this.#range.end
      this.#open = { blob, file: await this.#source.openFile(blob, { whole }) }
    }
    return this.#open.file
  }

  #indexAt(position: number): number {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle]?.end ?? 0) > position) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** The buffers' first `bytes`, and the rest. */
function split(buffers: readonly Buffer[], bytes: number): [Buffer[], Buffer[]] {
  const first: Buffer[] = []
  const rest: Buffer[] = []
  let wanted = bytes
  for (const buffer of buffers) {
    const taken = Math.min(wanted, buffer.length)
    wanted -= taken
    if (taken > 0) first.push(buffer.subarray(0, taken))
    if (taken < buffer.length) rest.push(buffer.subarray(taken))
  }
  return [first, rest]
}

function selectionHash(files: ReadonlyMap<string, Descriptor>): string {
  const lines = [...files].map(([path, { digest }]) => `${digest} ${path}\n`).toSorted(compareBytes)
  return createHash('sha256').update(lines.join('')).digest('hex').slice(0, 16)
}

function outside(start: number, end: number, size: number): AppError {
  return new AppError('RANGE_NOT_SATISFIABLE', `bytes ${start} to ${end} lie outside the archive's ${size} bytes`, {
    details: { start, end, size },
  })
}
