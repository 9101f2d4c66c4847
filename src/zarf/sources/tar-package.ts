import type { OpenedFile } from '../../content/opened.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { createIndexedPackage } from './indexed-package.ts'
import { tarEntries, type TarEntry } from '../archive/tar-entries.ts'
import { atEntry, FileTarInput } from '../archive/tar-input.ts'
import type { IndexedPackage } from '../contents/types.ts'

/** Opens an uncompressed package: one hop over its headers, then every file is read where it lies. */
export async function openTarPackage(file: OpenedFile, fileName: string, signal: AbortSignal): Promise<IndexedPackage> {
  return createIndexedPackage(
    {
      format: 'tar',
      fileName,
      sourceBytes: file.size,
      files: await listEntries(file, signal),
      open: (entry, { offset = 0, end = entry.size, signal }) =>
        file.stream({ start: entry.offset + offset, end: entry.offset + Math.min(end, entry.size), signal }),
      close: async () => file[Symbol.asyncDispose](),
    },
    signal,
  )
}

async function listEntries(file: OpenedFile, signal: AbortSignal): Promise<TarEntry[]> {
  const entries: TarEntry[] = []
  try {
    for await (const entry of tarEntries(new FileTarInput(file))) {
      throwIfAborted(signal)
      entries.push(entry)
    }
  } catch (error) {
    throw atEntry(error, entries.at(-1)?.path)
  }
  return entries
}
