import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { missingFile } from '../contents/contents.ts'
import { MAX_ENTRIES, parseEntryPath, tooManyFiles, unsafePath } from '../layout/entry-path.ts'
import { changed, fileBytes, unreadable } from '../archive/file-bytes.ts'
import { createIndexedPackage } from './indexed-package.ts'
import { CHECKSUMS, DEFINITION } from '../layout/metadata-files.ts'
import type { IndexedPackage } from '../contents/types.ts'

interface DirectoryFile {
  readonly path: string
  readonly size: number
  /** Which file this was when the folder was listed. */
  readonly stats: BigIntStats
}

/**
 * Opens an unpacked package: a folder that holds zarf.yaml and checksums.txt. Files are read in place, and only those that
 * lie inside: a link could bring in any file that layerd may read. Throws PACKAGE_UNSAFE_PATH for links and devices.
 */
export async function openDirectory(
  folder: string,
  { fileName = basename(folder), signal }: { fileName?: string; signal: AbortSignal },
): Promise<IndexedPackage> {
  const files = await listFiles(folder, signal)
  return createIndexedPackage(
    {
      format: 'directory',
      fileName,
      sourceBytes: files.reduce((sum, file) => sum + file.size, 0),
      files,
      open: (file, options) => openFile(folder, file, options),
      close: async () => undefined,
    },
    signal,
  )
}

/** Every regular file, ordered by path as in zarf's archives. */
async function listFiles(folder: string, signal: AbortSignal): Promise<DirectoryFile[]> {
  const files: DirectoryFile[] = []
  const folders = ['']
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    throwIfAborted(signal)
    const names = await readdir(join(folder, current)).catch((error: unknown) => {
      throw unreadable(join(folder, current), error)
    })
    if (current === '') checkIsPackage(names)
    if (files.length + folders.length + names.length > MAX_ENTRIES) throw tooManyFiles()
    for (const name of names) {
      const path = parseEntryPath(current === '' ? name : `${current}/${name}`)
      const stats = await lstat(join(folder, path), { bigint: true }).catch((error: unknown) => {
        throw unreadable(path, error)
      })
      if (stats.isDirectory()) folders.push(path)
      else files.push(regularFile(path, stats))
    }
  }
  return files.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
}

/** Looked at first: a wrong folder may be the root of a whole disk. */
function checkIsPackage(names: readonly string[]): void {
  for (const name of [CHECKSUMS, DEFINITION]) if (!names.includes(name)) throw missingFile(name)
}

function regularFile(path: string, stats: BigIntStats): DirectoryFile {
  if (stats.isSymbolicLink()) throw unsafePath(path, 'is a symbolic link')
  if (!stats.isFile()) throw unsafePath(path, 'is a device, a socket or a named pipe')
  if (stats.nlink > 1n) throw unsafePath(path, 'is a hard link: the same file has another name elsewhere')
  return { path, size: Number(stats.size), stats }
}

/** The file that was listed and no other: a folder on the way may have been swapped for a link since. */
async function* openFile(
  folder: string,
  { path, size, stats }: DirectoryFile,
  { offset = 0, signal }: OpenOptions,
): ByteStream {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(join(folder, path), flags).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  try {
    const now = await handle.stat({ bigint: true })
    const same = now.dev === stats.dev && now.ino === stats.ino && now.size === stats.size
    if (!same || now.mtimeNs !== stats.mtimeNs) throw changed(path)
    yield* fileBytes(handle, { name: path, start: offset, end: size, signal })
  } finally {
    await handle.close()
  }
}
