import { AppError } from '../../lib/errors.ts'
import { createKeys } from './keys.ts'
import { connectRedis, guarded, type RedisTarget } from './redis.ts'

/** What the keys in Redis mean. Goes up when an older layerd would misread them. */
const SCHEMA_VERSION = 1

export interface NodeIdentityOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** The id that the data directory carries. */
  dataDirectoryId: string
}

/**
 * Called once at the start, when Redis answers: Redis gets the data directory's id if it has none. Throws CONFIG_INVALID
 * when Redis belongs to another data directory or was written by a newer layerd, QUEUE_UNAVAILABLE without Redis.
 */
export async function claimNode({ redis: target, prefix, dataDirectoryId }: NodeIdentityOptions): Promise<void> {
  const keys = createKeys(prefix)
  const redis = connectRedis(target, { role: 'starting', name: 'layerd-start' })
  try {
    await guarded(async () => {
      await redis.setnx(keys.schema, SCHEMA_VERSION)
      const schema = Number(await redis.get(keys.schema))
      if (!(schema <= SCHEMA_VERSION)) throw newerSchema(schema)
      await redis.setnx(keys.nodeId, dataDirectoryId)
      const known = await redis.get(keys.nodeId)
      if (known !== dataDirectoryId) throw otherNode(known, dataDirectoryId)
    })
  } finally {
    redis.disconnect()
  }
}

function newerSchema(schema: number): AppError {
  return new AppError(
    'CONFIG_INVALID',
    `Redis was written by a newer layerd (schema ${schema}, not ${SCHEMA_VERSION})`,
    {
      hint: 'Start the newer layerd, or choose another LAYERD_REDIS_PREFIX.',
      details: { found: schema, expected: SCHEMA_VERSION },
    },
  )
}

function otherNode(found: string | null, expected: string): AppError {
  return new AppError('CONFIG_INVALID', `Redis belongs to data directory ${found}, and this one is ${expected}`, {
    hint: 'All processes of one layerd share Redis and LAYERD_DATA_DIR; give another layerd another LAYERD_REDIS_PREFIX.',
    details: { found, expected },
  })
}
