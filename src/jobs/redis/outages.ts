import type { Redis } from 'ioredis'
import type { Logger } from '../../lib/logger.ts'

interface Outage {
  /** Some connection was there: before that whoever starts the process tells that it waits (daemon/shared-id.ts). */
  reached: boolean
  /** ms since the epoch; undefined while there is none. */
  since: number | undefined
  /** When the last one ended: attempts of before that may still fail, and tell nothing new. */
  endedAt: number
}

/** Of this process, by where Redis listens: its connections are lost together, and back together. */
const outages = new Map<string, Outage>()

/**
 * Logs an outage of Redis once, when a lost connection cannot be made again, and its end, when one can: each of a dozen
 * connections fails twice a second meanwhile. A connection that comes back at once is nobody's matter.
 */
export function tellOutages(redis: Redis, { where, logger }: { where: string; logger: Logger }): void {
  const outage = outageAt(where)
  let attemptAt = Date.now()
  let lostAt: number | undefined
  redis.on('connecting', () => {
    attemptAt = Date.now()
  })
  redis.on('close', () => {
    lostAt ??= Date.now()
  })
  redis.on('error', (error: Error & { code?: string }) => {
    const reason = error.message || error.code || error.name
    if (redis.status === 'ready') {
      logger.warn({ redis: where, reason }, 'a connection to Redis failed')
      return
    }
    if (!outage.reached || outage.since !== undefined || attemptAt <= outage.endedAt) return
    outage.since = lostAt ?? attemptAt
    logger.warn({ redis: where, reason }, 'Redis does not answer; what needs it waits until it is back')
  })
  redis.on('ready', () => {
    lostAt = undefined
    outage.reached = true
    if (outage.since === undefined) return
    const seconds = (Date.now() - outage.since) / 1000
    outage.since = undefined
    outage.endedAt = Date.now()
    logger.info({ redis: where, seconds }, `Redis is back after ${seconds.toFixed(1)} s`)
  })
}

/** Of a connection that tells nothing itself. */
export function noteReached(redis: Redis, where: string): void {
  redis.on('error', () => undefined)
  redis.once('ready', () => (outageAt(where).reached = true))
}

function outageAt(where: string): Outage {
  const outage = outages.get(where) ?? { reached: false, since: undefined, endedAt: 0 }
  outages.set(where, outage)
  return outage
}
