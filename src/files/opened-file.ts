import type { BigIntStats } from 'node:fs'
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { FolderEntry, OpenedFile, OpenedFolder, OpenedSource } from '../content/opened.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import { changed, fileBytes, readAt, unreadable } from './file-bytes.ts'
import { type HandlePaths, type HeldFolder, holdFolder, READ, systemPaths } from './held-folder.ts'

/**
 * Opens a file or a folder of this machine, under the name that its user gave it, wherever it lies: for paths that are
 * layerd's own. Throws PACKAGE_NOT_FOUND, PACKAGE_UNREADABLE, PACKAGE_FORMAT_UNSUPPORTED for what is neither.
 */
export async function openSource(path: string, fileName = basename(path)): Promise<OpenedSource> {
  return sourceOf(await told(open(path, READ), path), { path, fileName })
}

/** What the handle has open, as a source; takes it over, and closes it when this throws. Throws as openSource. */
export async function sourceOf(
  handle: FileHandle,
  { path, fileName, paths = systemPaths }: { path: string; fileName: string; paths?: HandlePaths | undefined },
): Promise<OpenedSource> {
  try {
    const stats = await handle.stat({ bigint: true })
    if (stats.isFile()) return { fileName, file: openedFile(handle, stats, fileName) }
    if (!stats.isDirectory()) throw neither(fileName)
    return { fileName, folder: openedFolder(await holdFolder(handle, path, paths), path) }
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
    modifiedAt: stats.mtime,
    read: (target, offset) => readAt(handle, { target, at: offset, name }),
    stream: ({ start = 0, end = size, ...range }) => fileBytes(handle, { name, start, end, ...range }),
    async checkUnchanged() {
      if (identityOf(await handle.stat({ bigint: true })) !== identity) throw changed(name)
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

/** The folder that was opened, also where its path leads elsewhere by now. */
function openedFolder(held: HeldFolder, name: string): OpenedFolder {
  return {
    name,
    async names(inner) {
      await using folder = await told(held.folder(inner), inner || name)
      return await told(readdir(folder.at('')), inner || name)
    },
    async entries(inner, names) {
      await using folder = await told(held.folder(inner), inner || name)
      const entries: FolderEntry[] = []
      for (const entry of names) entries.push(await told(entryOf(folder, entry), join(inner, entry)))
      return entries
    },
    async open(inner, identity) {
      const handle = await told(held.open(inner, READ), inner)
      try {
        const stats = await handle.stat({ bigint: true })
        if (identityOf(stats) !== identity) throw changed(inner)
        return openedFile(handle, stats, inner)
      } catch (error) {
        await handle.close()
        throw error
      }
    },
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  }
}

async function entryOf(folder: HeldFolder, name: string): Promise<FolderEntry> {
  const stats = await lstat(folder.at(name), { bigint: true })
  const size = Number(stats.size)
  return { name, kind: kindOf(stats), size, identity: identityOf(stats), shared: stats.nlink > 1n }
}

function kindOf(stats: BigIntStats): FolderEntry['kind'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'folder'
  return stats.isSymbolicLink() ? 'link' : 'other'
}

function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}`
}

async function told<T>(outcome: Promise<T>, name: string): Promise<T> {
  try {
    return await outcome
  } catch (error) {
    throw isAppError(error) ? error : unreadable(name, error)
  }
}
