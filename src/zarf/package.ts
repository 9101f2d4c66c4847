import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { throwIfAborted } from '../lib/abort.ts'
import { AppError } from '../lib/errors.ts'
import { openDirectory } from './sources/directory.ts'
import { changed, unreadable } from './archive/file-bytes.ts'
import { openStreamedPackage } from './sources/streamed-package.ts'
import { openTarPackage } from './sources/tar-package.ts'
import type { OpenedPackage } from './contents/types.ts'

export { checksumMismatch } from './layout/checksums.ts'
export { guessFromFileName, packageFileName } from './contents/file-name.ts'
export type {
  IndexedPackage,
  OpenedPackage,
  PackageContents,
  PackageDefinition,
  PackageEntry,
  PackageFile,
  PackageFormat,
  PackageIdentity,
  PackagePass,
  StreamedPackage,
} from './contents/types.ts'

export interface OpenPackageOptions {
  signal: AbortSignal
  /** The name the user gave the file, where it is stored under another one. Its extension tells the format. */
  sourceName?: string
}

/**
 * Opens a package for reading: a `.tar.zst`, a `.tar`, or an unpacked directory; the extension alone decides, as for zarf.
 * Of a `.tar` and a directory the whole structure is checked; a `.tar.zst` is checked as it is read. A handle that is
 * passed in belongs to the package from here on and is closed with it, also when this throws.
 * Throws PACKAGE_NOT_FOUND, PACKAGE_UNREADABLE, PACKAGE_FORMAT_UNSUPPORTED, PACKAGE_INVALID, PACKAGE_UNSAFE_PATH,
 * PACKAGE_TRUNCATED, PACKAGE_TOO_LARGE, PACKAGE_CHECKSUM_MISMATCH.
 */
export async function openPackage(
  source: string | { handle: FileHandle; path: string },
  options: OpenPackageOptions,
): Promise<OpenedPackage> {
  throwIfAborted(options.signal)
  const path = typeof source === 'string' ? source : source.path
  const handle = typeof source === 'string' ? await openFile(source) : source.handle
  try {
    return await openHandle(handle, path, options)
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openHandle(handle: FileHandle, path: string, options: OpenPackageOptions): Promise<OpenedPackage> {
  const fileName = options.sourceName ?? basename(path)
  const stats = await handle.stat({ bigint: true })
  if (stats.isDirectory()) {
    const folder = await realpath(path)
    const { dev, ino } = await stat(folder, { bigint: true })
    if (dev !== stats.dev || ino !== stats.ino) throw changed(path)
    const opened = await openDirectory(folder, { fileName, signal: options.signal })
    await handle.close()
    return opened
  }
  if (!stats.isFile()) throw unsupported(fileName, 'is neither a file nor a folder')
  const file = { handle, fileName, size: Number(stats.size) }
  if (fileName.endsWith('.tar.zst')) return openStreamedPackage({ ...file, stats })
  if (fileName.endsWith('.tar')) return openTarPackage(file, options.signal)
  throw unsupported(fileName, /\.part[0-9]{3}$/.test(fileName) ? 'is one part of a split package' : undefined)
}

/** A named pipe would otherwise hold the open until somebody writes to it. */
async function openFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(path, error)
  })
}

function unsupported(fileName: string, why = 'does not end in .tar.zst or .tar'): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} ${why}`, {
    hint: 'A package is a .tar.zst, a .tar, or the folder that one of these was unpacked to; join the parts of a split one first.',
    details: { path: fileName },
  })
}
