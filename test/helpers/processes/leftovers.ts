import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { redisSocketPath } from '../../../src/daemon/redis-socket.ts'
import type { DockerRegistry } from '../registries/docker-registry.ts'
import { apiOf, workersOf } from './layerd.ts'
import type { MemoryRegistry } from '../registries/memory-registry.ts'
import { connectionsTo, newDescriptors, openDescriptors, openFiles } from './process-leftovers.ts'
import { waitFor } from '../wait-for.ts'

/** Where something may be left once every job has ended. All parts may be left out. */
export interface Places {
  /** Behind the queue's back. */
  redis?: Redis | undefined
  registry?: Pick<MemoryRegistry, 'openSessions'> | Pick<DockerRegistry, 'storage'> | undefined
  /** A content store's folder. */
  store?: string
  /** Processes that go on, each with what its descriptors were before (openDescriptors). */
  descriptors?: ReadonlyArray<{ pid: number; before: readonly string[] }>
  /** Processes that have nothing to do any more: no file is open, and with `farEnds` no connection to them. */
  resting?: readonly number[]
  /** A daemon: it and its workers have nothing to do any more, and with `redis` no connection to that too many. */
  daemon?: { pid: number }
  /** `127.0.0.1:PORT` of what they spoke to. */
  farEnds?: readonly string[]
}

/** Waits until nothing is left over: some of it goes a moment after the job's end. Fails with the list of what is. */
export async function assertNothingLeft(places: Places): Promise<void> {
  let left: string[] = []
  try {
    await waitFor('nothing to be left over', async () => (left = await leftovers(places)).length === 0)
  } catch (error) {
    throw new Error(`left over:\n  ${left.join('\n  ')}`, { cause: error })
  }
}

/** The same of a daemon with its workers, its own Redis and its store. */
export async function assertDaemonTidy(
  daemon: { pid: number },
  { dataDir, ...places }: Pick<Places, 'registry' | 'farEnds'> & { dataDir: string },
): Promise<void> {
  const redis = new Redis({ path: redisSocketPath(dataDir) })
  try {
    await assertNothingLeft({ ...places, daemon, redis, store: join(dataDir, 'store') })
  } finally {
    redis.disconnect()
  }
}

export async function leftovers(places: Places): Promise<string[]> {
  const { redis, registry, store, descriptors = [], resting = [], daemon, farEnds = [] } = places
  const workers = daemon ? workersOf(daemon.pid).map(({ pid }) => pid) : []
  const idle = [...resting, ...(daemon ? [daemon.pid, apiOf(daemon.pid).pid] : []), ...workers]
  const found = await Promise.all([
    redis ? redisLeftovers(redis) : [],
    registry ? uploadSessions(registry) : [],
    store === undefined ? [] : storeLeftovers(store),
    ...descriptors.map(async ({ pid, before }) => newDescriptors(before, await openDescriptors(pid))),
    ...idle.map(async (pid) => (await openFiles(pid)).map((file) => `process ${pid} has ${file} open`)),
    ...idle.map(async (pid) => (await connectionsTo(pid, farEnds)).map((to) => `process ${pid} is connected to ${to}`)),
    redis && daemon ? redisConnections(redis, workers.length) : [],
  ])
  return found.flat()
}

/** What stays of ended jobs for those who ask (until it expires), and what belongs to no job. */
const KEPT = [
  /:(?:node:id|schema|audit(?::refused)?|workers(?::(?:known|places|total|of:[^{}]*))?|hosts:counted|queues:known|queues:jobs(?::said|:settled)?|fleet|jobs|jobs:done|jobs:owned|jobs:(?:host|state|of|done-of):[^{}]*|idem:[^:]*)$/,
  /:(?:places|facts|known|limits|stats):/,
  /:queue:[^{}]*:ended$/,
  /:job:[^:]+$/,
  /:job:[^:]+:(?:events|log|trace|runs|deletions|transfers|transfers:order)$/,
  /:bull:[^:]+:(?:meta|id|events|marker|stalled-check)$/,
]
const OPEN_STATES = /:jobs:state:(?:queued|scheduled|running|retrying|canceling)$/

async function redisLeftovers(redis: Redis): Promise<string[]> {
  const left: string[] = []
  for (const key of (await redis.keys('*')).toSorted()) {
    if (OPEN_STATES.test(key)) left.push(`${key} (a job that has not ended)`)
    else if (/:job:[^:]+:uploads$/.test(key)) left.push(`${key}: ${(await redis.smembers(key)).join(' ')}`)
    else if (/:claim:/.test(key)) left.push(...((await isFreeClaim(redis, key)) ? [] : [key]))
    else if (/:bull:[^:]+:[^:]+:lock$/.test(key)) left.push(...((await isLockOfNothing(redis, key)) ? [] : [key]))
    else if (!KEPT.some((kept) => kept.test(key))) left.push(key)
  }
  return left
}

/**
 * For an hour it is remembered that a blob came: runs that had asked before look again. One of a killed run holds nobody
 * up once its job has ended, and ends by itself.
 */
async function isFreeClaim(redis: Redis, key: string): Promise<boolean> {
  const [token, job] = await redis.hmget(key, 'token', 'job')
  if (token === null) return true
  const record = key.replace(/:claim:.*$/, `:job:${job}`)
  return (await redis.pttl(key)) > 0 && (await redis.hget(record, 'endedAt')) !== 'null'
}

/** A lock whose job's end was told twice outlives it, and ends by itself. */
async function isLockOfNothing(redis: Redis, key: string): Promise<boolean> {
  return (await redis.pttl(key)) > 0 && (await redis.exists(key.replace(/:lock$/, ''))) === 0
}

/** Each process opens one connection of each name, and a consumer one that is named after its host and its worker. */
async function redisConnections(redis: Redis, workers: number): Promise<string[]> {
  const names = String(await redis.client('LIST')).matchAll(/ name=(layerd-\S+|\S+:w:\S+) /g)
  const counts = new Map<string, number>()
  for (const [, name = ''] of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const many = [...counts].filter(([name, count]) => count > (name.startsWith('layerd-') ? workers + 1 : 1))
  return many.map(([name, count]) => `${count} connections to Redis named ${name}`)
}

async function uploadSessions(registry: NonNullable<Places['registry']>): Promise<string[]> {
  if ('openSessions' in registry) {
    return registry.openSessions === 0 ? [] : [`${registry.openSessions} open upload sessions`]
  }
  const entries = await readdir(registry.storage, { recursive: true, withFileTypes: true })
  const sessions = entries.filter((entry) => entry.isDirectory() && entry.parentPath.endsWith('/_uploads'))
  return sessions.map((entry) => `upload session ${join(entry.parentPath, entry.name)}`)
}

/** Partial blobs, leases and locks. */
async function storeLeftovers(store: string): Promise<string[]> {
  const folders = await Promise.all(
    ['ingest', 'leases'].map(async (name) => (await readdir(join(store, name))).map((file) => `${name}/${file}`)),
  )
  const top = (await readdir(store)).filter((name) => !STORE_FILES.has(name))
  return [...folders.flat(), ...top].map((name) => `store: ${name}`)
}

/** Also no record that was being written. */
export async function assertNoStoreLeftovers(store: string, message: string): Promise<void> {
  const records = (await readdir(join(store, 'packages'))).filter((name) => !name.endsWith('.json'))
  assert.deepEqual([...(await storeLeftovers(store)), ...records], [], message)
}

const STORE_FILES = new Set(['oci-layout', 'index.json', 'blobs', 'origins', 'packages', 'ingest', 'leases', 'users'])
