/**
 * A zstd frame of raw blocks: nothing is compressed, so where each byte lies is arithmetic, and any part of the frame can
 * be made without what comes before. Source: RFC 8878 3.1.1 "Zstandard Frames", 3.1.1.2 "Blocks".
 */
const BLOCK_BYTES = 128 * 1024
const BLOCK_HEADER_BYTES = 3
const STRIDE = BLOCK_HEADER_BYTES + BLOCK_BYTES

/** Magic number; no checksum, no content size, no dictionary; a window of 128 KiB, the least that allows such blocks. */
const FRAME_HEADER = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38])

/** Bytes of the frame around `contentBytes` (at least one). */
export function rawFrameBytes(contentBytes: number): number {
  return FRAME_HEADER.length + Math.ceil(contentBytes / BLOCK_BYTES) * BLOCK_HEADER_BYTES + contentBytes
}

/** How much of the content comes before a position of the frame. */
export function rawContentBefore(position: number, contentBytes: number): number {
  const inBlocks = Math.max(0, position - FRAME_HEADER.length)
  const inBlock = Math.max(0, (inBlocks % STRIDE) - BLOCK_HEADER_BYTES)
  return Math.min(contentBytes, Math.floor(inBlocks / STRIDE) * BLOCK_BYTES + inBlock)
}

/**
 * Writes the frame's own bytes into a buffer that stands at `position` of the frame, and gives back what is left to fill:
 * slices that take the content from `contentStart` on, one after another.
 */
export function layOutFrame(
  buffer: Buffer,
  position: number,
  contentBytes: number,
): { slices: Buffer[]; contentStart: number } {
  const slices: Buffer[] = []
  let filled = copyAt(FRAME_HEADER, buffer, { at: position, filled: 0 })
  let contentStart: number | undefined
  while (filled < buffer.length) {
    const inBlocks = position + filled - FRAME_HEADER.length
    const block = Math.floor(inBlocks / STRIDE)
    const inBlock = inBlocks % STRIDE
    if (inBlock < BLOCK_HEADER_BYTES) {
      filled = copyAt(blockHeader(block, contentBytes), buffer, { at: inBlock, filled })
      continue
    }
    const start = block * BLOCK_BYTES + inBlock - BLOCK_HEADER_BYTES
    contentStart ??= start
    const slice = buffer.subarray(filled, filled + Math.min(BLOCK_BYTES * (block + 1), contentBytes) - start)
    slices.push(slice)
    filled += slice.length
  }
  return { slices, contentStart: contentStart ?? contentBytes }
}

/** Little-endian: last-block flag, type 0 (raw), 21 bits of size. */
function blockHeader(block: number, contentBytes: number): Buffer {
  const start = block * BLOCK_BYTES
  const size = Math.min(BLOCK_BYTES, contentBytes - start)
  const header = Buffer.alloc(BLOCK_HEADER_BYTES)
  header.writeUIntLE((size << 3) | (start + size === contentBytes ? 1 : 0), 0, BLOCK_HEADER_BYTES)
  return header
}

function copyAt(source: Buffer, target: Buffer, { at, filled }: { at: number; filled: number }): number {
  return at < source.length ? filled + source.copy(target, filled, at) : filled
}
