import { DelayedError, type Job as QueueJob, WaitingError, Worker } from 'bullmq'
import type { Dispatch } from '../jobs/dispatch.ts'
import { queueName } from '../jobs/keys.ts'
import type { connectRedis } from '../jobs/redis.ts'
import type { Logger } from '../lib/logger.ts'
import type { RunEnd } from './run-job.ts'

/**
 * Long enough that a short outage of Redis does not hand a running job to a second worker. The supervisor frees the
 * locks of a worker that died, so nobody waits this long for it.
 */
const LOCK_MS = 30_000
const STALLED_CHECK_MS = 5000
/** Out of the way: how often a lost worker is forgiven is the record's business (JOB_STALLED). */
const STALLED_LIMIT = 1000

export interface ConsumerOptions {
  redis: ReturnType<typeof connectRedis>
  bullPrefix: string
  workerName: string
  /** Jobs at once in this process, over all hosts. */
  limit: number
  /** Runs a dispatch to its end. */
  run(dispatch: Dispatch, signal: AbortSignal): Promise<RunEnd>
  /** BullMQ could not renew these jobs' locks: another worker may have them. */
  onLost(jobIds: readonly string[]): void
  logger: Logger
}

/**
 * BullMQ consumers, one per registry host, that share this process's cap: who has no free place is paused, so no job is
 * ever held active without being worked on.
 */
export interface Consumers {
  /** Opens the host's consumer unless it is open. */
  open(host: string): void
  readonly hosts: ReadonlySet<string>
  /** Closes consumers of these hosts that have nothing to do. */
  close(hosts: readonly string[]): Promise<void>
  /** Jobs that run now. */
  readonly active: number
  /** Takes no new job. */
  pause(): Promise<void>
  /** Closes all; jobs have to end first. */
  shutdown(): Promise<void>
}

interface Consumer {
  worker: Worker<Dispatch>
  active: number
  paused: boolean
}

export function createConsumers(options: ConsumerOptions): Consumers {
  return new HostConsumers(options)
}

class HostConsumers implements Consumers {
  readonly #options: ConsumerOptions
  readonly #consumers = new Map<string, Consumer>()
  #active = 0
  #stopping = false

  constructor(options: ConsumerOptions) {
    this.#options = options
  }

  get hosts(): ReadonlySet<string> {
    return new Set(this.#consumers.keys())
  }

  get active(): number {
    return this.#active
  }

  open(host: string): void {
    if (this.#stopping || this.#consumers.has(host)) return
    const { logger } = this.#options
    // Exactly three parameters: BullMQ makes the signal only for a processor that declares it.
    const worker = this.#worker(host, (job, token = '', signal = new AbortController().signal) =>
      this.#process(consumer, job, { token, signal }),
    )
    const consumer: Consumer = { worker, active: 0, paused: false }
    worker.on('error', (error) => logger.warn({ err: error, host }, 'consumer failed'))
    worker.on('lockRenewalFailed', (ids) => this.#options.onLost(ids))
    this.#consumers.set(host, consumer)
    this.#balance()
  }

  async close(hosts: readonly string[]): Promise<void> {
    const idle = hosts.filter((host) => this.#consumers.get(host)?.active === 0)
    await Promise.all(
      idle.map(async (host) => {
        const consumer = this.#consumers.get(host)
        this.#consumers.delete(host)
        await consumer?.worker.close()
      }),
    )
  }

  async pause(): Promise<void> {
    this.#stopping = true
    // First of all: a closing consumer that is not paused takes its own job again and never ends.
    await Promise.all([...this.#consumers.values()].map(({ worker }) => worker.pause(true)))
  }

  async shutdown(): Promise<void> {
    this.#stopping = true
    await Promise.all([...this.#consumers.values()].map(({ worker }) => worker.close()))
    this.#consumers.clear()
  }

  #worker(
    host: string,
    run: (job: QueueJob<Dispatch>, token?: string, signal?: AbortSignal) => Promise<void>,
  ): Worker<Dispatch> {
    const { redis, bullPrefix, workerName, limit } = this.#options
    return new Worker<Dispatch>(queueName(host), async (job, token, signal) => run(job, token, signal), {
      connection: redis,
      prefix: bullPrefix,
      name: workerName,
      concurrency: Math.max(1, limit - this.#active),
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: STALLED_LIMIT,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    })
  }

  async #process(consumer: Consumer, job: QueueJob<Dispatch>, control: { token: string; signal: AbortSignal }) {
    // A consumer may have fetched one more before its pause took hold.
    if (this.#stopping || this.#active >= this.#options.limit) await release(job, control.token)
    this.#active += 1
    consumer.active += 1
    this.#balance()
    try {
      await settle(await this.#options.run(job.data, control.signal), job, control.token)
    } finally {
      this.#active -= 1
      consumer.active -= 1
      this.#balance()
    }
  }

  /** Gives every consumer the places that are free, and pauses all when none is. */
  #balance(): void {
    const free = this.#options.limit - this.#active
    for (const consumer of this.#consumers.values()) {
      const paused = this.#stopping || free <= 0
      if (!paused) consumer.worker.concurrency = consumer.active + free
      if (paused === consumer.paused) continue
      consumer.paused = paused
      Promise.resolve(paused ? consumer.worker.pause(true) : consumer.worker.resume()).catch((error: unknown) =>
        this.#options.logger.warn({ err: error }, 'pausing or resuming a consumer failed'),
      )
    }
  }
}

async function settle(end: RunEnd, job: QueueJob<Dispatch>, token: string): Promise<void> {
  if (end.next === 'release') await release(job, token)
  if (end.next !== 'delay') return
  await job.moveToDelayed(end.until, token)
  throw new DelayedError()
}

/** Hands the job back to the queue's waiting list; the thrown error tells BullMQ that this was done. */
async function release(job: QueueJob<Dispatch>, token: string): Promise<never> {
  await job.moveToWait(token)
  throw new WaitingError()
}
