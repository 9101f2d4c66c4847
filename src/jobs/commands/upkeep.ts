import type { Redis } from 'ioredis'
import type { Clock } from '../../lib/clock.ts'
import { JOB_STATES, type JobState, TERMINAL_STATES } from '../model/definitions.ts'
import { type Dispatch, type Dispatcher, outboxMember, parseOutboxMember } from '../dispatch/dispatch.ts'
import type { Keys } from '../redis/keys.ts'
import type { JobStore } from './job-store.ts'
import type { Scripts } from '../redis/scripts.ts'
import { next } from '../model/state.ts'
import { WORKER_SILENCE_MS, workerLives } from '../system/worker-records.ts'

/**
 * What the workers do now and then so that nothing is lost and nothing piles up. Each may run in several processes at
 * once: adding a dispatch twice and removing a job twice do nothing.
 */
export interface UpkeepContext {
  redis: Redis
  keys: Keys
  clock: Clock
  dispatcher: Dispatcher
  scripts: Scripts
}

/** Entries younger than this are still in the hands of the API call that made them. */
const OUTBOX_GRACE_MS = 3000
/** A job that changed within this time may be on its way between record and BullMQ. */
const ORPHAN_GRACE_MS = 60_000
const RECORD_TTL_MS = 30 * 86_400_000
const RECORDS_KEPT = 10_000
/** Entries looked at in one go; the next turn takes the rest. */
const BATCH = 100

const OPEN_STATES = JOB_STATES.filter((state) => !TERMINAL_STATES.has(state))
/** Any process may ask for a recount; one in this time is made. */
const RECOUNT_MS = 300_000

/**
 * Sets right how many open jobs each host and principal has, and which are in each queue: what a fail-over lost of that would count
 * for ever.
 */
export function recountOpen({ keys, scripts }: Pick<UpkeepContext, 'keys' | 'scripts'>): Promise<number> {
  return scripts.other('recount-open', keys.hosts, [keys.prefix, RECOUNT_MS, ...OPEN_STATES])
}

/** Worker after worker sets right what BullMQ goes by; one in this time does. */
const SETTLE_MS = 4000

/** As JobRuns has it. */
export function settleQueues({ keys, scripts, registryJobs }: JobStore, workerName: string): Promise<number> {
  const args = [keys.prefix, workerName, registryJobs, WORKER_SILENCE_MS, SETTLE_MS]
  return scripts.other('system/settle-queues', keys.hosts, args)
}

/** Brings to BullMQ what an API accepted and could not hand over, oldest first. */
export async function sweepOutbox({ redis, keys, clock, dispatcher }: UpkeepContext): Promise<number> {
  const until = clock.now() - OUTBOX_GRACE_MS
  const members = await redis.zrangebyscore(keys.outbox, '-inf', until, 'LIMIT', 0, BATCH)
  let delivered = 0
  for (const member of members) {
    const dispatch = parseOutboxMember(member)
    const [state, round, host] = await redis.hmget(keys.job(dispatch.id), 'state', 'round', 'host')
    if (host && Number(round) === dispatch.round && next(state as JobState, { type: 'begin' })) {
      await dispatcher.add(host, dispatch)
      delivered += 1
    }
    await redis.zrem(keys.outbox, member)
  }
  return delivered
}

/**
 * Puts into the outbox what has not ended and what BullMQ does not know: a fail-over to a replica that missed the add, or a
 * worker whose processor broke without ending its run. A `running` job counts only when its worker is off the list.
 */
export async function requeueOrphans(context: UpkeepContext): Promise<number> {
  const { redis, keys, clock } = context
  let found = 0
  for await (const id of openJobs(redis, keys)) {
    const orphan = await findOrphan(context, id)
    if (orphan === undefined) continue
    await redis.zadd(keys.outbox, String(clock.now() - OUTBOX_GRACE_MS), outboxMember(orphan))
    found += 1
  }
  return found
}

async function* openJobs(redis: Redis, keys: Keys): AsyncGenerator<string> {
  for (const state of ['queued', 'retrying', 'running'] as const) {
    for await (const entries of redis.zscanStream(keys.jobsInState(state), { count: BATCH })) {
      yield* (entries as string[]).filter((_, at) => at % 2 === 0)
    }
  }
}

async function findOrphan(context: UpkeepContext, id: string): Promise<Dispatch | undefined> {
  const { redis, keys, clock, dispatcher } = context
  const names = ['state', 'round', 'host', 'changedAt', 'worker'] as const
  const [state, round, host, changedAt, worker] = await redis.hmget(keys.job(id), ...names)
  if (!state || !host || clock.now() - Number(changedAt) < ORPHAN_GRACE_MS) return undefined
  if (state === 'running' && worker && (await workerLives(context, worker))) return undefined
  const dispatch = { id, round: Number(round) }
  return (await dispatcher.has(host, dispatch)) ? undefined : dispatch
}

/** Removes ended jobs whose end is 30 days ago, and the oldest ended ones beyond the newest 10,000. */
export async function removeExpired({ redis, keys, clock, scripts }: UpkeepContext): Promise<number> {
  const now = clock.now()
  let removed = 0
  for (;;) {
    const old = await redis.zrangebyscore(keys.doneJobs, '-inf', now - RECORD_TTL_MS, 'LIMIT', 0, BATCH)
    const surplus = (await redis.zcard(keys.doneJobs)) - RECORDS_KEPT
    const oldest = surplus > 0 ? await redis.zrange(keys.doneJobs, '0', String(Math.min(surplus, BATCH) - 1)) : []
    const ids = new Set([...old, ...oldest])
    for (const id of ids) {
      await scripts.job('remove', { id, key: keys.job(id), prefix: keys.prefix, now }, [])
      await redis.zrem(keys.doneJobs, id)
      removed += 1
    }
    if (ids.size === 0) return removed
  }
}

/** Of the memory that Redis may use; below the part at which no job is taken any more (scripts/jobs/admission.lua). */
const SHED_ABOVE = 0.6

/**
 * Forgets events, layers' rows, logs and requests of ended jobs, oldest first, for as long as Redis uses more than 60 % of the memory
 * that it may: those of large packages take megabytes each, for a day and longer. Their records stay. Returns of how many.
 * Whom it went past it does not look at again before there was room.
 */
export function createTraceShedder({ redis, keys, scripts }: UpkeepContext): () => Promise<number> {
  let from = '-inf'
  return async () => {
    let shed = 0
    while (await isShort(redis)) {
      const found = await redis.zrangebyscore(keys.doneJobs, from, '+inf', 'WITHSCORES', 'LIMIT', 0, BATCH)
      for (let at = 0; at < found.length; at += 2)
        shed += await scripts.other('shed-trace', keys.job(found[at] ?? ''), [])
      if (found.length === 0) return shed
      from = `(${found.at(-1)}`
    }
    from = '-inf'
    return shed
  }
}

async function isShort(redis: Redis): Promise<boolean> {
  const memory = await redis.info('memory')
  const limit = Number(/^maxmemory:(\d+)/m.exec(memory)?.[1] ?? 0)
  const used = Number(/^used_memory:(\d+)/m.exec(memory)?.[1] ?? 0)
  return limit > 0 && used > SHED_ABOVE * limit
}
