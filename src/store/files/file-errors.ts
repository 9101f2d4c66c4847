import { AppError, isAppError } from '../../lib/errors.ts'
import { readDisk } from './disk.ts'

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Turns what the file system said while `what` was being done into one of our errors. */
export async function fileError(thrown: unknown, folder: string, what: string): Promise<AppError> {
  if (isAppError(thrown)) return thrown
  const code: unknown = (thrown as NodeJS.ErrnoException).code
  if (typeof code !== 'string')
    return new AppError('INTERNAL', `${what} failed`, { cause: thrown, side: 'destination' })
  if (!FULL.has(code)) {
    return new AppError('STORE_CORRUPT', `${what} failed in ${folder}: ${code}`, {
      side: 'destination',
      cause: thrown,
      details: { folder, errno: code },
      hint: "Look at the data directory's disk and its permissions, then run 'layerd store check'.",
    })
  }
  const freeBytes = await readDisk(folder, () => 0).then(
    (disk) => disk.freeBytes,
    () => 0,
  )
  return new AppError(
    'STORE_FULL',
    `${what} failed: the disk of ${folder} is full (${code}, ${freeBytes} bytes free)`,
    {
      side: 'destination',
      cause: thrown,
      details: { folder, errno: code, freeBytes },
      hint: 'Free disk space or delete stored packages, then retry the job: what has arrived is kept.',
    },
  )
}
