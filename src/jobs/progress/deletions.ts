import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'

/** What runs of a job were about to delete, as JSON each, for its later runs: once a tag is gone, nothing else leads to its manifests. */
export interface JobDeletions {
  load(jobId: string): Promise<readonly string[]>
  /** Adds to what is kept. Rejects where it is not. */
  save(jobId: string, items: readonly string[]): Promise<void>
  close(): Promise<void>
}

export interface JobDeletionsOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

/** As long as somebody may retry the job; it goes with the job. */
const KEPT_SECONDS = 30 * 86_400

/** Opens a connection of its own, whose calls wait for a Redis that is gone. */
export function createJobDeletions({
  redis: target,
  prefix,
  logger = silentLogger,
}: JobDeletionsOptions): JobDeletions {
  const redis = connectRedis(target, { role: 'worker', name: 'layerd-deletions', logger })
  const keys = createKeys(prefix)
  return {
    load: (jobId) => redis.smembers(keys.deletions(jobId)),
    async save(jobId, items) {
      if (items.length === 0) return
      const key = keys.deletions(jobId)
      await redis.sadd(key, ...items)
      await redis.expire(key, KEPT_SECONDS)
    },
    async close() {
      redis.disconnect()
    },
  }
}
