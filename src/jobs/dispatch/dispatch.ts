import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { type Keys, queueName } from '../redis/keys.ts'

/** What a BullMQ job carries; everything else is read from the record. `round` counts dispatches: a retry adds one. */
export interface Dispatch {
  id: string
  round: number
}

/** Hands jobs to BullMQ: one queue per registry host, opened on first use. */
export interface Dispatcher {
  /** Adding the same dispatch twice does nothing. */
  add(host: string, dispatch: Dispatch): Promise<void>
  /** Takes a waiting dispatch out; one that a worker holds stays, and ends when its run begins. */
  remove(host: string, dispatch: Dispatch): Promise<void>
  /** Whether BullMQ still knows the dispatch. */
  has(host: string, dispatch: Dispatch): Promise<boolean>
  close(): Promise<void>
}

/**
 * BullMQ's id of a dispatch. A new round has a new id: the old BullMQ job may still be finishing under its own, and adding
 * an id that exists does nothing, which would lose the retry.
 */
export function dispatchId({ id, round }: Dispatch): string {
  return round === 1 ? id : `${id}.${round}`
}

/** The dispatch as an entry of the outbox; the scripts write the same text. */
export function outboxMember({ id, round }: Dispatch): string {
  return `${id}.${round}`
}

export function parseOutboxMember(member: string): Dispatch {
  const dot = member.lastIndexOf('.')
  return { id: member.slice(0, dot), round: Number(member.slice(dot + 1)) }
}

export interface DispatcherOptions {
  redis: Redis
  keys: Keys
  /** Default: the system's. */
  clock?: Pick<Clock, 'now'>
}

/** What BullMQ keeps of a queue goes a day after the host's last job (scripts/jobs/moves.lua). */
const OPENED_AGAIN_MS = 3_600_000
/** Queues kept open; a queue is a few listeners on the shared connection and a handful of Redis calls to open. */
const OPEN_QUEUES = 256

export function createDispatcher({ redis, keys, clock = systemClock }: DispatcherOptions): Dispatcher {
  const open = new Map<string, OpenQueue & { usedAt: number }>()

  const drop = (host: string) => {
    const queue = open.get(host)?.queue
    open.delete(host)
    queue?.close().catch(() => {})
  }
  const queueOf = (host: string): OpenQueue => {
    const now = clock.now()
    if (now - (open.get(host)?.usedAt ?? now) > OPENED_AGAIN_MS) drop(host)
    const queue = open.get(host) ?? openQueue(redis, keys.bullPrefix, host)
    open.delete(host)
    open.set(host, { ...queue, usedAt: now })
    const [oldest] = open
    if (oldest && open.size > OPEN_QUEUES) drop(oldest[0])
    return queue
  }
  const use = async <T>(host: string, task: (queue: Queue<Dispatch>) => Promise<T>): Promise<T> => {
    const { queue, ready } = queueOf(host)
    try {
      await ready
      return await task(queue)
    } catch (error) {
      // A queue whose opening failed stays broken (its connection check is never repeated): the next call opens another.
      drop(host)
      throw error
    }
  }

  return {
    add: (host, dispatch) =>
      use(host, async (queue) => {
        await queue.add('job', dispatch, { jobId: dispatchId(dispatch) })
      }),
    remove: (host, dispatch) =>
      use(host, async (queue) => {
        await queue.remove(dispatchId(dispatch))
      }),
    has: (host, dispatch) => use(host, async (queue) => (await queue.getJobState(dispatchId(dispatch))) !== 'unknown'),
    async close() {
      const queues = [...open.values()]
      open.clear()
      await Promise.allSettled(queues.map(({ queue }) => queue.close()))
    },
  }
}

interface OpenQueue {
  queue: Queue<Dispatch>
  ready: Promise<unknown>
}

function openQueue(redis: Redis, prefix: string, host: string): OpenQueue {
  const queue = new Queue<Dispatch>(queueName(host), {
    connection: redis,
    prefix,
    // Nobody reads BullMQ's event streams: jobs have their own.
    streams: { events: { maxLen: 100 } },
    // The record is what stays of a job. Retries are ours (delayed by the worker), so BullMQ never counts attempts.
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
  })
  // Each call reports its own failure; without a listener the connection's errors would end the process.
  queue.on('error', () => {})
  const ready = queue.waitUntilReady()
  ready.catch(() => {})
  return { queue, ready }
}
