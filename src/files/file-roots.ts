import { realpath } from 'node:fs/promises'
import { isAbsolute, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AppError } from '../lib/errors.ts'

/**
 * The path of `file:/absolute` or `file:///absolute`, percent-decoded. Throws what `refuse` makes of the reason: relative
 * paths and other hosts can't be meant.
 */
export function parseFileUrl(text: string, refuse: (why: string, cause?: unknown) => AppError): string {
  if (!text.startsWith('file:/')) throw refuse('the path is not absolute')
  if (/[?#]/.test(text)) throw refuse('"?" and "#" in a path are written %3F and %23')
  try {
    const path = fileURLToPath(text)
    if (!path.includes('\0')) return resolve(path)
  } catch (error) {
    throw refuse((error as Error).message, error)
  }
  throw refuse('the path holds a NUL')
}

/** Where `file:` paths may lie: the roots as they are written, and where their links lead. */
export interface FileRoots {
  /** By its spelling; for a refusal before anything is looked up: what exists outside is nobody's business. */
  mayHold(path: string): boolean
  /** For a path without links. */
  holds(realPath: string): boolean
}

export async function openFileRoots(roots: readonly string[]): Promise<FileRoots> {
  const real = await Promise.all(roots.map((root) => realpath(root).catch(() => resolve(root))))
  const spelled = [...roots.map((root) => resolve(root)), ...real]
  return {
    mayHold: (path) => spelled.some((root) => isInside(path, root)),
    holds: (path) => real.some((root) => isInside(path, root)),
  }
}

/** Whether a path is that folder, or lies in it; by its spelling. */
export function isInside(path: string, root: string): boolean {
  return isAbsolute(path) && (path === root || path.startsWith(root.endsWith(sep) ? root : root + sep))
}
