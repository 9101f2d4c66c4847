import { BLOCK_BYTES } from '../archive/tar-header.ts'

/** What a pass over a compressed archive has met so far. */
export interface Seen {
  /** Bytes of the archive. */
  readonly sourceBytes: number
  /** Of these, what the decoder has taken, and what it has made of them. */
  readonly taken: number
  readonly unpacked: number
  /** How far the tar was read, and how much of that is content of files. */
  readonly position: number
  readonly contentBytes: number
  /** Files met, and how many there will be. */
  readonly files: number
  readonly expectedFiles: number
}

/** A header, and half a block to fill the last one up. */
const USUAL_OVERHEAD = 1.5 * BLOCK_BYTES

/**
 * The content of all files together, as if the rest compressed as what was read: undefined before anything was. What
 * headers take is left out, which counts where files are small.
 */
export function estimateContent(seen: Seen): number | undefined {
  if (seen.taken === 0) return undefined
  const overhead = seen.files === 0 ? USUAL_OVERHEAD : (seen.position - seen.contentBytes) / seen.files
  const tar = (seen.unpacked / seen.taken) * seen.sourceBytes
  return Math.max(seen.contentBytes, Math.round(tar - overhead * seen.expectedFiles))
}
