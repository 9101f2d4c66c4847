import { setTimeout as delay } from 'node:timers/promises'
import type { RateCounter } from '../../access/rates.ts'
import type { Logger } from '../../lib/logger.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'

export interface RateCountsOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

/** A request waits no longer for it. */
const PATIENCE_MS = 500
/** After a failure nobody is asked for so long, so that requests do not wait one after the other. */
const AWAY_MS = 1000

/** One script each, in Redis. Opens a connection of its own. */
export function createRateCounts({ prefix, logger, redis: target }: RateCountsOptions): RateCounter & {
  close: () => void
} {
  const redis = connectRedis(target, { role: 'api', name: 'layerd-rates', ...(logger ? { logger } : {}) })
  const scripts = createScripts(redis)
  const keys = createKeys(prefix)
  let awayUntil = 0
  const inTime = async (answer: Promise<number[]>): Promise<number[]> => {
    const late = new AbortController()
    const silence = delay(PATIENCE_MS, undefined, { signal: late.signal, ref: false })
    try {
      const found = await Promise.race([answer, silence.catch(() => undefined)])
      if (found) return found
      throw new Error('Redis does not answer in time')
    } catch (error) {
      awayUntil = performance.now() + AWAY_MS
      throw error
    } finally {
      answer.catch(() => undefined)
      late.abort()
    }
  }
  return {
    async count(key, { windowMs, max, mostMs = 0 }) {
      if (performance.now() < awayUntil) throw new Error('Redis did not answer a moment ago')
      const [current = 0, ttlMs = 0] = await inTime(scripts.numbers('rate', keys.rate(key), [windowMs, max, mostMs]))
      return { current, ttlMs }
    },
    close: () => redis.disconnect(),
  }
}
