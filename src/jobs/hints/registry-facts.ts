import type { RegistryFact, RegistryFacts, RegistryFactStore } from '../../content/registry-facts.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createHints } from './hints.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, guarded, pipelineResults, type RedisTarget } from '../redis/redis.ts'

/** What registries were seen to do, as all processes have seen it. */
export interface SharedRegistryFacts extends RegistryFactStore {
  /** Forgets all of a registry, for all processes. Throws QUEUE_UNAVAILABLE, as who asks for it wants it done. */
  forget(registry: string): Promise<void>
  close(): Promise<void>
}

export interface RegistryFactsOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  clock?: Clock
  logger?: Logger
}

/** Source: oci-client.md U12. */
const KEPT_SECONDS = 7 * 86_400

/** A fact as it lies in Redis: its value, and when it was learnt, ms since the epoch. */
type Entry = readonly [value: RegistryFact, at: number]

/** Opens a connection of its own. Its calls wait for no Redis that is gone: an upload learns for itself then. */
export function createRegistryFacts(options: RegistryFactsOptions): SharedRegistryFacts {
  const { clock = systemClock, logger = silentLogger } = options
  const redis = connectRedis(options.redis, { role: 'starting', name: 'layerd-facts', logger })
  const keys = createKeys(options.prefix)

  const hint = createHints(logger, 'what was learnt of a registry is not shared now')
  return {
    load: (registry) => hint(async () => valid(await redis.hgetall(keys.registryFacts(registry)), clock), undefined),
    save: (registry, changes) =>
      hint(async () => {
        const key = keys.registryFacts(registry)
        const write = redis.multi()
        for (const [name, value] of Object.entries(changes)) {
          if (value === undefined) write.hdel(key, name)
          else write.hset(key, name, JSON.stringify([value, clock.now()] satisfies Entry))
        }
        pipelineResults(await write.expire(key, KEPT_SECONDS).exec())
        return true
      }, false),
    forget: (registry) => guarded(async () => void (await redis.del(keys.registryFacts(registry)))),
    async close() {
      redis.disconnect()
    },
  }
}

/** The key lives on with each write, a fact ends by itself. */
function valid(entries: Record<string, string>, clock: Clock): RegistryFacts {
  const since = clock.now() - KEPT_SECONDS * 1000
  const facts = Object.entries(entries).map(([name, text]) => [name, JSON.parse(text) as Entry] as const)
  return Object.fromEntries(facts.flatMap(([name, [value, at]]) => (at > since ? [[name, value]] : [])))
}
