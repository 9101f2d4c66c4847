import { setTimeout as delay } from 'node:timers/promises'
import { ReplyError } from 'ioredis'
import type { Config } from '../config/config.ts'
import { createKeys } from '../jobs/redis/keys.ts'
import { addressOf, connectRedis, isNotServing, type RedisTarget } from '../jobs/redis/redis.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { DataDirectory } from './data-directory.ts'
import { redisTarget } from './kept-redis.ts'

/** Of the layout of Redis keys and of the data directory. */
const SCHEMA_VERSION = 1
/** Services that start together come up in any order. */
const PATIENCE_MS = 30_000
/** When a wait is told of first, and how often then. */
const TOLD_AFTER_MS = 500
const TOLD_EVERY_MS = 10_000

export interface JoinOptions {
  logger: Logger
  /** Settles when the process is to end. */
  stop: Promise<unknown>
}

/**
 * Makes sure that Redis and the data directory belong together, and that no newer layerd has changed the layout; waits
 * up to 30 s for Redis, and says so. The first process writes both. False: the process was told to stop meanwhile. Throws
 * CONFIG_INVALID and says which two ids differ, or QUEUE_UNAVAILABLE when Redis does not answer.
 */
export async function joinRedis(
  config: Config,
  directory: DataDirectory,
  { logger, stop }: JoinOptions,
): Promise<boolean> {
  const target = redisTarget(config)
  let last: Error | undefined
  const redis = connectRedis(target, { role: 'worker', name: 'layerd-start' })
  redis.on('error', (error: Error) => {
    last = error
  })
  const keys = createKeys(config.redisPrefix)
  const over = new AbortController()
  const { signal } = over
  try {
    const read = async () => {
      // ioredis goes on in database 0 when the URL's is refused, and says nothing.
      await redis.select(redis.options.db ?? 0)
      await redis.setnx(keys.nodeId, directory.id)
      await redis.setnx(keys.schema, SCHEMA_VERSION)
      return redis.mget(keys.nodeId, keys.schema)
    }
    const answer = read().catch((error: unknown) => Promise.reject(refused(target, error)))
    const patience = delay(PATIENCE_MS, 'silent' as const, { signal })
    const stopped = stop.then(() => 'stopped' as const)
    tellWaiting(() => logger.info({ redis: addressOf(target), reason: last?.message }, 'waiting for Redis'), signal)
    const found = await Promise.race([answer, patience, stopped])
    if (found === 'stopped') return false
    if (found === 'silent') throw silent(target, last)
    compare(found, directory)
    return true
  } finally {
    over.abort()
    redis.disconnect()
  }
}

function tellWaiting(tell: () => void, signal: AbortSignal): void {
  const first = setTimeout(tell, TOLD_AFTER_MS)
  const again = setInterval(tell, TOLD_EVERY_MS)
  signal.addEventListener('abort', () => {
    clearTimeout(first)
    clearInterval(again)
  })
}

function compare([id, schema]: Array<string | null>, directory: DataDirectory): void {
  if (id !== directory.id) {
    throw new AppError(
      'CONFIG_INVALID',
      `Redis belongs to the layerd with id ${id}, and ${directory.path} to the one with id ${directory.id}`,
      {
        hint: 'All processes of one layerd share both: check LAYERD_REDIS_URL, LAYERD_REDIS_PREFIX and LAYERD_DATA_DIR.',
      },
    )
  }
  if (Number(schema) <= SCHEMA_VERSION) return
  throw new AppError('CONFIG_INVALID', `Redis holds schema ${schema}, and this layerd knows up to ${SCHEMA_VERSION}`, {
    hint: 'A newer layerd has worked on it: start that version, or a later one.',
  })
}

/** Redis is there and wants something else of its URL: a password, a user who may more, a database that exists. */
function refused(target: RedisTarget, error: unknown): unknown {
  if (!(error instanceof ReplyError) || isNotServing(error)) return error
  const said = (error as Error).message.slice(0, 200)
  return new AppError('CONFIG_INVALID', `LAYERD_REDIS_URL: Redis at ${addressOf(target)} answers "${said}"`, {
    hint: 'Check user, password and database of the URL: redis://user:password@host:port/0.',
    cause: error,
  })
}

function silent(target: RedisTarget, last: Error | undefined): AppError {
  const where = addressOf(target)
  return new AppError('QUEUE_UNAVAILABLE', `Redis at ${where} does not answer: ${last?.message ?? 'no connection'}`, {
    hint:
      'url' in target
        ? 'Start it, or check LAYERD_REDIS_URL.'
        : 'Start layerd, whose private Redis listens there, or set LAYERD_REDIS_URL.',
    cause: last,
  })
}
