import type { Redis } from 'ioredis'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createDispatcher, type Dispatcher } from '../dispatch/dispatch.ts'
import { createVault, type SecretKeys, type Vault } from '../record/credentials.ts'
import { createKeys, type Keys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createScripts, type Scripts } from '../redis/scripts.ts'

export interface JobStoreOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** All processes of one layerd share them. */
  secretKey: SecretKeys
  /** Jobs at once per registry host, where nothing is kept for it; the least of live workers counts. LAYERD_REGISTRY_JOBS, default 8. */
  registryJobs?: number
  /** Registry hosts whose jobs may be open at once. LAYERD_MAX_HOSTS, default 1000. */
  maxHosts?: number
  /** Jobs that may be open at once; a tenth for one principal where several have some, nine where one has. LAYERD_MAX_JOBS, default 20,000. */
  maxJobs?: number
  clock?: Clock
  logger?: Logger
}

/** What commands on jobs work with, over a Redis connection of its own. */
export interface JobStore {
  readonly redis: Redis
  readonly keys: Keys
  readonly clock: Clock
  readonly logger: Logger
  readonly dispatcher: Dispatcher
  readonly scripts: Scripts
  readonly vault: Vault
  readonly registryJobs: number
  readonly maxHosts: number
  readonly maxJobs: number
  close(): Promise<void>
}

/** `role` decides what happens while Redis is gone (connectRedis); `name` shows in Redis' list of clients. */
export function openJobStore(options: JobStoreOptions, as: { role: 'api' | 'worker'; name: string }): JobStore {
  const { clock = systemClock, logger = silentLogger, registryJobs = 8, maxHosts = 1000, maxJobs = 20_000 } = options
  const redis = connectRedis(options.redis, { ...as, logger })
  const keys = createKeys(options.prefix)
  const dispatcher = createDispatcher({ redis, keys, clock })
  return {
    redis,
    keys,
    clock,
    logger,
    dispatcher,
    scripts: createScripts(redis),
    vault: createVault(options.secretKey),
    registryJobs,
    maxHosts,
    maxJobs,
    async close() {
      await dispatcher.close()
      redis.disconnect()
    },
  }
}
