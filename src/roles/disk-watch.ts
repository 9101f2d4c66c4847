import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { sizeText } from '../lib/text.ts'
import type { Disk } from '../store/content-store.ts'

const LOOK_MS = 5000
const TELL_MS = 60_000

export interface DiskWatchOptions {
  disk: () => Promise<Disk>
  logger: Logger
  clock: Pick<Clock, 'now'>
}

/** A look at the disk: logs that it runs low, again once a minute while it does, and when it does no more. */
export function diskTeller({ disk, logger, clock }: DiskWatchOptions): () => Promise<void> {
  let toldAt: number | undefined
  return async () => {
    const { low, freeBytes, reserveBytes } = await disk()
    const figures = { freeBytes, reserveBytes }
    const text = `${sizeText(freeBytes)} free, ${sizeText(reserveBytes)} are kept free for Redis`
    if (!low) {
      if (toldAt !== undefined) logger.info(figures, `the disk has room again: ${text}`)
      toldAt = undefined
    } else if (toldAt === undefined || clock.now() - toldAt >= TELL_MS) {
      toldAt = clock.now()
      logger.warn(figures, `the disk runs low: ${text}; uploads get 507 and pulls wait until there is room`)
    }
  }
}

/** Looks every 5 s, from now on. Returns how to stop. */
export function watchDisk(options: DiskWatchOptions): () => void {
  const look = diskTeller(options)
  const lookOrTell = () => {
    look().catch((error: unknown) => options.logger.warn({ err: error }, 'the disk could not be looked at'))
  }
  lookOrTell()
  const timer = setInterval(lookOrTell, LOOK_MS)
  return () => clearInterval(timer)
}
