import { AppError } from '../../lib/errors.ts'

const MAGIC = 0xfd2fb528
/** Windows up to 128 MiB are taken, as by the stock zstd tool; zarf's are 8 MiB. A decoder keeps a window, and somewhat more, in memory. */
export const MAX_WINDOW_BYTES = 2 ** 27
/** Magic number and the longest frame header. */
export const MAX_HEADER_BYTES = 18

/** Tells how many bytes of the window a decoder keeps for a frame, or how many to hop over to get behind no frame. */
export function parseFrameStart(
  bytes: Buffer,
  maxWindowBytes = MAX_WINDOW_BYTES,
): { windowBytes: number } | { skipBytes: number } {
  if (bytes.length < 8) throw truncatedZstd()
  const magic = bytes.readUInt32LE()
  if (isSkippable(magic)) return { skipBytes: 8 + bytes.readUInt32LE(4) }
  if (magic !== MAGIC) throw invalidZstd('does not begin with a zstd frame')
  const { length, windowBytes } = frameHeader(bytes[4] ?? 0, maxWindowBytes)
  return { windowBytes: windowBytes(bytes.subarray(5, 5 + length)) }
}

/**
 * A frame costs about 2 ms whatever is in it, and may have 9 bytes. Beyond the first ones each has to stand for so much on
 * average; pzstd and seekable files have frames of megabytes, zarf a single one.
 */
const FREE_FRAMES = 1000
const LEAST_FRAME_BYTES = 512 * 1024
/** A seek table has 12 bytes for each frame of megabytes; a server could go on for ever. */
const MAX_SKIPPED_BYTES = 128 * 1024 ** 2

/** Throws PACKAGE_INVALID where a file begins with so many frames that hold nothing. */
export function checkLeadingFrames(hops: number): void {
  if (hops > FREE_FRAMES) throw manyFrames(hops)
}

/**
 * The frames of a zstd file, each as the bytes a decoder of its own is to be fed; consume one before asking for the next.
 * Node's decoder stops after the first frame and drops what follows (nodejs/node#64741); block headers tell where each
 * frame ends. `unpacked`: the bytes that were made of them so far. Throws PACKAGE_TRUNCATED, PACKAGE_INVALID. Source: RFC
 * 8878 section 3.
 */
export async function* zstdFrames(
  chunks: AsyncIterator<Buffer>,
  unpacked: () => number,
  maxWindowBytes = MAX_WINDOW_BYTES,
): AsyncGenerator<AsyncIterable<Buffer>> {
  const reader = new ChunkReader(chunks)
  let met = 0
  let skipped = 0
  for (let frames = 0; ; ) {
    if ((await reader.peek()) === undefined) {
      if (frames === 0) throw truncatedZstd()
      return
    }
    met += 1
    if (met > FREE_FRAMES + unpacked() / LEAST_FRAME_BYTES) throw manyFrames(met)
    const start = await reader.take(4)
    const magic = start.readUInt32LE()
    if (isSkippable(magic)) {
      const bytes = (await reader.take(4)).readUInt32LE()
      skipped += bytes
      if (skipped > MAX_SKIPPED_BYTES)
        throw invalidZstd(`has more than ${MAX_SKIPPED_BYTES} bytes in frames that are no content`)
      await reader.skip(bytes)
    } else if (magic === MAGIC) {
      frames += 1
      yield frameBytes(reader, start, maxWindowBytes)
    } else {
      throw invalidZstd(frames === 0 ? 'does not begin with a zstd frame' : 'has other bytes after its last zstd frame')
    }
  }
}

async function* frameBytes(reader: ChunkReader, magic: Buffer, maxWindowBytes: number): AsyncGenerator<Buffer> {
  yield magic
  const walker = new FrameWalker(maxWindowBytes)
  while (!walker.done) {
    const chunk = await reader.peek()
    if (chunk === undefined) throw truncatedZstd()
    const used = walker.walk(chunk)
    reader.advance(used)
    yield chunk.subarray(0, used)
  }
}

/** What comes next in a frame: a field to look at, or bytes to pass over. */
type Step = { field: number } | { pass: number }

function* frameSteps(maxWindowBytes: number): Generator<Step, void, Buffer> {
  const { length, checksum, windowBytes } = frameHeader((yield { field: 1 })[0] ?? 0, maxWindowBytes)
  windowBytes(yield { field: length })
  for (let last = false; !last; ) {
    const header = (yield { field: 3 }).readUIntLE(0, 3)
    const type = (header >> 1) & 3
    if (type === 3) throw invalidZstd('has a zstd block of a reserved type')
    last = (header & 1) === 1
    // A run-length block holds one byte, whatever length it stands for.
    yield { pass: type === 1 ? 1 : header >> 3 }
  }
  yield { pass: checksum ? 4 : 0 }
}

class FrameWalker {
  done = false
  readonly #steps: Generator<Step, void, Buffer>
  readonly #field = Buffer.alloc(MAX_HEADER_BYTES)
  #filled = 0
  #passed = 0
  #step: Step = { pass: 0 }

  constructor(maxWindowBytes: number) {
    this.#steps = frameSteps(maxWindowBytes)
    this.#next(Buffer.alloc(0))
  }

