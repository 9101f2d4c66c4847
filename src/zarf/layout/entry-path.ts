import { AppError } from '../../lib/errors.ts'
import { hasUnseen } from '../../lib/text.ts'

/** Far more than a manifest of 4 MiB can name (about 14,000 layers), and little enough to keep a list of in memory. */
export const MAX_ENTRIES = 200_000

export function tooManyFiles(): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `the package has more than ${MAX_ENTRIES} files and folders`, {
    details: { limit: MAX_ENTRIES },
  })
}

/** Longest path taken: what Linux allows. */
const MAX_PATH = 4096

/**
 * The slash path of an archive entry or a checksums.txt line, without `./` in front. It becomes a layer's title and, on a
 * pull, a path on somebody's disk, so nothing that could leave the folder passes. Throws PACKAGE_UNSAFE_PATH naming it.
 */
export function parseEntryPath(text: string): string {
  const path = text.startsWith('./') ? text.slice(2) : text
  const why = unsafeBecause(path)
  if (why !== undefined) throw unsafePath(text, why)
  return path
}

/** Whether parseEntryPath takes it. */
export function isEntryPath(text: string): boolean {
  return unsafeBecause(text.startsWith('./') ? text.slice(2) : text) === undefined
}

export function unsafePath(path: string, why: string): AppError {
  const shown = JSON.stringify(path.slice(0, 300))
  return new AppError('PACKAGE_UNSAFE_PATH', `the package entry ${shown} ${why}`, {
    hint: 'A Zarf package holds regular files and folders only, each inside the package. Make the package again with zarf.',
    details: { path: path.slice(0, 300) },
  })
}

/** Why a slash path may not be written below a folder; undefined where it may. */
export function unsafeBecause(path: string): string | undefined {
  if (path === '') return 'has no name'
  if (path.length > MAX_PATH) return `has a name longer than ${MAX_PATH} characters`
  if (path.startsWith('/')) return 'has an absolute path'
  if (path.includes('\\')) return 'has a backslash in its path'
  if (path.includes('\0')) return 'has a NUL in its path'
  if (hasUnseen(path)) return 'has control characters in its path'
  const parts = path.split('/')
  if (parts.includes('..')) return 'has a path that leaves the package'
  if (parts.some((part) => part === '' || part === '.')) return 'has a path with empty parts'
  return undefined
}
