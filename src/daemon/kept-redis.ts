import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import type { RedisTarget } from '../jobs/redis/redis.ts'
import type { Logger } from '../lib/logger.ts'
import { type EmbeddedRedis, type EmbeddedRedisOptions, startEmbeddedRedis } from './embedded-redis.ts'
import { findRedisServer } from './redis-program.ts'
import { redisSocketPath } from './redis-socket.ts'

/** Something that this process keeps running and can end. */
export interface Supervised {
  stop(): Promise<void>
}

/** Where Redis is: LAYERD_REDIS_URL, or the private one of the data directory. */
export function redisTarget(config: Config): RedisTarget {
  return config.redisUrl === undefined ? { socketPath: redisSocketPath(config.dataDir) } : { url: config.redisUrl }
}

const RESTART_PAUSE_MS = 200
const MAX_RESTART_PAUSE_MS = 5000

/**
 * The program of the private Redis; undefined with LAYERD_REDIS_URL. Asked before anything else, since a machine without
 * one is the likeliest reason not to start. Throws CONFIG_INVALID with what to type.
 */
export async function redisProgram(config: Config, searchPath: string): Promise<string | undefined> {
  return config.redisUrl === undefined ? findRedisServer(config.redisServer, searchPath) : undefined
}

/**
 * Starts the private Redis of the data directory, and starts it again whenever it ends. Does nothing without `program`.
 * Throws CONFIG_INVALID, in one line, when it does not serve.
 */
export async function superviseRedis(
  config: Config,
  { program, logger }: { program: string | undefined; logger: Logger },
): Promise<Supervised> {
  if (program === undefined) return { stop: async () => {} }
  const { dataDir } = config
  const settings = { dataDir, socketPath: redisSocketPath(dataDir), program, logger }
  let redis = await startEmbeddedRedis(settings)
  const stopping = new AbortController()
  const watch = async (): Promise<void> => {
    for (;;) {
      await redis.ended
      if (stopping.signal.aborted) return
      logger.error('the private Redis has ended; starting it again')
      const next = await restart(settings, stopping.signal)
      if (next === undefined) return
      redis = next
    }
  }
  const watching = watch()
  return {
    async stop() {
      stopping.abort()
      await redis.stop()
      await watching
    },
  }
}

async function restart(settings: EmbeddedRedisOptions, stopping: AbortSignal): Promise<EmbeddedRedis | undefined> {
  for (let pauseMs = RESTART_PAUSE_MS; !stopping.aborted; pauseMs = Math.min(2 * pauseMs, MAX_RESTART_PAUSE_MS)) {
    try {
      const redis = await startEmbeddedRedis(settings)
      if (!stopping.aborted) return redis
      await redis.stop()
    } catch (error) {
      settings.logger.error({ err: error }, 'the private Redis does not start')
      await delay(pauseMs, undefined, { signal: stopping }).catch(() => {})
    }
  }
  return undefined
}
