import type { Redis } from 'ioredis'
import type { BlobPlaces } from '../../content/blob-places.ts'
import type { Digest } from '../../content/digest.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createHints } from './hints.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'

/** Where blobs are, as all jobs of all processes have seen it. */
export interface JobBlobPlaces extends BlobPlaces {
  close(): Promise<void>
}

export interface BlobPlacesOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** Blobs remembered of each registry. Default 20,000, about 6 MB of Redis. */
  maxBlobs?: number
  clock?: Clock
  logger?: Logger
}

const DEFAULT_MAX_BLOBS = 20_000
/** Kept of one blob. */
const MAX_REPOSITORIES_OF_BLOB = 3
/** Kept of one registry. */
const MAX_REPOSITORIES = 200
/** Since the last job that taught something about the registry. */
const KEPT_SECONDS = 30 * 86_400
/** Digests in one call: a script holds Redis up for all others. */
const BATCH = 500

/** Opens a connection of its own. Its calls wait for no Redis that is gone: a publish does without. */
export function createBlobPlaces(options: BlobPlacesOptions): JobBlobPlaces {
  const { maxBlobs = DEFAULT_MAX_BLOBS, clock = systemClock, logger = silentLogger } = options
  const redis = connectRedis(options.redis, { role: 'starting', name: 'layerd-places', logger })
  const keys = createKeys(options.prefix)
  const scripts = createScripts(redis)

  /** What Redis can't tell is not known. */
  const hint = createHints(logger, 'where blobs are is not known')
  return {
    find: (registry, digests) => hint(() => find(redis, keys.blobPlaces(registry), digests), new Map()),
    repositories: (registry) => hint(() => redis.zrevrange(keys.usedRepositories(registry), 0, -1), []),
    async learn({ registry, repository }, digests) {
      const limits = [KEPT_SECONDS, maxBlobs, `${MAX_REPOSITORIES_OF_BLOB}/${MAX_REPOSITORIES}`]
      const common = [keys.blobPlacesByTime(registry), keys.usedRepositories(registry), repository]
      // A repository without a blob worth knowing is one that was used all the same.
      for (const batch of digests.length === 0 ? [[]] : batches(digests)) {
        const args = [...common, clock.now(), ...limits, ...batch]
        await hint(() => scripts.other('learn-places', keys.blobPlaces(registry), args), 0)
      }
    },
    async forget({ registry, repository }, digest) {
      const args = [keys.blobPlacesByTime(registry), repository, digest]
      await hint(() => scripts.other('forget-place', keys.blobPlaces(registry), args), 0)
    },
    async close() {
      redis.disconnect()
    },
  }
}

async function find(redis: Redis, key: string, digests: readonly Digest[]): Promise<Map<Digest, readonly string[]>> {
  const found = new Map<Digest, readonly string[]>()
  for (const batch of batches(digests)) {
    const answers = await redis.hmget(key, ...batch)
    batch.forEach((digest, at) => {
      const names = answers[at]?.split(' ')
      if (names) found.set(digest, names)
    })
  }
  return found
}

function* batches(digests: readonly Digest[]): Generator<readonly Digest[]> {
  for (let at = 0; at < digests.length; at += BATCH) yield digests.slice(at, at + BATCH)
}
