import type { Stats } from 'node:fs'
import { type FileHandle, lstat, open, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { closeSource, type OpenedFile, type OpenedSource } from '../content/opened.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import { type FileRoots, openFileRoots, parseFileUrl } from './file-roots.ts'
import { type HandlePaths, READ, systemPaths } from './held-folder.ts'
import { openSource, sourceOf } from './opened-file.ts'
import { joinParts, type Siblings } from './parts/split-source.ts'
import type { ReadUploads, Upload } from './upload-folder.ts'

/** A source on this machine as callers write it. */
export type SourceAddress = { scheme: 'file'; path: string } | { scheme: 'upload'; id: string }

/** What can be said of a source before its bytes are looked at. */
export interface SourceFacts {
  /** The name it was called by: the uploaded file's, or the last part of the path as given (a link's own name); of part000 the whole's. */
  fileName: string
  /** Bytes; 0 for a directory. */
  size: number
  isDirectory: boolean
}

/** Where files of this machine may lie. */
export interface FolderRoots {
  /** Absolute folders; `file:` paths outside are refused. */
  roots: readonly string[]
  /** Default: as this system can. */
  paths?: HandlePaths
}

export interface LocalSources extends FolderRoots {
  uploads: ReadUploads
}

/**
 * Reads `file:/absolute`, `file:///absolute` (percent-decoded) and `upload:{id}`. Throws BODY_INVALID: relative paths,
 * other hosts and other schemes can't be meant.
 */
export function parseLocalSource(text: string): SourceAddress {
  if (text.startsWith('upload:')) return { scheme: 'upload', id: text.slice('upload:'.length) }
  if (!text.startsWith('file:')) {
    throw unreadable(text, 'it begins with neither "file:" nor "upload:"')
  }
  return { scheme: 'file', path: parseFileUrl(text, (why, cause) => unreadable(text, why, cause)) }
}

/**
 * Opens the source, checks what was opened, and closes it: to refuse early. It proves nothing for later: who reads it calls
 * openLocalSource. Throws as that does.
 */
export async function checkLocalSource(text: string, sources: LocalSources): Promise<SourceFacts> {
  const source = await openLocalSource(text, sources)
  await closeSource(source)
  const { fileName } = source
  return 'file' in source
    ? { fileName, size: source.file.size, isDirectory: false }
    : { fileName, size: 0, isDirectory: true }
}

/**
 * Opens the source, part000 of a split package with its parts, and checks that what was opened may be read: a path may lead elsewhere a moment after a look at it. Counts
 * as a use of an upload (UploadFolder.use). Throws BODY_INVALID, PACKAGE_OUTSIDE_ROOTS, PACKAGE_NOT_FOUND, PACKAGE_UNREADABLE,
 * UPLOAD_NOT_FOUND, and what joinParts throws.
 */
export async function openLocalSource(text: string, sources: LocalSources): Promise<OpenedSource> {
  const address = parseLocalSource(text)
  if (address.scheme === 'file') {
    const { path } = address
    return joinParts(await openInRoots(path, sources), besidePath(path, sources))
  }
  const upload = await sources.uploads.use(address.id)
  return joinParts(await openSource(upload.path, upload.name), sentWith(upload, sources))
}

function besidePath(path: string, sources: LocalSources): Siblings {
  const at = (name: string) => join(dirname(path), name)
  return {
    async open(name, missing) {
      const source = await openInRoots(at(name), sources).catch((error: unknown) => {
        throw isAppError(error) && error.code === 'PACKAGE_NOT_FOUND' ? missing() : error
      })
      return asFile(source)
    },
    has: (name) =>
      lstat(at(name)).then(
        () => true,
        () => false,
      ),
  }
}

/** Uploads of the same caller: of others, anybody could have sent a part. */
function sentWith({ principal }: Upload, { uploads }: LocalSources): Siblings {
  const own = uploads.list().then((all) =>
    Map.groupBy(
      all.filter((each) => each.principal === principal),
      byName,
    ),
  )
  // Also where no part asks for it.
  own.catch(() => undefined)
  return {
    async open(name, missing) {
      const found = (await own).get(name) ?? []
      const [first] = found
      if (!first) throw missing()
      if (found.some(({ sha256 }) => sha256 !== first.sha256)) throw ambiguous(name, found)
      return asFile(await openSource((await uploads.use(first.id)).path, name))
    },
    has: async (name) => (await own).has(name),
  }
}

const byName = ({ name }: Upload): string => name

async function asFile(source: OpenedSource): Promise<OpenedFile> {
  if ('file' in source) return source.file
  await closeSource(source)
  throw new AppError('PACKAGE_UNREADABLE', `${source.fileName} is a folder, not a part of a package`, {
    details: { path: source.fileName, pointer: '/source' },
  })
}

function ambiguous(name: string, found: readonly Upload[]): AppError {
  return new AppError('PACKAGE_INVALID', `${found.length} uploads are called ${name}, and their bytes differ`, {
    hint: 'Delete those that are not meant: DELETE /v1/uploads/{id}.',
    details: { path: name, pointer: '/source', uploads: found.map(({ id }) => id) },
  })
}

/** Opens what an absolute path leads to, a part of a split package as a file of its own. Throws as openLocalSource. */
export async function openInRoots(path: string, roots: FolderRoots): Promise<OpenedSource> {
  const handle = await handleInRoots(path, roots)
  return await sourceOf(handle, { path, fileName: basename(path), paths: roots.paths })
}

/** What an absolute path leads to, asked of what was opened. Throws as openLocalSource. */
export async function statInRoots(path: string, roots: FolderRoots): Promise<Stats> {
  await using handle = await handleInRoots(path, roots)
  return await handle.stat()
}

async function handleInRoots(path: string, { roots, paths = systemPaths }: FolderRoots): Promise<FileHandle> {
  const allowed = await openFileRoots(roots)
  await lookAt(path, allowed, roots)
  const handle = await told(open(path, READ), path)
  try {
    if (!allowed.holds(await told(paths.locate(handle, path), path))) throw outside(path, roots)
    checkLinks(await handle.stat(), path)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Refuses what is plainly wrong without opening it: a device may act on that alone. */
async function lookAt(path: string, allowed: FileRoots, roots: readonly string[]): Promise<void> {
  if (!allowed.mayHold(path)) throw outside(path, roots)
  const real = await told(realpath(path), path)
  if (!allowed.holds(real)) throw outside(path, roots)
  const facts = await told(stat(real), path)
  if (facts.isDirectory() || facts.isFile()) return
  throw new AppError('PACKAGE_UNREADABLE', `${path} is neither a file nor a directory`, {
    details: { path, pointer: '/source' },
  })
}

/** Links are made to files that their maker may not read; those of layerd's own user are what build caches make. */
export function mayBeForeign(facts: Stats): boolean {
  return facts.isFile() && facts.nlink > 1 && facts.uid !== process.geteuid?.()
}

function checkLinks(facts: Stats, path: string): void {
  if (!mayBeForeign(facts)) return
  const why = `a file of another user (uid ${facts.uid}) that has ${facts.nlink} names: one may lie outside the folders that layerd may read`
  throw new AppError('PACKAGE_OUTSIDE_ROOTS', `${path} is a hard link to ${why}`, {
    hint: 'Put a copy there (cp) instead of a link, or upload it with PUT /v1/uploads/{file name}.',
    details: { path, pointer: '/source', uid: facts.uid },
  })
}

async function told<T>(outcome: Promise<T>, path: string): Promise<T> {
  try {
    return await outcome
  } catch (error) {
    throw isAppError(error) ? error : notThere(path, error)
  }
}

function outside(path: string, roots: readonly string[]): AppError {
  return new AppError('PACKAGE_OUTSIDE_ROOTS', `${path} lies outside the folders that layerd may read`, {
    hint: `Put the package into ${roots.join(' or ') || 'a folder named by LAYERD_FILE_ROOTS'}, or upload it with PUT /v1/uploads/{file name}.`,
    details: { path, pointer: '/source' },
  })
}

function notThere(path: string, cause: unknown): AppError {
  const code = (cause as NodeJS.ErrnoException).code
  const details = { path, pointer: '/source' }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new AppError('PACKAGE_NOT_FOUND', `there is no ${path} on the machine that layerd runs on`, {
      hint: 'Check the path as the daemon sees it, or upload the package with PUT /v1/uploads/{file name}.',
      details,
      cause,
    })
  }
  return new AppError('PACKAGE_UNREADABLE', `${path} cannot be opened (${code ?? 'unknown reason'})`, {
    details,
    cause,
  })
}

function unreadable(text: string, why: string, cause?: unknown): AppError {
  return new AppError('BODY_INVALID', `the source "${text.slice(0, 300)}" is not valid: ${why}`, {
    hint: 'A source looks like file:/packages/zarf-package-name-amd64-1.0.0.tar.zst or upload:{id}.',
    details: { pointer: '/source' },
    cause,
  })
}
