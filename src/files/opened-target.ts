import { randomBytes } from 'node:crypto'
import { constants, type Stats, type StatsFs } from 'node:fs'
import { access, type FileHandle, link, lstat, open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { ByteStream } from '../content/endpoints.ts'
import type { OpenedTarget } from '../content/opened.ts'
import { CHECK_DISK_BYTES, type Reservation, type Room } from '../content/room.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import { type FolderPlace, holdFolderInRoots, nearestFolder, openPlaceRoots, outsideRoots } from './local-folder.ts'

/**
 * A folder of this machine, made if absent. A file is written through a temporary name beside it. Each call opens the folder
 * anew and keeps to the one that it opened; where that lies is looked at again when the file is made and when it gets its name.
 * `room`: keeps room for it on the disk from `prepare` on; default: what is free then has to do. Throws PACKAGE_OUTSIDE_ROOTS beside what OpenedTarget
 * says.
 */
export function openTarget(folder: FolderPlace, room?: Room): OpenedTarget {
  const suffix = `${randomBytes(6).toString('hex')}.tmp`
  const temporaryOf = (name: string) => `.${name}.${suffix}`
  let reservation: Reservation | undefined
  return {
    get bytesBesideStore() {
      return reservation?.bytesBesideStore ?? 0
    },
    async prepare({ name, size, overwrite }) {
      const path = join(folder.path, name)
      await using held = await told(holdFolderInRoots(folder), path)
      checkFree(path, await lstat(held.at(name)).catch(() => undefined), overwrite)
      if (room) {
        // Other processes look at its size under this name.
        const temporary = join(held.openedPath, temporaryOf(name))
        reservation = await room.reserve({ path: temporary, bytes: size, what: 'archive' })
        return
      }
      checkSize(path, size, await told(statfs(held.at('')), path))
    },
    async look({ name, size, overwrite }) {
      const path = join(folder.path, name)
      checkFree(path, await lstat(path).catch(() => undefined), overwrite)
      const there = await told(nearestFolder(folder), path)
      await told(access(there, constants.W_OK), path)
      if (room) return await room.look({ folder: there, bytes: size })
      checkSize(path, size, await told(statfs(there), path))
      return { bytesBesideStore: 0 }
    },
    async write({ name, overwrite }, content, signal) {
      const path = join(folder.path, name)
      await using held = await told(holdFolderInRoots(folder), path)
      const inner = temporaryOf(name)
      const temporary = held.at(inner)
      const look = async (file: FileHandle) => checkInside(await told(held.pathOf(file, inner), path), folder)
      try {
        await write(content({ signal }), { path, temporary, look, reservation }, signal)
        await told(overwrite ? rename(temporary, held.at(name)) : link(temporary, held.at(name)), path)
        await held.sync()
        // Under its name it is nothing that is still to come.
        await reservation?.[Symbol.asyncDispose]()
        return join(await held.realPath(), name)
      } finally {
        await rm(temporary, { force: true })
      }
    },
    async [Symbol.asyncDispose]() {
      await reservation?.[Symbol.asyncDispose]()
    },
  }
}

interface TemporaryFile {
  /** What it will be called. */
  path: string
  temporary: string
  /** Throws where it lies outside the roots by now. */
  look: (file: FileHandle) => Promise<void>
  reservation: Reservation | undefined
}

async function write(
  content: ByteStream,
  { path, temporary, look, reservation }: TemporaryFile,
  signal: AbortSignal,
): Promise<void> {
  const file = await told(open(temporary, 'wx', 0o644), path)
  let size = 0
  let lookAt = CHECK_DISK_BYTES
  try {
    await look(file)
    for await (const chunk of content) {
      throwIfAborted(signal)
      await told(file.writeFile(chunk), path)
      size += chunk.length
      if (size < lookAt) continue
      lookAt = size + CHECK_DISK_BYTES
      await reached(reservation, size)
    }
    await told(file.sync(), path)
    await look(file)
  } finally {
    await file.close()
  }
}

/** A folder that moved meanwhile cannot be looked at by its path; what is written to it tells whether there is room. */
async function reached(reservation: Reservation | undefined, size: number): Promise<void> {
  try {
    await reservation?.reached(size)
  } catch (error) {
    if (isAppError(error)) throw error
  }
}

async function checkInside(realPath: string, folder: FolderPlace): Promise<void> {
  if (!(await openPlaceRoots(folder)).holds(realPath)) throw outsideRoots(folder)
}

function checkFree(path: string, there: Stats | undefined, overwrite: boolean): void {
  if (there?.isDirectory() || (there && !overwrite)) throw exists(path)
}

function checkSize(path: string, size: number, { bavail, bsize }: StatsFs): void {
  if (size > bavail * bsize) throw noRoom(path, size, bavail * bsize)
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
