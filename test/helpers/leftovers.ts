import assert from 'node:assert/strict'
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { DockerRegistry } from './docker-registry.ts'
import type { MemoryRegistry } from './memory-registry.ts'
import { waitFor } from './wait-for.ts'

/** Where something may be left once every job has ended. All parts may be left out. */
export interface Places {
  /** Behind the queue's back. */
  redis?: Redis
  registry?: Pick<MemoryRegistry, 'openSessions'> | Pick<DockerRegistry, 'storage'>
  /** A content store's folder. */
  store?: string
  /** Processes that go on, each with what its descriptors were before (openDescriptors). */
  descriptors?: ReadonlyArray<{ pid: number; before: readonly string[] }>
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

export async function leftovers({ redis, registry, store, descriptors = [] }: Places): Promise<string[]> {
  const found = await Promise.all([
    redis ? redisLeftovers(redis) : [],
    registry ? uploadSessions(registry) : [],
    store === undefined ? [] : storeLeftovers(store),
    ...descriptors.map(async ({ pid, before }) => newDescriptors(before, await openDescriptors(pid))),
  ])
  return found.flat()
}

/** What stays of ended jobs for those who ask (until it expires), and what belongs to no job. */
const KEPT = [
  /:(?:node:id|schema|workers|jobs|jobs:done|jobs:(?:host|state):[^{}]*|idem:[^:]*)$/,
  /:places:/,
  /:job:[^:]+$/,
  /:job:[^:]+:(?:events|transfers|transfers:order)$/,
  /:bull:[^:]+:(?:meta|id|events|marker|stalled-check)$/,
]
const OPEN_STATES = /:jobs:state:(?:queued|scheduled|running|retrying|canceling)$/

async function redisLeftovers(redis: Redis): Promise<string[]> {
  const left: string[] = []
  for (const key of (await redis.keys('*')).toSorted()) {
    if (OPEN_STATES.test(key)) left.push(`${key} (a job that has not ended)`)
    else if (/:job:[^:]+:uploads$/.test(key)) left.push(`${key}: ${(await redis.smembers(key)).join(' ')}`)
    // For an hour it is remembered that a blob came: runs that had asked before look again.
    else if (/:claim:/.test(key)) left.push(...((await redis.hexists(key, 'token')) === 1 ? [key] : []))
    else if (!KEPT.some((kept) => kept.test(key))) left.push(key)
  }
  return left
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

const STORE_FILES = new Set(['oci-layout', 'index.json', 'blobs', 'packages', 'ingest', 'leases', 'users'])

/**
 * What a process's descriptors stand for, from /proc, pipes by their kind alone. No sockets: connections are kept alive
 * between jobs; openSockets counts them.
 */
export async function openDescriptors(pid: number | 'self'): Promise<string[]> {
  return (await descriptorTargets(pid)).filter((target) => target !== 'socket')
}

/** To be compared with what it was after another job of the same kind. */
export async function openSockets(pid: number): Promise<number> {
  return (await descriptorTargets(pid)).filter((target) => target === 'socket').length
}

async function descriptorTargets(pid: number | 'self'): Promise<string[]> {
  const folder = `/proc/${pid}/fd`
  const links = (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => undefined))
  const targets = (await Promise.all(links)).filter((target) => target !== undefined && !target.startsWith('/proc/'))
  return targets.map((target) => String(target).replace(/:\[\d+\]$/, '')).toSorted()
}

function newDescriptors(before: readonly string[], now: readonly string[]): string[] {
  const known = [...before]
  return now.flatMap((target) => {
    const at = known.indexOf(target)
    if (at === -1) return [`an open descriptor: ${target}`]
    known.splice(at, 1)
    return []
  })
}
