import type { Redis } from 'ioredis'
import type { Clock } from '../../lib/clock.ts'
import type { Keys } from '../redis/keys.ts'
import type { Scripts } from '../redis/scripts.ts'

interface OwnersContext {
  redis: Redis
  keys: Keys
  clock: Clock
  scripts: Scripts
}

/** Jobs looked at in one script, which holds Redis up for all others. */
const BATCH = 200
/** Any process may look again; one in this time does. */
const AGAIN_MS = 300_000

/** Puts all jobs into the sets of who asked for them, unless that was done once. What is made since is put there as it is made. */
export async function ensureOwners(context: OwnersContext): Promise<void> {
  if ((await context.redis.exists(context.keys.owned)) === 0) await indexOwners(context)
}

/** The same now and then: processes of an older version may still make jobs. Returns how many were in none. */
export async function recheckOwners(context: OwnersContext): Promise<number> {
  const { redis, keys, clock } = context
  const done = Number(await redis.get(keys.owned))
  return clock.now() - done < AGAIN_MS ? 0 : await indexOwners(context)
}

async function indexOwners({ redis, keys, clock, scripts }: OwnersContext): Promise<number> {
  let added = 0
  for await (const entries of redis.zscanStream(keys.jobs, { count: BATCH })) {
    const ids = (entries as string[]).filter((_, at) => at % 2 === 0)
    for (let at = 0; at < ids.length; at += BATCH)
      added += await scripts.other('index-owners', keys.jobs, [keys.prefix, ...ids.slice(at, at + BATCH)])
  }
  await redis.set(keys.owned, clock.now())
  return added
}
