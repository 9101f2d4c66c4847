import type { Redis } from 'ioredis'
import { type Keys, queueName } from '../redis/keys.ts'

/** What BullMQ scores a delayed job with is its time (ms) times this. */
export const DELAY_UNIT = 0x1000

/**
 * Wakes a consumer of the host when a job waits, or is due: to be called when one has ended or was put off, and when the
 * latter's time has come. BullMQ sets no marker for what comes while a host has all the jobs it may have at once, and who
 * ends one of these often can't take the next; the marker of a delay goes to whoever comes first, and gets lost when that
 * one takes another job. The other consumers would sleep on for 5 s. These are BullMQ's internal keys, measured with the
 * version that package.json pins: `wait`, `delayed`, `paused` in `meta`, and `marker`, for which consumers block. Who lets a queue go on
 * wakes them (queue-state.lua).
 */
export async function wakeConsumers(
  redis: Redis,
  { keys, host }: { keys: Pick<Keys, 'bullPrefix'>; host: string },
): Promise<void> {
  const queue = `${keys.bullPrefix}:${queueName(host)}`
  const [paused, waiting, due] = await Promise.all([
    redis.hexists(`${queue}:meta`, 'paused'),
    redis.llen(`${queue}:wait`),
    redis.zcount(`${queue}:delayed`, '-inf', (Date.now() + 1) * DELAY_UNIT),
  ])
  if (paused === 0 && waiting + due > 0) await redis.zadd(`${queue}:marker`, 0, '0')
}
