import type { Redis } from 'ioredis'
import { freeHeldJobs } from '../jobs/dispatch/free-held-jobs.ts'
import type { Keys } from '../jobs/redis/keys.ts'
import { loseWorkers } from '../jobs/system/worker-records.ts'

/** Takes dead workers off the list of live ones and frees the jobs that they held. Returns how many. */
export async function freeLostJobs(redis: Redis, keys: Keys, isDead: (worker: string) => boolean): Promise<number> {
  const dead = (await redis.zrange(keys.workers, '0', '-1')).filter(isDead)
  await loseWorkers(redis, keys, dead)
  let freed = 0
  for (const host of await redis.zrange(keys.hosts, '0', '-1')) {
    freed += await freeHeldJobs(redis, { keys, host }, isDead)
  }
  return freed
}
