import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../lib/errors.ts'
import { openFileRoots, parseFileUrl } from './file-roots.ts'

/**
 * Reads `file:/absolute/folder/` and checks that files may be written there: the folder, or what of it exists, lies inside
 * the roots, links followed. API and worker both call it, the one to refuse early, the other right before it writes. The
 * folder need not exist. Throws BODY_INVALID, PACKAGE_OUTSIDE_ROOTS, PACKAGE_UNREADABLE.
 */
export async function locateFolder(text: string, roots: readonly string[]): Promise<string> {
  // A path without the slash could mean a file of that name; nobody should find a folder there instead.
  if (!text.endsWith('/')) throw unusable(text, 'a folder ends in "/"')
  const path = parseFileUrl(text, (why, cause) => unusable(text, why, cause))
  const allowed = await openFileRoots(roots)
  if (!allowed.mayHold(path)) throw outside(path, roots)
  const real = await realFolder(path, path)
  if (!allowed.holds(real)) throw outside(path, roots)
  return real
}

/** Where the folder is, or will be once it is made. */
async function realFolder(path: string, asked: string): Promise<string> {
  try {
    const real = await realpath(path)
    if ((await stat(real)).isDirectory()) return real
    throw notWritable(asked, `${path} is not a folder`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && dirname(path) !== path) return join(await realFolder(dirname(path), asked), basename(path))
    throw error instanceof AppError ? error : notWritable(asked, `${path} cannot be looked at (${code})`, error)
  }
}

function unusable(text: string, why: string, cause?: unknown): AppError {
  return new AppError('BODY_INVALID', `the destination "${text.slice(0, 300)}" is not valid: ${why}`, {
    hint: 'A destination looks like store: or file:/packages/.',
    details: { pointer: '/destination' },
    cause,
  })
}

function outside(path: string, roots: readonly string[]): AppError {
  return new AppError('PACKAGE_OUTSIDE_ROOTS', `${path} lies outside the folders that layerd may write to`, {
    hint: `Name ${roots.join(' or ') || 'a folder of LAYERD_FILE_ROOTS'}, or pull into the store and download the archive.`,
    details: { path, pointer: '/destination' },
  })
}

function notWritable(path: string, why: string, cause?: unknown): AppError {
  return new AppError('PACKAGE_UNREADABLE', `nothing can be written to ${path}: ${why}`, {
    side: 'destination',
    details: { path, pointer: '/destination' },
    cause,
  })
}
