import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import { createHints } from './hints.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, type RedisTarget } from '../redis/redis.ts'

/** What one process learnt of a package file, for all of this machine; by the file's identity (OpenedFile). */
export interface KnownPackages {
  recall(identity: string): Promise<Buffer | undefined>
  remember(identity: string, packed: Buffer): Promise<void>
  close(): Promise<void>
}

export interface KnownPackagesOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

const KEPT_SECONDS = 7 * 86_400
/** A package of 14,000 files has about as much; what is larger is read once more. */
const MAX_BYTES = 2 * 2 ** 20

/** Opens a connection of its own. Its calls wait for no Redis that is gone: a package is read for itself then. */
export function createKnownPackages({
  redis: target,
  prefix,
  logger = silentLogger,
}: KnownPackagesOptions): KnownPackages {
  const redis = connectRedis(target, { role: 'starting', name: 'layerd-known', logger })
  const keys = createKeys(prefix)
  const hint = createHints(logger, 'what was learnt of a package is not shared now')
  // Devices and inodes are a machine's own.
  const keyOf = (identity: string) =>
    keys.knownPackage(createHash('sha256').update(`${hostname()} ${identity}`).digest('hex'))
  return {
    recall: (identity) => hint(async () => (await redis.getBuffer(keyOf(identity))) ?? undefined, undefined),
    async remember(identity, packed) {
      if (packed.length > MAX_BYTES) return
      await hint(async () => redis.set(keyOf(identity), packed, 'EX', KEPT_SECONDS), null)
    },
    async close() {
      redis.disconnect()
    },
  }
}
