import { randomUUID } from 'node:crypto'
import type { LimitListener, SharedLimits, SharedPace } from '../../content/limits/registry-limits.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'
import { createSubscriber } from '../redis/subscriber.ts'
import type { RegistryRecords } from './registry-records.ts'

export interface SharedLimitsOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** Which limits there are. */
  records: Pick<RegistryRecords, 'limitsOf' | 'refresh'>
  logger?: Logger
  /** How long a place is held without being asked for again: what a process that was killed keeps. Default 10 s. */
  placeMs?: number
}

/** A Redis that did not answer is not asked again before: who waits for it goes by its own count meanwhile. */
const AWAY_MS = 1000
const PLACE_MS = 10_000

/** SharedLimits in Redis, by one script (docs/adr/0021). Opens two connections of its own; one of them only listens. */
export function createSharedLimits(options: SharedLimitsOptions): SharedLimits & { close(): Promise<void> } {
  const { records, logger = silentLogger, placeMs = PLACE_MS } = options
  const redis = connectRedis(options.redis, { role: 'starting', name: 'layerd-limits', logger })
  const scripts = createScripts(redis)
  const keys = createKeys(options.prefix)
  const subscriber = createSubscriber(options.redis, { name: 'layerd-limit-signals', logger })
  const who = randomUUID()
  let awayUntil = 0
  let listener: LimitListener | undefined

  const ask = async (host: string, ...args: Array<string | number>): Promise<number[] | undefined> => {
    if (performance.now() < awayUntil) return undefined
    try {
      return await scripts.numbers('limits', keys.registryLimits(host), args)
    } catch (error) {
      awayUntil = performance.now() + AWAY_MS
      logger.debug({ err: error }, 'limits of registries are not shared now')
      return undefined
    }
  }
  const refresh = (): void => {
    records.refresh().catch((error: unknown) => logger.debug({ err: error }, 'limits of registries are not read now'))
  }
  subscriber.listen(keys.limits, {
    onMessage: (message) => listener && tell(message, who, listener),
    onGap: () => listener?.gap(),
  })
  subscriber.listen(keys.registries, { onMessage: refresh, onGap: refresh })

  return {
    limitsOf: (host) => records.limitsOf(host),
    async turns(host, perSecond, wanted) {
      const [count, delay, every, ...pace] = (await ask(host, 'turns', perSecond ?? 0, wanted)) ?? []
      if (count === undefined || delay === undefined || every === undefined) return undefined
      return { count, delayMs: delay / 1000, everyMs: every / 1000, pace: paceOf(pace) }
    },
    async bytes(registry, perSecond, wanted) {
      const [bytes, delay] = (await ask(registry, 'bytes', perSecond, wanted)) ?? []
      return bytes === undefined || delay === undefined ? undefined : { bytes, delayMs: delay / 1000 }
    },
    async places(registry, limit, { used, wanted }) {
      const found = await ask(registry, 'places', limit, who, used, wanted, placeMs, keys.limits, registry)
      const [held, fair] = found ?? []
      return held === undefined || fair === undefined ? undefined : { held, fair }
    },
    async refused(host, { status, pauseMs, first, measured }) {
      const seen = [status, Math.ceil(pauseMs), first ? 1 : 0, measured ?? 0]
      await ask(host, 'refused', ...seen, who, keys.limits, host)
    },
    async pace(host) {
      const found = await ask(host, 'pace')
      return found && paceOf(found)
    },
    listen: (next) => void (listener = next),
    async close() {
      await subscriber.close()
      redis.disconnect()
    },
  }
}

function paceOf([pauseMs = 0, status = 0, ceiling = 0, sinceMs = 0]: readonly number[]): SharedPace {
  return { pauseMs, status, learnt: ceiling > 0 ? { perSecond: ceiling / 1000, sinceMs } : undefined }
}

/** Passes on what another process has said (limits.lua). */
function tell(message: string, self: string, listener: LimitListener): void {
  const [what, from, host, ...numbers] = message.split('|')
  if (from === self || host === undefined) return
  if (what === 'freed') listener.freed(host)
  if (what === 'paused') listener.paused(host, paceOf(numbers.map(Number)))
}
