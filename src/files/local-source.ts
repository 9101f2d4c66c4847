import { realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { AppError } from '../lib/errors.ts'
import { openFileRoots, parseFileUrl } from './file-roots.ts'
import type { UploadFolder } from './upload-folder.ts'

/** A source on this machine as callers write it. */
export type SourceAddress = { scheme: 'file'; path: string } | { scheme: 'upload'; id: string }

/** Where a source really lies; good for opening until somebody moves it. */
export interface LocatedSource {
  /** Absolute, without symbolic links. */
  path: string
  /** The name it was called by: the uploaded file's, or the last part of the path as given (a link's own name). */
  fileName: string
  /** Bytes; 0 for a directory. */
  size: number
  isDirectory: boolean
}

export interface LocalSources {
  /** Absolute folders; `file:` paths outside are refused. */
  roots: readonly string[]
  uploads: Pick<UploadFolder, 'use'>
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
 * Finds the source and checks that it may be read. API and worker both call it, the one to refuse early, the other right
 * before it opens `path`. Counts as a use of an upload (UploadFolder.use). Throws BODY_INVALID, PACKAGE_OUTSIDE_ROOTS,
 * PACKAGE_NOT_FOUND, PACKAGE_UNREADABLE, UPLOAD_NOT_FOUND.
 */
export async function locateSource(text: string, sources: LocalSources): Promise<LocatedSource> {
  const address = parseLocalSource(text)
  if (address.scheme === 'file') return locateFile(address.path, sources.roots)
  const upload = await sources.uploads.use(address.id)
  return { path: upload.path, fileName: upload.name, size: upload.size, isDirectory: false }
}

async function locateFile(path: string, roots: readonly string[]): Promise<LocatedSource> {
  const allowed = await openFileRoots(roots)
  if (!allowed.mayHold(path)) throw outside(path, roots)
  const real = await realpath(path).catch((error: unknown) => {
    throw notThere(path, error)
  })
  if (!allowed.holds(real)) throw outside(path, roots)
  const facts = await stat(real).catch((error: unknown) => {
    throw notThere(path, error)
  })
  if (!facts.isDirectory() && !facts.isFile()) {
    throw new AppError('PACKAGE_UNREADABLE', `${path} is neither a file nor a directory`, { details: { path } })
  }
  const isDirectory = facts.isDirectory()
  return { path: real, fileName: basename(path), size: isDirectory ? 0 : facts.size, isDirectory }
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
