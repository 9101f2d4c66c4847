import { stat, statfs } from 'node:fs/promises'

/** Bytes of a disk of so many that stay free: for Redis, whose log must always find room. */
export type KeepFree = (totalBytes: number) => number

const MIB = 1024 * 1024
const SHARE = 0.05
const LEAST_BYTES = 256 * MIB
const MOST_BYTES = 10 * 1024 * MIB

/** `bytes` (LAYERD_DISK_RESERVE), else 5 % of the disk: at least 256 MiB, at most 10 GiB. */
export function diskReserve(bytes?: number): KeepFree {
  return (totalBytes) => bytes ?? Math.min(MOST_BYTES, Math.max(LEAST_BYTES, Math.floor(SHARE * totalBytes)))
}

export interface Disk {
  /** Bytes that this user may still write. */
  readonly freeBytes: number
  readonly totalBytes: number
  /** Bytes that stay free (KeepFree). */
  readonly reserveBytes: number
  /** Whether less than that is free: nothing more is taken in then. */
  readonly low: boolean
}

/** The disk of a folder, as it is now. */
export async function readDisk(folder: string, keepFree: KeepFree): Promise<Disk> {
  const { bavail, blocks, bsize } = await statfs(folder)
  const [freeBytes, totalBytes] = [bavail * bsize, blocks * bsize]
  const reserveBytes = keepFree(totalBytes)
  return { freeBytes, totalBytes, reserveBytes, low: freeBytes < reserveBytes }
}

/** Whether two folders lie on one disk; one that is not there may. */
export async function onOneDisk(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((folder) => stat(folder).catch(() => undefined)))
  return a === undefined || b === undefined || a.dev === b.dev
}
