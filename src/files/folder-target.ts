import { randomBytes } from 'node:crypto'
import { lstat, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { FolderFile, OpenedFolderTarget } from '../content/opened.ts'
import type { Reservation, Room } from '../content/room.ts'
import { type FolderPlace, holdFolderInRoots, nearestFolder } from './local-folder.ts'
import { openTarget } from './opened-target.ts'

/**
 * A folder of this machine, made if absent, and files at paths below it, each written as openTarget writes one. A folder on the
 * way there may be a link that somebody made before; it is followed nowhere out of the folder. `room`: as openTarget's.
 */
export function openFolderTarget(folder: FolderPlace, room: Room): OpenedFolderTarget {
  let reservation: Reservation | undefined
  const look = async (files: readonly FolderFile[], overwrite: boolean): Promise<void> => {
    for (const { path, size } of files) {
      await openTarget(placeOf(folder, path)).look({ name: basename(path), size, overwrite })
    }
  }
  return {
    get bytesBesideStore() {
      return reservation?.bytesBesideStore ?? 0
    },
    async prepare(files, { overwrite }) {
      await look(files, overwrite)
      await using held = await holdFolderInRoots(folder)
      const path = join(held.openedPath, `.${randomBytes(6).toString('hex')}.tmp`)
      reservation = await room.reserve({ path, bytes: sum(files), what: 'archive' })
    },
    async look(files, { overwrite }) {
      await look(files, overwrite)
      return await room.look({ folder: await nearestFolder(folder), bytes: sum(files) })
    },
    async write(files, { overwrite, signal }) {
      await using held = await holdFolderInRoots(folder)
      const inside = held.openedPath
      const made: Made = { files: [], folders: [] }
      try {
        for (const { path, open } of files) {
          const place = { ...placeOf(folder, path), inside }
          made.folders.push(...(await absentFolders(folder, path)))
          const isNew = (await lstat(join(place.path, basename(path))).catch(() => undefined)) === undefined
          await openTarget(place).write({ name: basename(path), overwrite }, open, signal)
          if (isNew) made.files.push(path)
        }
        return await held.realPath()
      } catch (error) {
        await takeBack(made, { ...folder, inside })
        throw error
      }
    },
    async [Symbol.asyncDispose]() {
      await reservation?.[Symbol.asyncDispose]()
    },
  }
}

interface Made {
  readonly files: string[]
  /** Those above come first. */
  readonly folders: string[]
}

function placeOf(folder: FolderPlace, path: string): FolderPlace {
  return { ...folder, path: dirname(join(folder.path, path)) }
}

function sum(files: readonly FolderFile[]): number {
  return files.reduce((bytes, { size }) => bytes + size, 0)
}

/** Of those that a file lies in, below the folder. */
async function absentFolders(folder: FolderPlace, path: string): Promise<string[]> {
  const above = dirname(path)
  if (above === '.') return []
  const absent = (await lstat(join(folder.path, above)).catch(() => undefined)) === undefined
  return absent ? [...(await absentFolders(folder, above)), above] : []
}

/** What cannot be taken away stays: why the files were not written is what is told. */
async function takeBack({ files, folders }: Made, folder: FolderPlace): Promise<void> {
  const within = async (path: string, task: (at: string) => Promise<void>): Promise<void> => {
    await using held = await holdFolderInRoots({ ...placeOf(folder, path), inside: folder.inside ?? folder.path })
    await task(held.at(basename(path)))
  }
  for (const path of files) await within(path, (at) => rm(at)).catch(() => undefined)
  for (const path of folders.toReversed()) await within(path, (at) => rmdir(at)).catch(() => undefined)
}
