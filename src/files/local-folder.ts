import { type FileHandle, mkdir, open, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../lib/errors.ts'
import { makeFolders } from '../lib/make-folders.ts'
import { type FileRoots, isInside, openFileRoots, parseFileUrl } from './file-roots.ts'
import { FOLDER, type HandlePaths, type HeldFolder, holdFolder, systemPaths } from './held-folder.ts'

/** A folder to write to, and where such may lie. */
export interface FolderPlace {
  path: string
  /** Absolute folders; a folder outside is refused. */
  roots: readonly string[]
  /** A folder without links that it has to lie in too, wherever links lead. Default: the roots will do. */
  inside?: string
  /** Default: as this system can. */
  paths?: HandlePaths
}

/**
 * Reads `file:/absolute/folder/` and looks whether files may be written there: the folder, or what of it exists, lies inside
 * the roots, links followed. To refuse early: who writes calls holdFolderInRoots. The folder need not exist. Throws
 * BODY_INVALID, PACKAGE_OUTSIDE_ROOTS, PACKAGE_UNREADABLE.
 */
export async function locateFolder(text: string, roots: readonly string[]): Promise<string> {
  // A path without the slash could mean a file of that name; nobody should find a folder there instead.
  if (!text.endsWith('/')) throw unusable(text, 'a folder ends in "/"')
  const path = parseFileUrl(text, (why, cause) => unusable(text, why, cause))
  const allowed = await openFileRoots(roots)
  if (!allowed.mayHold(path)) throw outsideRoots({ path, roots })
  const real = await realFolder(path, path)
  if (!allowed.holds(real)) throw outsideRoots({ path, roots })
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

/** What may hold what is written there. */
export async function openPlaceRoots({ roots, inside }: FolderPlace): Promise<FileRoots> {
  const allowed = await openFileRoots(roots)
  if (inside === undefined) return allowed
  return { ...allowed, holds: (real) => allowed.holds(real) && isInside(real, inside) }
}

/**
 * The folder, or the nearest one above it that is there, links followed: what would be written to. Throws
 * PACKAGE_OUTSIDE_ROOTS, and what the file system throws.
 */
export async function nearestFolder(place: FolderPlace): Promise<string> {
  const allowed = await openPlaceRoots(place)
  const real = await realpath(place.path).catch(unlessAbsent)
  if (!allowed.mayHold(place.path) || (real !== undefined && !allowed.holds(real))) throw outsideRoots(place)
  if (real !== undefined) return real
  const above = dirname(place.path)
  return allowed.mayHold(above) ? await nearestFolder({ ...place, path: above }) : await nearestAbove(above)
}

/** Of a root that its owner meant to be there. */
async function nearestAbove(path: string): Promise<string> {
  return (await realpath(path).catch(unlessAbsent)) ?? (await nearestAbove(dirname(path)))
}

/**
 * Opens the folder, made if absent with those above it, and checks what was opened: that stays the same wherever its path leads
 * from then on. Throws PACKAGE_OUTSIDE_ROOTS, PACKAGE_CHANGED, and what the file system throws.
 */
export async function holdFolderInRoots(place: FolderPlace): Promise<HeldFolder> {
  const { path } = place
  const allowed = await openPlaceRoots(place)
  if (!allowed.mayHold(path)) throw outsideRoots(place)
  const opened = await open(path, FOLDER).catch(unlessAbsent)
  if (opened) return await hold(opened, path, { place, allowed })
  const above = dirname(path)
  if (!allowed.mayHold(above)) {
    // A root itself: whoever set it meant it to be there.
    await makeFolders(path)
    return await holdFolderInRoots(place)
  }
  await using parent = await holdFolderInRoots({ ...place, path: above })
  const made = parent.at(basename(path))
  await mkdir(made).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return await hold(await open(made, FOLDER), made, { place, allowed })
}

async function hold(
  handle: FileHandle,
  openedAt: string,
  { place, allowed }: { place: FolderPlace; allowed: FileRoots },
): Promise<HeldFolder> {
  const held = await holdFolder(handle, openedAt, place.paths ?? systemPaths)
  if (allowed.holds(held.openedPath)) return held
  await held[Symbol.asyncDispose]()
  throw outsideRoots(place)
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

function unusable(text: string, why: string, cause?: unknown): AppError {
  return new AppError('BODY_INVALID', `the destination "${text.slice(0, 300)}" is not valid: ${why}`, {
    hint: 'A destination looks like store: or file:/packages/.',
    details: { pointer: '/destination' },
    cause,
  })
}

export function outsideRoots({ path, roots }: FolderPlace): AppError {
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
