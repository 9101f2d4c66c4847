import type { Redis } from 'ioredis'
import { type Keys, queueName } from '../redis/keys.ts'
import { createScripts } from '../redis/scripts.ts'
import { DELAY_UNIT } from './wake-consumers.ts'

export interface QueueLook {
  /** Jobs that a worker may take now: they wait or are due, and the registry has not all it may have. */
  takeable: number
  /** Jobs that run, in whatever process. */
  active: number
}

export type LookIntoQueues = (hosts: readonly string[]) => Promise<Map<string, QueueLook>>

/** Looks into the queues of hosts, all in one call. */
export function queueLooker(redis: Redis, keys: Pick<Keys, 'bullPrefix'>): LookIntoQueues {
  const scripts = createScripts(redis)
  return async (hosts) => {
    const due = (Date.now() + 1) * DELAY_UNIT
    const args = [keys.bullPrefix, due, ...hosts.map(queueName)]
    const found = await scripts.numbers('look-queues', keys.bullPrefix, args)
    return new Map(
      hosts.map((host, at) => [host, { takeable: found[2 * at] ?? 0, active: found[2 * at + 1] ?? 0 }] as const),
    )
  }
}
