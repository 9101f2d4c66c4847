import type { Job, Queue } from '../../api/types.ts'
import { queueOf } from '../../format/references.ts'
import { waitingIn } from '../../format/system-words.ts'

export const RUNNING: readonly Job['state'][] = ['running', 'canceling']
export const WAITING: readonly Job['state'][] = ['queued', 'scheduled', 'retrying', 'paused']
/** More than a person reads at once; the rest is in the list. */
export const SHOWN = 50

export function byStart(a: Job, b: Job): number {
  return (a.startedAt ?? a.createdAt).localeCompare(b.startedAt ?? b.createdAt) || a.id.localeCompare(b.id)
}

/** What waits for one registry. */
export interface WaitingGroup {
  readonly host: string
  /** Undefined: it does not show to this caller, or is not told yet. */
  readonly queue: Queue | undefined
  readonly jobs: readonly Job[]
  /** With those that are not among these. */
  readonly count: number
}

/** By registry, those with most first; `jobs` as they come. */
export function waitingGroups(jobs: readonly Job[], queues: readonly Queue[]): WaitingGroup[] {
  const found = Map.groupBy(jobs, queueOf)
  const known = new Map(queues.filter((queue) => waitingIn(queue) > 0).map((queue) => [queue.host, queue]))
  const hosts = new Set([...found.keys(), ...known.keys()])
  return [...hosts]
    .map((host): WaitingGroup => {
      const queue = known.get(host)
      const own = found.get(host) ?? []
      return { host, queue, jobs: own, count: Math.max(own.length, queue === undefined ? 0 : waitingIn(queue)) }
    })
    .toSorted((a, b) => b.count - a.count || a.host.localeCompare(b.host))
}
