import type { JobQueue } from '../jobs/queue.ts'
import type { KeyRecords } from '../jobs/keys/key-records.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import { isAppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'

const EVERY_MS = 3_600_000
/** Where Redis did not answer, as on a machine that is busy with the start of all processes. */
const AGAIN_MS = 10_000

export interface ResealingOptions {
  readonly kept: {
    readonly registries: Pick<RegistryRecords, 'reseal'>
    readonly keys: Pick<KeyRecords, 'reseal'>
  }
  readonly queue: Pick<JobQueue, 'underOlderKeys'>
  /** How many LAYERD_SECRET_KEY_FILE holds. */
  readonly keys: number
  /** Resolves once Redis is there and this layerd's. */
  readonly joining: Promise<boolean>
  readonly logger: Logger
  /** How long after one that failed the next round begins. Default 10 s. */
  readonly againMs?: number
}

/**
 * Seals what is kept of registries, and keys that are kept, under the newest key, at the start and then hourly, as processes
 * that still write under an older one may do so meanwhile; and says what an older key is still needed for. Returns how to stop.
 */
export function startResealing({
  kept,
  queue,
  keys,
  joining,
  logger,
  againMs = AGAIN_MS,
}: ResealingOptions): () => void {
  const round = async (): Promise<void> => {
    const { resealed, older, lost } = await kept.registries.reseal()
    if (lost.length > 0)
      logger.warn(
        { registries: lost },
        'credentials of these registries open under no key that is there: give them again',
      )
    const signing = await kept.keys.reseal()
    if (signing.lost.length > 0)
      logger.warn(
        { keys: signing.lost },
        'these keys open under no secret key that is there: add them again (layerd keys add)',
      )
    const [done, left] = [resealed + signing.resealed, older + signing.older]
    if (keys === 1 && done === 0 && left === 0) return
    const jobs = await queue.underOlderKeys()
    logger.info(
      { resealed: done, older: left, jobs },
      `registries and keys sealed under an older key: ${left}; jobs that wait with credentials under one: ${jobs}`,
    )
  }
  let again: NodeJS.Timeout | undefined
  let stopped = false
  const run = (): void => {
    clearTimeout(again)
    round().catch((error: unknown) => {
      // That Redis is away is said where it is noticed, with what to do about a Redis of that sort.
      const isAway = isAppError(error) && error.code === 'QUEUE_UNAVAILABLE'
      const said = 'what is kept of registries, and keys that are kept, were not sealed anew'
      if (isAway) logger.debug({ err: error }, said)
      else logger.warn({ err: error }, said)
      if (!stopped) again = setTimeout(run, againMs)
    })
  }
  joining.then(
    (joined) => joined && run(),
    () => undefined,
  )
  const timer = setInterval(run, EVERY_MS)
  return () => {
    stopped = true
    clearInterval(timer)
    clearTimeout(again)
  }
}
