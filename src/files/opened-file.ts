import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { FolderEntry, OpenedFile, OpenedFolder, OpenedSource } from '../content/opened.ts'
import { AppError } from '../lib/errors.ts'
import { changed, fileBytes, readAt, unreadable } from './file-bytes.ts'

/** A named pipe would otherwise hold the open until somebody writes to it. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * Opens a file or a folder of this machine, under the name that its user gave it. Throws PACKAGE_NOT_FOUND,
 * PACKAGE_UNREADABLE, PACKAGE_FORMAT_UNSUPPORTED for what is neither.
 */
export async function openSource(path: string, fileName = basename(path)): Promise<OpenedSource> {
  const handle = await openHandle(path, path, READ)
  try {
    const stats = await handle.stat({ bigint: true })
    if (stats.isFile()) return { fileName, file: openedFile(handle, stats, fileName) }
    if (!stats.isDirectory()) throw neither(fileName)
    const folder = await openedFolder(path, stats)
    await handle.close()
    return { fileName, folder }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function neither(fileName: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} is neither a file nor a folder`, {
    hint: 'A package is a .tar.zst, a .tar, or the folder that one of these was unpacked to.',
    details: { path: fileName },
  })
}

function openedFile(handle: FileHandle, stats: BigIntStats, name: string): OpenedFile {
  const identity = identityOf(stats)
  const size = Number(stats.size)
  return {
    name,
    size,
    identity,
    read: (target, offset) => readAt(handle, { target, at: offset, name }),
    stream: ({ start = 0, end = size, ...range }) => fileBytes(handle, { name, start, end, ...range }),
    async checkUnchanged() {
      if (identityOf(await handle.stat({ bigint: true })) !== identity) throw changed(name)
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

/** The folder that was opened, also where its path led through a link that may change. */
async function openedFolder(path: string, opened: BigIntStats): Promise<OpenedFolder> {
  const folder = await realpath(path)
  const { dev, ino } = await stat(folder, { bigint: true })
  if (dev !== opened.dev || ino !== opened.ino) throw changed(path)
  return {
    name: path,
    names: (inner) =>
      readdir(join(folder, inner)).catch((error: unknown) => {
        throw unreadable(join(folder, inner), error)
      }),
    entry: (inner) => entryOf(folder, inner),
    /** A folder on the way may have been swapped for a link since it was listed. */
    async open(inner, identity) {
      const handle = await openHandle(join(folder, inner), inner, READ | constants.O_NOFOLLOW)
      try {
        const stats = await handle.stat({ bigint: true })
        if (identityOf(stats) !== identity) throw changed(inner)
        return openedFile(handle, stats, inner)
      } catch (error) {
        await handle.close()
        throw error
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function entryOf(folder: string, path: string): Promise<FolderEntry> {
  const stats = await lstat(join(folder, path), { bigint: true }).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  return { kind: kindOf(stats), size: Number(stats.size), identity: identityOf(stats), shared: stats.nlink > 1n }
}

function kindOf(stats: BigIntStats): FolderEntry['kind'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'folder'
  return stats.isSymbolicLink() ? 'link' : 'other'
}

function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}`
}

function openHandle(path: string, name: string, flags: number): Promise<FileHandle> {
  return open(path, flags).catch((error: unknown) => {
    throw unreadable(name, error)
  })
}