  /** How many bytes of the chunk belong to the frame. */
  walk(chunk: Buffer): number {
    let position = 0
    while (position < chunk.length && !this.done) {
      const left = chunk.length - position
      if ('pass' in this.#step) {
        const length = Math.min(left, this.#step.pass - this.#passed)
        this.#passed += length
        position += length
        if (this.#passed === this.#step.pass) this.#next(Buffer.alloc(0))
      } else {
        const length = Math.min(left, this.#step.field - this.#filled)
        chunk.copy(this.#field, this.#filled, position, position + length)
        this.#filled += length
        position += length
        if (this.#filled === this.#step.field) this.#next(this.#field.subarray(0, this.#filled))
      }
    }
    return position
  }

  #next(field: Buffer): void {
    for (let value = field; ; value = Buffer.alloc(0)) {
      const next = this.#steps.next(value)
      this.#filled = 0
      this.#passed = 0
      if (next.done) {
        this.done = true
        return
      }
      this.#step = next.value
      if (!('pass' in next.value && next.value.pass === 0) && !('field' in next.value && next.value.field === 0)) return
    }
  }
}

/** Chunks as they come, with a place to stand in them. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)

  constructor(chunks: AsyncIterator<Buffer>) {
    this.#chunks = chunks
  }

  /** The rest of the chunk at hand, or the next one; undefined at the end. */
  async peek(): Promise<Buffer | undefined> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next()
      if (next.done) return undefined
      this.#chunk = next.value
    }
    return this.#chunk
  }

  advance(length: number): void {
    this.#chunk = this.#chunk.subarray(length)
  }

  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    for (let filled = 0; filled < length; ) {
      const chunk = await this.peek()
      if (chunk === undefined) throw truncatedZstd()
      const copied = chunk.copy(bytes, filled)
      this.advance(copied)
      filled += copied
    }
    return bytes
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const chunk = await this.peek()
      if (chunk === undefined) throw truncatedZstd()
      const skipped = Math.min(left, chunk.length)
      this.advance(skipped)
      left -= skipped
    }
  }
}

/** Source: RFC 8878 section 3.1.1.1. */
function frameHeader(descriptor: number, maxWindowBytes: number) {
  const contentSizeFlag = descriptor >> 6
  const singleSegment = (descriptor & 0x20) !== 0
  if ((descriptor & 0x08) !== 0) throw invalidZstd('has a zstd frame header with a reserved bit')
  const windowLength = singleSegment ? 0 : 1
  const dictionaryLength = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeLength = contentSizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << contentSizeFlag
  return {
    length: windowLength + dictionaryLength + sizeLength,
    checksum: (descriptor & 0x04) !== 0,
    /** Throws PACKAGE_INVALID for what a decoder would refuse later in words of its own. */
    windowBytes: (rest: Buffer): number => {
      if (rest.length < windowLength + dictionaryLength + sizeLength) throw truncatedZstd()
      const dictionary = rest.subarray(windowLength, windowLength + dictionaryLength)
      if (dictionary.some((byte) => byte !== 0)) throw invalidZstd('was compressed with a dictionary')
      const size = singleSegment ? contentSize(rest.subarray(rest.length - sizeLength)) : windowSize(rest[0] ?? 0)
      if (size > maxWindowBytes) throw wideWindow(size, maxWindowBytes)
      return size
    },
  }
}

function windowSize(byte: number): number {
  const base = 2 ** (10 + (byte >> 3))
  return base + (base / 8) * (byte & 7)
}

function contentSize(bytes: Buffer): number {
  if (bytes.length === 8) return Number(bytes.readBigUInt64LE())
  return bytes.readUIntLE(0, bytes.length) + (bytes.length === 2 ? 256 : 0)
}

function isSkippable(magic: number): boolean {
  return magic >= 0x184d2a50 && magic <= 0x184d2a5f
}

export function invalidZstd(why: string, cause?: unknown): AppError {
  return new AppError('PACKAGE_INVALID', `the package ${why}`, {
    cause,
    hint: 'The file is damaged or not a package: copy it again, or make it again with zarf.',
  })
}

function manyFrames(frames: number): AppError {
  return new AppError(
    'PACKAGE_INVALID',
    `the package is cut into too many zstd frames: ${frames} so far, of less than ${LEAST_FRAME_BYTES} bytes on average`,
    { hint: 'Compress it again, as one frame (zstd) or larger ones (pzstd).' },
  )
}

/** The stock zstd refuses these too, unless it is given --long. */
function wideWindow(size: number, most: number): AppError {
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`
  return new AppError(
    'PACKAGE_INVALID',
    `the package needs a window of ${mebibytes(size)} to decompress; ${mebibytes(most)} is the most taken`,
    {
      hint: 'It was compressed with a very wide window: compress it again, with --long=27 at most, or set LAYERD_ZSTD_WINDOW higher; a worker needs somewhat more memory than the window.',
      details: { windowBytes: size, maxWindowBytes: most },
    },
  )
}

export function truncatedZstd(): AppError {
  return new AppError('PACKAGE_TRUNCATED', 'the package ends in the middle of its compressed data', {
    hint: 'The file was cut short: copy it again.',
  })
}
