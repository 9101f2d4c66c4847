import type { Redis } from 'ioredis'
import type { Keys } from '../redis/keys.ts'
import { AppError } from '../../lib/errors.ts'
import { parseQueuePause, type QueuePause } from '../model/queue-pause.ts'
import { guarded } from '../redis/redis.ts'
import type { Scripts } from '../redis/scripts.ts'

/** So many queues may be paused: those of hosts without a job, too. */
const MOST_PAUSED = 1000

/** What there is of one queue, as Redis tells it in one step. */
export interface QueueFigures {
  /** Of a registry, or LOCAL_QUEUE. */
  readonly host: string
  /** Whether it has jobs that have not ended, or is paused. */
  readonly known: boolean
  readonly pause: QueuePause | undefined
  /** Jobs that have not ended, by what becomes of them; those that are being canceled still run. */
  readonly jobs: {
    readonly waiting: number
    readonly running: number
    readonly retrying: number
    readonly paused: number
  }
  /** How long that of those that wait has waited which has waited longest; undefined when none does. */
  readonly oldestMs: number | undefined
  /** Jobs that ended with a run, a minute, over the last four to five minutes. */
  readonly jobsPerMinute: number
  readonly limits: QueueLimits
  /** The registry has asked that nothing goes out for so long; undefined: it has not. */
  readonly registryPause: { readonly status: number; readonly ms: number } | undefined
}

export interface QueueLimits {
  /** Runs at once, in all processes together, and where that is from. */
  readonly jobs: { readonly value: number; readonly from: 'setting' | 'environment' }
  /** Requests a second that it was seen to take; undefined: as many as it was asked for. */
  readonly learntPerSecond: number | undefined
}

/** The queues of hosts. Calls throw QUEUE_UNAVAILABLE. */
export interface Queues {
  /** Hosts in the order of their names behind `after`, at most so many of those that `isSeen`; they have jobs that have not ended, or are paused. */
  hosts(page: { after?: string | undefined; most: number; isSeen?: (host: string) => boolean }): Promise<string[]>
  /** Of each of these, known or not; the same work however many jobs wait. */
  figures(hosts: readonly string[]): Promise<QueueFigures[]>
  /**
   * From now on no job of the host is started, by any process, whether it has jobs or not; those that run go on. False: it is paused
   * already, and stays so as it was. Throws REQUEST_INVALID where too many are.
   */
  pause(host: string, by: string, reason: string | null): Promise<boolean>
  /** Takes that back, and wakes who takes jobs. False: it is not paused. */
  resume(host: string): Promise<boolean>
}

export interface QueuesContext {
  readonly redis: Redis
  readonly keys: Keys
  readonly scripts: Scripts
  /** Where no worker has told its own yet. */
  readonly registryJobs: number
  /** Counts what was there before there were counts (upkeep.ts). */
  recount(): Promise<unknown>
}

/** Hosts that are looked at in one step, so that it holds nobody else up. */
const BATCH = 200
/** Of scripts/system/queues.lua, for each host. */
const WORDS = 13

export function createQueues(context: QueuesContext): Queues {
  const { redis, keys } = context
  return {
    hosts: (page) =>
      guarded(async () => {
        if ((await redis.exists(keys.queuesKnown)) === 0) await context.recount()
        return await hostsBehind(redis, keys, page)
      }),
    figures: (hosts) =>
      guarded(async () => {
        const found: QueueFigures[] = []
        for (let at = 0; at < hosts.length; at += BATCH)
          found.push(...(await figuresOf(context, hosts.slice(at, at + BATCH))))
        return found
      }),
    pause: (host, by, reason) => change(context, 'pause', host, [by, reason]),
    resume: (host) => change(context, 'resume', host, [null, null]),
  }
}

async function change(
  { scripts, keys }: QueuesContext,
  what: 'pause' | 'resume',
  host: string,
  said: readonly (string | null)[],
): Promise<boolean> {
  const args = [keys.prefix, what, host, ...said.map((text) => JSON.stringify(text)), MOST_PAUSED]
  const [done] = await guarded(() => scripts.words('system/pause-queue', keys.hosts, args))
  if (done === 'full') {
    throw new AppError('REQUEST_INVALID', `${MOST_PAUSED} queues are paused, and no more can be`, {
      hint: 'GET /v1/queues (layerd queues) shows which; let some go on.',
    })
  }
  return done === 'done'
}

async function hostsBehind(
  redis: Redis,
  keys: Keys,
  { after, most, isSeen = () => true }: Parameters<Queues['hosts']>[0],
): Promise<string[]> {
  const found: string[] = []
  let last = after
  while (found.length < most) {
    const least = last === undefined ? '-' : `(${last}`
    const hosts = await redis.zrange(keys.queues, least, '+', 'BYLEX', 'LIMIT', 0, BATCH)
    found.push(...hosts.filter(isSeen))
    last = hosts.at(-1)
    if (hosts.length < BATCH) break
  }
  return found.slice(0, most)
}

async function figuresOf(context: QueuesContext, hosts: readonly string[]): Promise<QueueFigures[]> {
  const { scripts, keys } = context
  const args = [keys.prefix, ...hosts.flatMap((host) => [host, paceName(host)])]
  const words = await scripts.words('system/queues', keys.queues, args)
  return await Promise.all(
    hosts.map(async (host, at) => {
      const [known, pause, own, others, ...row] = words.slice(WORDS * at, WORDS * (at + 1))
      const [queued, running, retrying, paused, canceling, oldest, ended, endedMs, paced] = row.map(Number)
      const { learntPerSecond, registryPause } = paced ? await paceOf(context, host) : NO_PACE
      return {
        host,
        known: known === '1',
        pause: parseQueuePause(pause),
        jobs: {
          waiting: queued ?? 0,
          running: (running ?? 0) + (canceling ?? 0),
          retrying: retrying ?? 0,
          paused: paused ?? 0,
        },
        oldestMs: row[5] === '' ? undefined : oldest,
        jobsPerMinute: ((ended ?? 0) * 60_000) / (endedMs || 1),
        limits: { jobs: jobsLimit(own, others || String(context.registryJobs)), learntPerSecond },
        registryPause,
      }
    }),
  )
}

function jobsLimit(own: string | undefined, others: string): QueueLimits['jobs'] {
  return own ? { value: Number(own), from: 'setting' } : { value: Number(others), from: 'environment' }
}

const NO_PACE = { learntPerSecond: undefined, registryPause: undefined }

async function paceOf({ scripts, keys }: QueuesContext, host: string) {
  const [ms = 0, status = 0, learnt = 0] = await scripts.numbers('limits', keys.registryLimits(paceName(host)), [
    'rate',
  ])
  return {
    learntPerSecond: learnt > 0 ? learnt / 1000 : undefined,
    registryPause: ms > 0 ? { status, ms } : undefined,
  }
}

/** What requests to it name: Docker Hub's, and no port of its scheme. */
function paceName(host: string): string {
  return host === 'docker.io' ? 'registry-1.docker.io' : host.replace(/:443$/, '')
}
