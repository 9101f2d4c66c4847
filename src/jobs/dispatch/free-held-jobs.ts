import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { type Keys, queueName } from '../redis/keys.ts'
import { createScripts } from '../redis/scripts.ts'

/**
 * Frees jobs that BullMQ counts as active and that nobody runs: their locks would keep others away for the rest of the
 * locks' time. The next stalled check of any worker then finds them without a lock and queues them again. Returns how
 * many. These are BullMQ's internal keys, measured with the version that package.json pins: the active list, `<id>` with
 * `pb` (who processes it), `<id>:lock`, `stalled` and `stalled-check` (which spaces the checks).
 */
export async function freeHeldJobs(
  redis: Redis,
  { keys, host }: { keys: Pick<Keys, 'bullPrefix'>; host: string },
  isLost: (worker: string, id: string) => boolean,
): Promise<number> {
  const queue = `${keys.bullPrefix}:${queueName(host)}`
  const scripts = createScripts(redis)
  let freed = 0
  for (const id of await redis.lrange(`${queue}:active`, 0, -1)) {
    const job = `${queue}:${id}`
    const [worker, token] = await Promise.all([redis.hget(job, 'pb'), redis.get(`${job}:lock`)])
    // By then whoever asks has also taken in what this connection brought before these answers.
    await nextTurn()
    if (worker === null || !isLost(worker, id)) continue
    // Others free jobs too, and who takes one in between must keep it.
    freed += await scripts.other('free-held', job, [id, worker, token ?? '', queue])
  }
  return freed
}
