import { type Redis, ReplyError } from 'ioredis'

/** What Redis tells of itself; null: it does not say, or does not let this user ask. */
export interface RedisFacts {
  readonly version: string | null
  readonly role: 'primary' | 'replica' | null
  /** That are connected to it. */
  readonly replicas: number | null
  readonly usedBytes: number | null
  /** maxmemory; null where there is none, too. */
  readonly limitBytes: number | null
  /** maxmemory-policy: what it drops when that is reached. */
  readonly evictionPolicy: string | null
  /** Whether it writes each change to its append-only file. */
  readonly appendOnly: boolean | null
  /** appendfsync: when that is on the disk. */
  readonly appendFsync: string | null
  /** Whether it writes all that it holds now and then (save). */
  readonly snapshots: boolean | null
  /** Whether the last write of either failed. */
  readonly writesFail: boolean | null
}

/** Of one that cannot be asked. */
export const NO_REDIS_FACTS: RedisFacts = {
  version: null,
  role: null,
  replicas: null,
  usedBytes: null,
  limitBytes: null,
  evictionPolicy: null,
  appendOnly: null,
  appendFsync: null,
  snapshots: null,
  writesFail: null,
}

/** Three commands. Source: Redis 8, INFO and CONFIG GET, of which hosted ones refuse the latter. */
export async function readRedisFacts(redis: Redis): Promise<RedisFacts> {
  const [info, fsync, save] = await Promise.all([
    unlessRefused(redis.info()),
    setting(redis, 'appendfsync'),
    setting(redis, 'save'),
  ])
  const told = { ...NO_REDIS_FACTS, appendFsync: fsync ?? null, snapshots: save === undefined ? null : save !== '' }
  return info === undefined ? told : { ...told, ...factsIn(info) }
}

async function setting(redis: Redis, name: string): Promise<string | undefined> {
  const found = await unlessRefused(redis.config('GET', name))
  return found?.[1]
}

/** Undefined where this user may not ask. */
async function unlessRefused<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof ReplyError && /^(?:NOPERM|ERR)\b/.test((error as Error).message)) return undefined
    throw error
  }
}

/** Of INFO's sections the lines that matter. */
function factsIn(info: string): Omit<RedisFacts, 'appendFsync' | 'snapshots'> {
  const lines = new Map(info.split('\r\n').map((line) => splitAt(line, line.indexOf(':'))))
  const text = (name: string) => lines.get(name) || null
  const count = (name: string) => {
    const found = lines.get(name) ?? ''
    return /^\d{1,15}$/.test(found) ? Number(found) : null
  }
  const appendOnly = count('aof_enabled')
  const writes = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].map(text)
  return {
    version: text('redis_version'),
    role: roleOf(text('role')),
    replicas: count('connected_slaves'),
    usedBytes: count('used_memory'),
    limitBytes: count('maxmemory') || null,
    evictionPolicy: text('maxmemory_policy'),
    appendOnly: appendOnly === null ? null : appendOnly === 1,
    writesFail: writes.every((status) => status === null) ? null : writes.includes('err'),
  }
}

function splitAt(line: string, at: number): [string, string] {
  return [line.slice(0, Math.max(0, at)), line.slice(at + 1)]
}

function roleOf(role: string | null): RedisFacts['role'] {
  if (role === 'master') return 'primary'
  return role === 'slave' ? 'replica' : null
}
