import { randomBytes } from 'node:crypto'
import { link, lstat, open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { ByteStream } from '../content/endpoints.ts'
import type { OpenedTarget } from '../content/opened.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { syncFolder } from '../lib/atomic-file.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import { makeFolders } from '../lib/make-folders.ts'

/** A folder of this machine, made if absent. A file is written through a temporary name beside it. */
export function openTarget(folder: string): OpenedTarget {
  return {
    async prepare({ name, size, overwrite }) {
      const path = join(folder, name)
      await told(makeFolders(folder), path)
      const there = await lstat(path).catch(() => undefined)
      if (there?.isDirectory() || (there && !overwrite)) throw exists(path)
      const { bavail, bsize } = await told(statfs(folder), path)
      if (size > bavail * bsize) throw noRoom(path, size, bavail * bsize)
    },
    async write({ name, overwrite }, content, signal) {
      const path = join(folder, name)
      const temporary = join(folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`)
      try {
        await write(content({ signal }), temporary, signal)
        await told(overwrite ? rename(temporary, path) : link(temporary, path), path)
        await syncFolder(folder)
        return path
      } finally {
        await rm(temporary, { force: true })
      }
    },
  }
}

async function write(content: ByteStream, path: string, signal: AbortSignal): Promise<void> {
  const file = await told(open(path, 'wx', 0o644), path)
  try {
    for await (const chunk of content) {
      throwIfAborted(signal)
      await told(file.writeFile(chunk), path)
    }
    await told(file.sync(), path)
  } finally {
    await file.close()
  }
}

function noRoom(path: string, neededBytes: number, freeBytes: number): AppError {
  return new AppError('STORE_FULL', `${path} needs ${neededBytes} bytes; its disk has ${freeBytes} free`, {
    side: 'destination',
    details: { path, neededBytes, freeBytes },
    hint: 'Free disk space, or name another folder.',
  })
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
