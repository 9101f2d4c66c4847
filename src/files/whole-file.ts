import { sha256OfFile } from '../content/hashing/hash-file.ts'
import { closeSource, type OpenedSource, type WholeFile } from '../content/opened.ts'
import { AppError } from '../lib/errors.ts'

/** Files whose hash this process found right: a job's next run does not read them for it again. */
const right = new Set<string>()
const MOST_REMEMBERED = 256

export interface CheckWholeOptions {
  signal: AbortSignal
  /** Told how many bytes were read so far. */
  onRead: (bytesRead: number) => void
  /** Where the first fault in what the file holds lies, as far as it can be found. Reads it as whatever it is. */
  findFault: (source: OpenedSource) => Promise<{ start: number; end: number } | undefined>
}

/**
 * Reads a file that somebody gave a SHA-256 for, and compares; any other source passes. Closes the source when this throws.
 * Throws PACKAGE_CHECKSUM_MISMATCH naming the pieces that may be wrong, and what reading throws.
 */
export async function checkWhole(source: OpenedSource, options: CheckWholeOptions): Promise<void> {
  if (!('file' in source) || !source.whole) return
  const { file, whole } = source
  try {
    const key = `${whole.sha256} ${file.identity}`
    if (right.has(key)) return
    const sha256 = await sha256OfFile(file, options)
    await file.checkUnchanged()
    if (sha256 !== whole.sha256) throw await mismatch(source, { ...source, whole, sha256 }, options)
    right.add(key)
    for (const oldest of right) if (right.size > MOST_REMEMBERED) right.delete(oldest)
  } catch (error) {
    await closeSource(source)
    throw error
  }
}

async function mismatch(
  source: OpenedSource,
  { whole, fileName, sha256 }: { whole: WholeFile; fileName: string; sha256: string },
  { findFault }: CheckWholeOptions,
): Promise<AppError> {
  const seen = await whole.suspect()
  const fault = seen === undefined ? await findFault(source) : undefined
  const pieces = fault ? whole.piecesOf(fault.start, fault.end) : []
  const what = seen ?? (pieces.length > 0 ? damaged(pieces) : undefined)
  return new AppError(
    'PACKAGE_CHECKSUM_MISMATCH',
    `${fileName} has the SHA-256 ${sha256}; ${whole.saidBy} says ${whole.sha256}${what === undefined ? '' : `. ${what}`}`,
    {
      hint: 'Copy what is damaged again; nothing was sent, and the files are as they were.',
      details: {
        path: fileName,
        expected: whole.sha256,
        actual: sha256,
        ...toldPieces(pieces),
      },
    },
  )
}

/** A set may have 999. */
const MOST_TOLD = 10

function toldPieces(pieces: readonly string[]): { parts?: readonly string[]; partCount?: number } {
  if (pieces.length === 0) return {}
  if (pieces.length <= MOST_TOLD) return { parts: pieces }
  return { parts: [pieces[0] ?? '', pieces.at(-1) ?? ''], partCount: pieces.length }
}

function damaged(pieces: readonly string[]): string {
  if (pieces.length === 1) return `The damage lies in ${pieces[0]}`
  return `The damage lies between ${pieces[0]} and ${pieces.at(-1)}`
}
