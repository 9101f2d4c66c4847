import { dirname } from 'node:path'
import { CHECK_DISK_BYTES, type Reservation, type Room } from '../../content/room.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { sizeText } from '../../lib/text.ts'
import { type Disk, type KeepFree, onOneDisk, readDisk } from '../files/disk.ts'
import { fileSize } from '../files/file-size.ts'
import type { StoreLayout } from '../files/layout.ts'
import type { Hold, LeasedOptions, StoreLocks } from '../locks/locks.ts'

type What = 'pull' | 'upload' | 'archive'

export interface DiskNeeds {
  what: What
  neededBytes: number
  /** What it needs on a disk that nobody else uses. */
  wholeBytes: number
  /** To others, on this disk. */
  promisedBytes: number
  folder: string
}

/**
 * Throws STORE_FULL unless `neededBytes` fit beside what others were promised and what stays free. What a job brings may
 * wait: for that it is transient, and its message the reason, unless it never fits.
 */
export function checkDisk(disk: Disk, needs: DiskNeeds): void {
  const { what, neededBytes, wholeBytes, promisedBytes } = needs
  if (!disk.low && neededBytes + promisedBytes + disk.reserveBytes <= disk.freeBytes) return
  if (what === 'upload') throw lowError(disk, needs)
  if (wholeBytes + disk.reserveBytes > disk.totalBytes) throw neverFits(disk, needs)
  throw waiting(disk, needs)
}

function waiting(disk: Disk, needs: DiskNeeds): AppError {
  return new AppError('STORE_FULL', `waiting for disk: ${figures(disk, needs)}`, {
    side: 'destination',
    retry: 'transient',
    details: detailsOf(disk, needs),
    hint: 'The job goes on when there is room: delete stored packages or uploads, or free the disk otherwise.',
  })
}

function lowError(disk: Disk, needs: DiskNeeds): AppError {
  return new AppError('STORE_FULL', `the disk of the data directory has no room: ${figures(disk, needs)}`, {
    details: detailsOf(disk, needs),
    hint: 'Delete uploads or stored packages, or put the package into a folder of LAYERD_FILE_ROOTS on another disk and publish it from there.',
  })
}

function neverFits({ totalBytes, reserveBytes, ...disk }: Disk, needs: DiskNeeds): AppError {
  const { what, wholeBytes, folder } = needs
  const kept = reserveBytes > 0 ? `, ${sizeText(reserveBytes)} of them are kept free for Redis` : ''
  return new AppError(
    'STORE_FULL',
    `the ${what} needs ${sizeText(wholeBytes)}; the disk of ${folder} has ${sizeText(totalBytes)} in all${kept}`,
    {
      side: 'destination',
      details: detailsOf({ totalBytes, reserveBytes, ...disk }, needs),
      hint: 'It never fits: take a larger disk, or a smaller LAYERD_DISK_RESERVE, then retry the job.',
    },
  )
}

/** `1.2 GiB free, 2 GiB are kept free for Redis, the pull needs 5 GiB` */
function figures({ freeBytes, reserveBytes }: Disk, { what, neededBytes, promisedBytes }: DiskNeeds): string {
  return [
    `${sizeText(freeBytes)} free`,
    ...(promisedBytes > 0 ? [`${sizeText(promisedBytes)} of them promised already`] : []),
    ...(reserveBytes > 0 ? [`${sizeText(reserveBytes)} are kept free for Redis`] : []),
    ...(neededBytes > 0 ? [`the ${what} needs ${sizeText(neededBytes)}`] : []),
  ].join(', ')
}

function detailsOf(disk: Disk, { neededBytes, promisedBytes, folder }: DiskNeeds): Record<string, unknown> {
  const { freeBytes, totalBytes, reserveBytes } = disk
  return { neededBytes, promisedBytes, freeBytes, totalBytes, reserveBytes, folder }
}

/** What is written while the disk is looked at now and then: throws as checkDisk does, for a disk that is low by now. */
export async function checkStillRoom(folder: string, keepFree: KeepFree, what: What): Promise<void> {
  const disk = await readDisk(folder, keepFree)
  if (disk.low) checkDisk(disk, { what, neededBytes: 0, wholeBytes: 0, promisedBytes: 0, folder })
}

