import type { Logger } from '../../lib/logger.ts'
import type { RegistryRecord } from '../model/registry-record.ts'
import { COMMON_WAY } from '../model/registry-way.ts'
import { type Replaced, replaceKept } from '../redis/kept-hash.ts'
import { createKeys } from '../redis/keys.ts'
import { type ConnectionRole, connectRedis, guarded, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'

export interface Kept extends RegistryRecord {
  readonly sealed: string | null
  /** kept-way.ts */
  readonly sealedWay: string | null
  /** As it lies in Redis. */
  readonly text: string
}

/** All that is kept of registries, as it was when last looked at. */
export interface KeptRegistries {
  /** Throws QUEUE_UNAVAILABLE. */
  refresh(): Promise<void>
  known(host: string): Kept | undefined
  /** Whether there is anything of the registry, or of a path of it. */
  keeps(registry: string): boolean
  /** By host. */
  all(): Kept[]
  /** Writes (undefined: removes) where what lies in Redis still is `before`. Throws QUEUE_UNAVAILABLE. */
  replace(host: string, before: Kept | undefined, next: Kept | undefined): Promise<Replaced>
  close(): void
}

export interface KeptRegistriesOptions {
  redis: RedisTarget
  role: ConnectionRole
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  logger?: Logger
}

/** Who looks whether anything has changed reads all of them where it has. */
export const MAX_REGISTRIES = 500

export function createKeptRegistries(options: KeptRegistriesOptions): KeptRegistries {
  const { role, logger } = options
  const redis = connectRedis(options.redis, { role, name: 'layerd-registries', ...(logger ? { logger } : {}) })
  const scripts = createScripts(redis)
  const { registries: key, prefix } = createKeys(options.prefix)
  let version: string | null = null
  let kept: ReadonlyMap<string, Kept> = new Map()
  let registries: ReadonlySet<string> = new Set()
  const refresh = () =>
    guarded(async () => {
      const found = await redis.hget(key, '')
      if (found === version) return
      const { '': newest = null, ...fields } = await redis.hgetall(key)
      version = newest
      kept = new Map(Object.entries(fields).map(([host, text]) => [host, parsed(text)]))
      registries = new Set(Object.keys(fields).map((host) => host.split('/', 1)[0] ?? ''))
    })
  return {
    refresh,
    known: (host) => kept.get(host),
    keeps: (registry) => registries.has(registry),
    all: () => [...kept.values()].toSorted((a, b) => (a.host < b.host ? -1 : 1)),
    async replace(host, before, next) {
      const more = [prefix, next?.limits?.jobs ?? '']
      const further = { script: 'system/replace-registry', more } as const
      const done = await replaceKept(scripts, { key, most: MAX_REGISTRIES }, { name: host, before, next }, further)
      await refresh()
      return done
    },
    close: () => redis.disconnect(),
  }
}

/** Those of an earlier version have no way, and no limit of jobs. */
type Stored = Omit<Kept, 'text' | 'way' | 'sealedWay'> & Partial<Pick<Kept, 'way' | 'sealedWay'>>

/** `text`: as it lies in Redis. */
export function parsed(text: string): Kept {
  const { way = COMMON_WAY, sealedWay = null, limits = null, ...rest } = JSON.parse(text) as Stored
  return { ...rest, limits: limits && { ...limits, jobs: limits.jobs ?? null }, way, sealedWay, text }
}
