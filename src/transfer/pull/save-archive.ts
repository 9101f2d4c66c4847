import { randomBytes } from 'node:crypto'
import { link, lstat, mkdir, open, rename, rm, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { throwIfAborted } from '../../lib/abort.ts'
import { syncFolder } from '../../lib/atomic-file.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import type { ComputedArchive } from '../../zarf/computed-archive.ts'

export interface SaveTarget {
  /** The folder; made if absent. */
  folder: string
  /** Replace a file of the archive's name. */
  overwrite: boolean
}

/**
 * Everything that can refuse the file before a byte moves: throws PACKAGE_EXISTS, STORE_FULL with the numbers,
 * PACKAGE_UNREADABLE for a folder that cannot be made.
 */
export async function prepareSave(archive: ComputedArchive, { folder, overwrite }: SaveTarget): Promise<void> {
  const path = join(folder, archive.fileName)
  await told(mkdir(folder, { recursive: true }), path)
  const there = await lstat(path).catch(() => undefined)
  if (there?.isDirectory() || (there && !overwrite)) throw exists(path)
  const { bavail, bsize } = await told(statfs(folder), path)
  if (archive.size <= bavail * bsize) return
  throw new AppError('STORE_FULL', `${path} needs ${archive.size} bytes; its disk has ${bavail * bsize} free`, {
    side: 'destination',
    details: { path, neededBytes: archive.size, freeBytes: bavail * bsize },
    hint: 'Free disk space, or name another folder.',
  })
}

/**
 * Writes the archive under its name, through a temporary name beside it: it is there whole or not at all. Without
 * `overwrite` a file that came meanwhile stays. Returns the path.
 */
export async function saveArchive(
  archive: ComputedArchive,
  { folder, overwrite }: SaveTarget,
  signal: AbortSignal,
): Promise<string> {
  const path = join(folder, archive.fileName)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await write(archive, temporary, signal)
    await told(overwrite ? rename(temporary, path) : link(temporary, path), path)
    await syncFolder(dirname(path))
    return path
  } finally {
    await rm(temporary, { force: true })
  }
}

async function write(archive: ComputedArchive, path: string, signal: AbortSignal): Promise<void> {
  const file = await told(open(path, 'wx', 0o644), path)
  try {
    for await (const chunk of archive.open({ signal })) {
      throwIfAborted(signal)
      await told(file.writeFile(chunk), path)
    }
    await told(file.sync(), path)
  } finally {
    await file.close()
  }
}

async function told<T>(outcome: Promise<T>, path: string): Promise<T> {
  try {
    return await outcome
  } catch (error) {
    if (isAppError(error)) throw error
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') throw exists(path)
    const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)
    throw new AppError(full ? 'STORE_FULL' : 'PACKAGE_UNREADABLE', `${path} cannot be written: ${code}`, {
      side: 'destination',
      cause: error,
      details: { path, errno: code },
      hint: full
        ? 'Free disk space, then retry the job.'
        : 'Give the user that layerd runs as the right to write there.',
    })
  }
}

function exists(path: string): AppError {
  return new AppError('PACKAGE_EXISTS', `${path} exists already`, {
    side: 'destination',
    details: { path },
    hint: 'Set "options.overwrite" to replace it, or name another folder.',
  })
}