/** A full disk is one to wait for where less is free than stays free; else the error as it is. */
export async function waitingIfLow(error: AppError, folder: string, keepFree: KeepFree): Promise<AppError> {
  if (error.code !== 'STORE_FULL' || error.details?.['errno'] !== 'ENOSPC') return error
  return checkStillRoom(folder, keepFree, 'pull').then(
    () => error,
    (low: unknown) => (isAppError(low) ? low : error),
  )
}

/** What files that are no blobs may still grow by, on the disk of `folder`. */
export async function heldOn(folder: string, locks: Pick<StoreLocks, 'held'>, sweep = true): Promise<number> {
  const lacking = (await locks.held({ sweep })).map(async ({ path, bytes }) => {
    if (!(await onOneDisk(dirname(path), folder))) return 0
    return Math.max(0, bytes - ((await fileSize(path)) ?? 0))
  })
  return (await Promise.all(lacking)).reduce((sum, bytes) => sum + bytes, 0)
}

/**
 * How much of a file's room is promised once so much of it is there: all of what a job writes. Of an upload never more than
 * twice what came, lest one who declares much and sends little keeps others out; in ever larger steps, as each
 * asks for the store's lock and looks at all that others were promised.
 */
function promiseAt(written: number, bytes: number | undefined, what: What): number {
  if (bytes === undefined) return written + Math.max(CHECK_DISK_BYTES, Math.floor(written / 4))
  return what === 'upload' ? Math.min(bytes, written + Math.max(2 * CHECK_DISK_BYTES, written)) : bytes
}

export interface RoomParts {
  layout: StoreLayout
  locks: Pick<StoreLocks, 'held' | 'hold'>
  keepFree: KeepFree
  /** What pulls still need of the store's disk. */
  promisedBytes: (options: LeasedOptions) => Promise<number>
  /** With the store's lock. */
  locked: <T>(task: () => Promise<T>) => Promise<T>
}

/** Room for files beside the store, in one account with its blobs where they lie on its disk. */
export function createRoom(parts: RoomParts): Room {
  const { locks, locked } = parts
  return {
    async reserve({ path, bytes, written: there = 0, what }): Promise<Reservation> {
      const disk = await diskOf(dirname(path), what, parts)
      let reserved = promiseAt(there, bytes, what)
      const hold: Hold = await locked(async () => {
        await disk.check({ neededBytes: (bytes ?? reserved) - there, wholeBytes: bytes ?? reserved })
        return locks.hold({ path, bytes: reserved })
      })
      return {
        bytesBesideStore: disk.besideStore ? reserved : 0,
        async reached(written) {
          const enough = reserved === bytes || written + CHECK_DISK_BYTES <= reserved
          if (enough) return checkStillRoom(dirname(path), disk.kept, what)
          await locked(async () => {
            const wanted = promiseAt(written, bytes, what)
            await disk.check({ neededBytes: wanted - reserved, wholeBytes: bytes ?? wanted - reserved })
            await hold.resize(wanted)
            reserved = wanted
          })
        },
        [Symbol.asyncDispose]: () => hold[Symbol.asyncDispose](),
      }
    },
    async look({ folder, bytes }) {
      const disk = await diskOf(folder, 'archive', parts)
      await disk.check({ neededBytes: bytes, wholeBytes: bytes, sweep: false })
      return { bytesBesideStore: disk.besideStore ? bytes : 0 }
    },
  }
}

/** The disk that a folder lies on, as files for it see it. */
async function diskOf(folder: string, what: What, { layout, locks, keepFree, promisedBytes }: RoomParts) {
  const besideStore = await onOneDisk(folder, layout.folder)
  // An archive may be wanted on a disk that is nobody's but the caller's.
  const kept: KeepFree = what === 'archive' && !besideStore ? () => 0 : keepFree
  return {
    besideStore,
    kept,
    async check({ sweep = true, ...needs }: Pick<DiskNeeds, 'neededBytes' | 'wholeBytes'> & LeasedOptions) {
      const blobs = besideStore ? await promisedBytes({ sweep }) : 0
      const promised = blobs + (await heldOn(folder, locks, sweep))
      checkDisk(await readDisk(folder, kept), { what, ...needs, promisedBytes: promised, folder })
    },
  }
}
