import type { Queue, System, Worker } from '../api/types.ts'
import { formatBytes, formatSpeed } from './bytes.ts'
import { formatDuration } from './time.ts'

type Store = System['store']
type Redis = System['redis']

/** A part of a whole, for a bar and its legend. */
export interface Share {
  readonly name: string
  readonly bytes: number
  readonly look: 'own' | 'promised' | 'other' | 'reserve' | 'free'
}

/** What the disk of the store is taken by; together they are all of it. */
export function diskShares({ usedBytes, promisedBytes, disk }: Store): Share[] {
  const { freeBytes, totalBytes, reserveBytes } = disk
  const own = Math.min(usedBytes, totalBytes - freeBytes)
  const reserve = Math.min(reserveBytes, freeBytes)
  const promised = Math.min(promisedBytes, freeBytes - reserve)
  return [
    { name: 'the store', bytes: own, look: 'own' },
    { name: 'others', bytes: totalBytes - freeBytes - own, look: 'other' },
    { name: 'promised', bytes: promised, look: 'promised' },
    { name: 'free', bytes: freeBytes - reserve - promised, look: 'free' },
    { name: 'kept free', bytes: reserve, look: 'reserve' },
  ]
}

/** The same of the store's own limit; undefined where it has none. */
export function storeShares({ usedBytes, promisedBytes, limitBytes }: Store): Share[] | undefined {
  if (limitBytes === null) return undefined
  const used = Math.min(usedBytes, limitBytes)
  const promised = Math.min(promisedBytes, limitBytes - used)
  return [
    { name: 'used', bytes: used, look: 'own' },
    { name: 'promised', bytes: promised, look: 'promised' },
    { name: 'free', bytes: limitBytes - used - promised, look: 'free' },
  ]
}

/** Of what Redis may take of memory; undefined where nothing is set. */
export function memoryShares({ usedBytes, limitBytes }: Redis): Share[] | undefined {
  if (usedBytes === null || limitBytes === null) return undefined
  const used = Math.min(usedBytes, limitBytes)
  return [
    { name: 'used', bytes: used, look: 'own' },
    { name: 'free', bytes: limitBytes - used, look: 'free' },
  ]
}

/** How what is in Redis outlives it. */
export function persistenceText({ appendOnly, appendFsync, snapshots }: Redis): string {
  const file =
    appendOnly === true
      ? `append-only file${appendFsync === null ? '' : `, on the disk ${fsyncText(appendFsync)}`}`
      : ''
  const kept = [file, snapshots === true ? 'snapshots' : ''].filter(Boolean).join(' and ')
  if (kept !== '') return kept
  return appendOnly === false && snapshots === false ? 'in memory alone: gone when it ends' : 'it does not say'
}

function fsyncText(policy: string): string {
  if (policy === 'always') return 'before each answer (appendfsync always)'
  return policy === 'everysec'
    ? 'within a second (appendfsync everysec)'
    : `when the system likes (appendfsync ${policy})`
}

/** What somebody should do something about; empty: nothing. */
export function redisTroubles({ trouble, writesFail, role, evictionPolicy, reachable }: Redis): string[] {
  return [
    ...(trouble === null ? [] : [trouble]),
    ...(reachable && writesFail === true ? ['its last write to the disk failed'] : []),
    ...(role === 'replica' ? ['it is a replica, which takes no writes'] : []),
    ...(evictionPolicy === null || evictionPolicy === 'noeviction'
      ? []
      : [`it drops keys when it is full (${evictionPolicy}): jobs can be lost; set maxmemory-policy noeviction`]),
  ]
}

/** What waits in a queue, without those that run. */
export function waitingIn({ jobs }: Pick<Queue, 'jobs'>): number {
  return jobs.waiting + jobs.retrying + jobs.paused
}

/** `12 waiting, 1 retrying, the oldest for 42 s`. */
export function waitingText({ jobs, oldestWaitingSeconds: oldest }: Queue): string {
  const counts = [
    [jobs.waiting, 'waiting'],
    [jobs.retrying, 'to be tried again'],
    [jobs.paused, 'paused'],
  ] as const
  const told = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return [...told, ...(oldest === null ? [] : [`the oldest for ${formatDuration(oldest * 1000)}`])].join(', ')
}

export interface FleetSums {
  readonly alive: number
  readonly lost: number
  readonly drained: number
  readonly busy: number
  readonly places: number
  readonly speeds: string
}

/** All workers together. */
export function sumsOf(workers: readonly Worker[]): FleetSums {
  const alive = workers.filter(({ state }) => state !== 'lost')
  const sum = (of: (worker: Worker) => number) => alive.reduce((total, worker) => total + of(worker), 0)
  const [out, inward] = [
    sum(({ bytesPerSecond }) => bytesPerSecond.out),
    sum(({ bytesPerSecond }) => bytesPerSecond.in),
  ]
  return {
    alive: alive.length,
    lost: workers.length - alive.length,
    drained: alive.filter(({ drain }) => drain !== null).length,
    busy: sum(({ jobs }) => jobs.length),
    places: sum(({ places }) => places),
    speeds: `${formatSpeed(out)} out, ${formatSpeed(inward)} in`,
  }
}

/** `48.3 GiB of 100 GiB`. */
export function ofText(part: number, whole: number | null): string {
  return whole === null ? formatBytes(part) : `${formatBytes(part)} of ${formatBytes(whole)}`
}
