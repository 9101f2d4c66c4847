import type { FileHandle } from 'node:fs/promises'
import { throwIfAborted } from '../../lib/abort.ts'
import { fileBytes } from '../archive/file-bytes.ts'
import { createIndexedPackage } from './indexed-package.ts'
import { tarEntries, type TarEntry } from '../archive/tar-entries.ts'
import { atEntry, FileTarInput } from '../archive/tar-input.ts'
import type { IndexedPackage } from '../contents/types.ts'

export interface ArchiveFile {
  handle: FileHandle
  fileName: string
  /** Bytes. */
  size: number
}

/** Opens an uncompressed package: one hop over its headers, then every file is read where it lies. */
export async function openTarPackage(file: ArchiveFile, signal: AbortSignal): Promise<IndexedPackage> {
  const { handle, fileName, size } = file
  return createIndexedPackage(
    {
      format: 'tar',
      fileName,
      sourceBytes: size,
      files: await listEntries(file, signal),
      open: (entry, { offset = 0, signal }) =>
        fileBytes(handle, {
          name: fileName,
          start: entry.offset + offset,
          end: entry.offset + entry.size,
          signal,
        }),
      close: () => handle.close(),
    },
    signal,
  )
}

async function listEntries({ handle, fileName, size }: ArchiveFile, signal: AbortSignal): Promise<TarEntry[]> {
  const entries: TarEntry[] = []
  try {
    for await (const entry of tarEntries(new FileTarInput(handle, { size, name: fileName }))) {
      throwIfAborted(signal)
      entries.push(entry)
    }
  } catch (error) {
    throw atEntry(error, entries.at(-1)?.path)
  }
  return entries
}
