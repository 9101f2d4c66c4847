import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import type { FolderEntry, OpenedFolder } from '../../content/opened.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { missingFile } from '../contents/contents.ts'
import { MAX_ENTRIES, parseEntryPath, tooManyFiles, unsafePath } from '../layout/entry-path.ts'
import { createIndexedPackage } from './indexed-package.ts'
import { CHECKSUMS, DEFINITION } from '../layout/metadata-files.ts'
import type { IndexedPackage } from '../contents/types.ts'

interface DirectoryFile extends Pick<FolderEntry, 'size' | 'identity'> {
  readonly path: string
}

/**
 * Opens an unpacked package: a folder that holds zarf.yaml and checksums.txt. Files are read in place, and only those that
 * lie inside: a link could bring in any file that layerd may read. Throws PACKAGE_UNSAFE_PATH for links and devices.
 */
export async function openDirectory(
  folder: OpenedFolder,
  fileName: string,
  signal: AbortSignal,
): Promise<IndexedPackage> {
  const files = await listFiles(folder, signal)
  return createIndexedPackage(
    {
      format: 'directory',
      fileName,
      sourceBytes: files.reduce((sum, file) => sum + file.size, 0),
      files,
      open: (file, options) => openFile(folder, file, options),
      close: async () => folder[Symbol.asyncDispose](),
    },
    signal,
  )
}

/** Every regular file, ordered by path as in zarf's archives. */
async function listFiles(folder: OpenedFolder, signal: AbortSignal): Promise<DirectoryFile[]> {
  const files: DirectoryFile[] = []
  const folders = ['']
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    throwIfAborted(signal)
    const names = await folder.names(current)
    if (current === '') checkIsPackage(names)
    if (files.length + folders.length + names.length > MAX_ENTRIES) throw tooManyFiles()
    for (const entry of await folder.entries(current, names)) {
      const path = parseEntryPath(current === '' ? entry.name : `${current}/${entry.name}`)
      if (entry.kind === 'folder') folders.push(path)
      else files.push(regularFile(path, entry))
    }
  }
  return files.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
}

/** Looked at first: a wrong folder may be the root of a whole disk. */
function checkIsPackage(names: readonly string[]): void {
  for (const name of [CHECKSUMS, DEFINITION]) if (!names.includes(name)) throw missingFile(name)
}

function regularFile(path: string, { kind, size, identity, shared }: FolderEntry): DirectoryFile {
  if (kind === 'link') throw unsafePath(path, 'is a symbolic link')
  if (kind !== 'file') throw unsafePath(path, 'is a device, a socket or a named pipe')
  if (shared) throw unsafePath(path, 'is a hard link: the same file has another name elsewhere')
  return { path, size, identity }
}

async function* openFile(
  folder: OpenedFolder,
  { path, identity }: DirectoryFile,
  { offset = 0, end, signal }: OpenOptions,
): ByteStream {
  await using file = await folder.open(path, identity)
  yield* file.stream({ start: offset, signal, ...(end === undefined ? {} : { end }) })
}
