import type { Redis } from 'ioredis'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys, type Keys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createScripts, type Scripts } from '../redis/scripts.ts'
import { createSubscriber, type Subscriber } from '../redis/subscriber.ts'

export interface AccessConnectionOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

/** What tokens, sessions, links and rates of one API process ask Redis by: two connections, whatever there is of these. */
export interface AccessConnection {
  readonly redis: Redis
  readonly scripts: Scripts
  readonly keys: Keys
  /** Calls `listener` when some of a channel's were taken away, in any process; returns what ends that. */
  readonly onEnded: (channel: string, listener: () => void) => () => void
  close(): void
}

export function openAccessConnection(options: AccessConnectionOptions): AccessConnection {
  const { logger = silentLogger } = options
  const redis = connectRedis(options.redis, { role: 'starting', name: 'layerd-access', logger })
  const subscriber: Subscriber = createSubscriber(options.redis, { name: 'layerd-access-ended', logger })
  return {
    redis,
    scripts: createScripts(redis),
    keys: createKeys(options.prefix),
    onEnded(channel, listener) {
      const { stop } = subscriber.listen(channel, { onMessage: listener, onGap: listener })
      return () => void stop()
    },
    close() {
      redis.disconnect()
      void subscriber.close()
    },
  }
}
