import { totalmem } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import type { RedisTarget } from '../jobs/redis/redis.ts'
import type { Logger } from '../lib/logger.ts'
import type { WhyNoRedis } from './api-channel.ts'
import { type EmbeddedRedis, type EmbeddedRedisOptions, startEmbeddedRedis } from './embedded-redis.ts'
import { exitHint, exitText, type RedisExit } from './redis-exit.ts'
import { findRedisServer } from './redis-program.ts'
import { redisSocketPath } from './redis-socket.ts'

/** The private Redis, kept running. */
export interface SupervisedRedis {
  stop(): Promise<void>
  /**
   * Why it is away, for who got no answer from it: resolves once that is known, within a quarter of a second. Undefined where
   * it has not ended within the last 5 s, or there is none.
   */
  whyAway(): Promise<WhyNoRedis | undefined>
}

/** Where Redis is: LAYERD_REDIS_URL, or the private one of the data directory. */
export function redisTarget(config: Config): RedisTarget {
  return config.redisUrl === undefined ? { socketPath: redisSocketPath(config.dataDir) } : { url: config.redisUrl }
}

const RESTART_PAUSE_MS = 200
const MAX_RESTART_PAUSE_MS = 5000
/** A connection that broke may be known of a little before the end of the server. */
const EXIT_KNOWN_MS = 250
/** So long after its end that is still why it does not answer: clients connect again, and it may end again. */
const EXIT_TOLD_MS = 5000

/**
 * The program of the private Redis; undefined with LAYERD_REDIS_URL. Asked before anything else, since a machine without
 * one is the likeliest reason not to start. Throws CONFIG_INVALID with what to type.
 */
export async function redisProgram(config: Config, searchPath: string): Promise<string | undefined> {
  return config.redisUrl === undefined ? findRedisServer(config.redisServer, searchPath) : undefined
}

const MIB = 1024 ** 2
const REDIS_SHARE = { of: 4, min: 256 * MIB, max: 2048 * MIB }

/** Of the memory that there is the private Redis may use a quarter, 256 MiB at least and 2 GiB at most. */
export function redisShare(memoryBytes: number): number {
  return Math.min(REDIS_SHARE.max, Math.max(REDIS_SHARE.min, Math.floor(memoryBytes / REDIS_SHARE.of)))
}

/** What a container may use, where it is limited. */
function memoryOfMachine(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

/**
 * Starts the private Redis of the data directory, and starts it again whenever it ends. Does nothing without `program`.
 * Throws CONFIG_INVALID, in one line, when it does not serve.
 */
export async function superviseRedis(
  config: Config,
  { program, logger }: { program: string | undefined; logger: Logger },
): Promise<SupervisedRedis> {
  if (program === undefined) return { stop: async () => {}, whyAway: async () => undefined }
  const { dataDir } = config
  const maxMemory = config.redisMaxMemory ?? redisShare(memoryOfMachine())
  const settings = { dataDir, socketPath: redisSocketPath(dataDir), program, maxMemory, logger }
  let redis = await startEmbeddedRedis(settings)
  const stopping = new AbortController()
  let last: { exit: RedisExit; at: number } | undefined
  const watch = async (): Promise<void> => {
    for (;;) {
      const exit = await redis.ended
      if (stopping.signal.aborted) return
      last = { exit, at: performance.now() }
      const { exitCode, lastLine, freeBytes } = exit
      logger.error({ exitCode, lastLine, freeBytes }, `the private Redis ${exitText(exit)}. Starting it again`)
      const next = await restart(settings, stopping.signal)
      if (next === undefined) return
      redis = next
    }
  }
  const watching = watch()
  return {
    async whyAway() {
      // This one's end, not that of the next one.
      const { ended } = redis
      const recent = last && performance.now() - last.at < EXIT_TOLD_MS ? last.exit : undefined
      const exit = await Promise.race([ended, delay(EXIT_KNOWN_MS, recent)])
      return exit && { detail: `the private Redis ${exitText(exit)}`, hint: exitHint(exit) }
    },
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
