import type { Redis } from 'ioredis'
import type { Keys } from '../jobs/keys.ts'
import { AppError } from '../lib/errors.ts'
import type { DataDirectory } from './data-directory.ts'

/** Of the layout of Redis keys and of the data directory. */
const SCHEMA_VERSION = 1

/**
 * Makes sure that Redis and the data directory belong together, and that no newer layerd has changed the layout. The
 * first process writes both. Throws CONFIG_INVALID and says which two ids differ.
 */
export async function checkSharedId(redis: Redis, keys: Keys, directory: DataDirectory): Promise<void> {
  await redis.setnx(keys.nodeId, directory.id)
  await redis.setnx(keys.schema, SCHEMA_VERSION)
  const [id, schema] = await redis.mget(keys.nodeId, keys.schema)
  if (id !== directory.id) {
    throw new AppError(
      'CONFIG_INVALID',
      `Redis belongs to the layerd with id ${id}, and ${directory.path} to the one with id ${directory.id}`,
      {
        hint: 'All processes of one layerd share both: check LAYERD_REDIS_URL, LAYERD_REDIS_PREFIX and LAYERD_DATA_DIR.',
      },
    )
  }
  if (Number(schema) > SCHEMA_VERSION) {
    throw new AppError(
      'CONFIG_INVALID',
      `Redis holds schema ${schema}, and this layerd knows up to ${SCHEMA_VERSION}`,
      {
        hint: 'A newer layerd has worked on it: start that version, or a later one.',
      },
    )
  }
}
