import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { PolicyRecord, PolicyRule } from '../model/policy.ts'
import { changedMeanwhile, keptHash, requireDone } from '../redis/kept-hash.ts'
import { createKeys } from '../redis/keys.ts'
import { type ConnectionRole, connectRedis, type RedisTarget } from '../redis/redis.ts'

/**
 * Rules of the policy that are kept under a name, for all workers. Calls throw QUEUE_UNAVAILABLE while Redis is gone, but on a
 * worker's connection, where they wait.
 */
export interface PolicyRecords {
  /** By name, which is the order in which they count. */
  list(): Promise<readonly PolicyRecord[]>
  get(name: string): Promise<PolicyRecord | undefined>
  /** Writes it where `seen` (undefined: none) still is what is kept, else throws PRECONDITION_FAILED. */
  put(name: string, rule: PolicyRule, seen: PolicyRecord | undefined): Promise<PolicyRecord>
  /** Throws PRECONDITION_FAILED. */
  remove(name: string, seen: PolicyRecord): Promise<void>
  close(): void
}

export interface PolicyRecordsOptions {
  redis: RedisTarget
  role: ConnectionRole
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
  clock?: Clock
}

const MAX_POLICIES = 200

type Kept = PolicyRecord & {
  /** As it lies in Redis. */
  readonly text: string
}

/** Opens a connection of its own. */
export function createPolicyRecords({ clock = systemClock, ...options }: PolicyRecordsOptions): PolicyRecords {
  const { role, logger } = options
  const redis = connectRedis(options.redis, { role, name: 'layerd-policies', ...(logger ? { logger } : {}) })
  const table = keptHash(redis, { key: createKeys(options.prefix).policies, most: MAX_POLICIES, parse: parsed })
  const replace = async (name: string, seen: PolicyRecord | undefined, next: Kept | undefined) => {
    const before = await table.get(name)
    if (before?.revision !== seen?.revision) throw changedMeanwhile(toldOf(name))
    requireDone(await table.replace(name, before, next), { what: toldOf(name), most: `${MAX_POLICIES} policies` })
  }
  return {
    list: async () => (await table.all()).map(told),
    async get(name) {
      const one = await table.get(name)
      return one && told(one)
    },
    async put(name, { match, verify, kinds }, seen) {
      const updatedAt = new Date(clock.now()).toISOString()
      const rule = { match, verify, ...(kinds ? { kinds } : {}) }
      const next = parsed(JSON.stringify({ ...rule, name, updatedAt, revision: randomUUID() }))
      await replace(name, seen, next)
      return told(next)
    },
    remove: (name, seen) => replace(name, seen, undefined),
    close: () => redis.disconnect(),
  }
}

function parsed(text: string): Kept {
  return { ...(JSON.parse(text) as PolicyRecord), text }
}

function told({ text: _text, ...record }: Kept): PolicyRecord {
  return record
}

function toldOf(name: string): string {
  return `the policy ${name}`
}
