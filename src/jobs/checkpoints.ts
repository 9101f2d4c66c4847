import type { SavedUpload, UploadKey, UploadSessionStore } from '../content/checkpoint.ts'
import { type Logger, silentLogger } from '../lib/logger.ts'
import { createVault } from './credentials.ts'
import { createKeys } from './keys.ts'
import { connectRedis, type RedisTarget } from './redis.ts'
import { createScripts } from './scripts.ts'

/** Upload sessions in Redis, shared by all workers. */
export interface UploadCheckpoints {
  /**
   * The store as one run sees it. It reads what any run left; writes of a run that a later run of the same job has
   * replaced change nothing, so a worker that wakes up late cannot undo its successor's progress.
   */
  forRun(jobId: string, epoch: number): UploadSessionStore
  close(): Promise<void>
}

export interface UploadCheckpointOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** 32 bytes; all processes of one layerd share it. */
  secretKey: Uint8Array
  logger?: Logger
}

/** No registry is known to keep a session longer. Source: distribution's default upload purge age, 168 h. */
const TTL_SECONDS = 168 * 3600

/** Opens a connection of its own, which waits for Redis. Locations are sealed: they may let their holder write. */
export function createUploadCheckpoints(options: UploadCheckpointOptions): UploadCheckpoints {
  const { logger = silentLogger } = options
  const onError = (error: Error) => logger.warn({ err: error }, 'connection to Redis failed')
  const redis = connectRedis(options.redis, { role: 'worker', name: 'layerd-checkpoints', onError })
  const keys = createKeys(options.prefix)
  const vault = createVault(options.secretKey)
  const scripts = createScripts(redis)
  const keyOf = (key: UploadKey) => keys.upload(key.registry, key.repository, key.digest)

  return {
    forRun: (jobId, epoch) => ({
      async load(key) {
        const sealed = await redis.hget(keyOf(key), 'upload')
        if (sealed === null) return undefined
        try {
          return vault.open(keyOf(key), sealed) as SavedUpload
        } catch (error) {
          logger.warn({ err: error, digest: key.digest }, 'a saved upload session cannot be read; the blob starts anew')
          return undefined
        }
      },
      async save(key, upload) {
        const sealed = vault.seal(keyOf(key), upload)
        await scripts.other('save-upload', keyOf(key), [jobId, epoch, sealed, TTL_SECONDS, keys.uploads(jobId)])
      },
      async clear(key) {
        await scripts.other('save-upload', keyOf(key), [jobId, epoch, '', 0, keys.uploads(jobId)])
      },
    }),
    async close() {
      redis.disconnect()
    },
  }
}
