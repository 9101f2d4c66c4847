import type { Redis } from 'ioredis'
import { type Keys, queueName } from '../jobs/keys.ts'

/**
 * Takes dead workers off the list of live ones and frees what they held: their jobs' locks would keep others away for the
 * rest of the lock's time. The next stalled check of any worker then finds the jobs without a lock and queues them again.
 * Returns how many jobs. These are BullMQ's internal keys, measured with the version that package.json pins: the active
 * list, `<id>` with `pb` (who processes it), `<id>:lock`, `stalled` and `stalled-check` (which spaces the checks).
 */
export async function freeLostJobs(redis: Redis, keys: Keys, isDead: (worker: string) => boolean): Promise<number> {
  const dead = (await redis.zrange(keys.workers, '0', '-1')).filter(isDead)
  if (dead.length > 0) await redis.zrem(keys.workers, ...dead)
  let freed = 0
  for (const host of await redis.zrange(keys.hosts, '0', '-1')) {
    const queue = `${keys.bullPrefix}:${queueName(host)}`
    for (const id of await redis.lrange(`${queue}:active`, 0, -1)) {
      const worker = await redis.hget(`${queue}:${id}`, 'pb')
      if (worker === null || !isDead(worker)) continue
      await redis.multi().del(`${queue}:${id}:lock`).sadd(`${queue}:stalled`, id).del(`${queue}:stalled-check`).exec()
      freed += 1
    }
  }
  return freed
}
