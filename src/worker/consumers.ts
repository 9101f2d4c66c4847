import { DelayedError, type Job as QueueJob, WaitingError, Worker, type WorkerOptions } from 'bullmq'
import type { Dispatch } from '../jobs/dispatch/dispatch.ts'
import { freeHeldJobs } from '../jobs/dispatch/free-held-jobs.ts'
import { queueName } from '../jobs/redis/keys.ts'
import { type connectRedis, isLostConnection } from '../jobs/redis/redis.ts'
import { wakeConsumers } from '../jobs/dispatch/wake-consumers.ts'
import type { Logger } from '../lib/logger.ts'
import { createLease, type Lease } from './run-lease.ts'
import type { RunEnd } from './run-job.ts'

/**
 * Long enough that a short outage of Redis does not hand a running job to a second worker. The supervisor frees the
 * locks of a worker that died, so nobody waits this long for it.
 */
const DEFAULT_LOCK_MS = 30_000
/** Stalled checks in the time of a lock. */
const STALLED_CHECKS = 6
/** Out of the way: how often a lost worker is forgiven is the record's business (JOB_STALLED). */
const STALLED_LIMIT = 1000

/** After the connection is back. */
const LOST_LOOK_MS = 1000
const BROKEN_PAUSE_MS = 5000

export interface ConsumerOptions {
  redis: ReturnType<typeof connectRedis>
  bullPrefix: string
  workerName: string
  /** Jobs at once in this process, over all hosts. */
  limit: number
  /** How long a lock outlives its last renewal. Default 30 s. */
  lockMs?: number
  /** Before a run that broke is tried again. Default 5 s. */
  brokenPauseMs?: number
  /** Runs a dispatch to its end. */
  run(dispatch: Dispatch, lease: Lease): Promise<RunEnd>
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
  /** Tells the consumers of the host, in whatever process, that there may be something to do, now or then. */
  wake: (at?: number) => void
  active: number
  paused: boolean
}

export function createConsumers(options: ConsumerOptions): Consumers {
  return new HostConsumers(options)
}

class HostConsumers implements Consumers {
  readonly #options: ConsumerOptions
  readonly #lockMs: number
  readonly #consumers = new Map<string, Consumer>()
  /** Of the jobs that run, by BullMQ's id. */
  readonly #leases = new Map<string, Lease>()
  #active = 0
  #stopping = false
  #looking: NodeJS.Timeout | undefined

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.#lockMs = options.lockMs ?? DEFAULT_LOCK_MS
    options.redis.on('ready', this.#lookForLost)
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
    const worker = this.#worker(host, (job, token = '') => this.#process(consumer, job, token))
    const wake = (at?: number) => this.#wake(host, at)
    const consumer: Consumer = { worker, wake, active: 0, paused: false }
    worker.on('error', (error) => {
      const level = isLostConnection(error) ? 'debug' : 'warn'
      logger[level]({ err: error, host }, 'consumer failed')
    })
    worker.on('completed', () => wake())
    worker.on('failed', () => wake())
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
    this.#options.redis.off('ready', this.#lookForLost)
    clearTimeout(this.#looking)
    await Promise.all([...this.#consumers.values()].map(({ worker }) => worker.close()))
    this.#consumers.clear()
  }

  /**
   * An answer that brought a job and got lost with its connection leaves the job active here without anybody who runs it.
   * What was fetched since the connection is back has begun by the time of the look.
   */
  readonly #lookForLost = (): void => {
    clearTimeout(this.#looking)
    this.#looking = setTimeout(() => {
      this.#freeLost().catch((error: unknown) => this.#options.logger.warn({ err: error }, 'freeing jobs failed'))
    }, LOST_LOOK_MS)
  }

  async #freeLost(): Promise<void> {
    const { redis, bullPrefix, workerName, logger } = this.#options
    for (const host of this.hosts) {
      const isLost = (worker: string, id: string): boolean => worker === workerName && !this.#leases.has(id)
      const freed = await freeHeldJobs(redis, { keys: { bullPrefix }, host }, isLost)
      if (freed > 0) logger.warn({ host, freed }, 'jobs that got lost on their way here are queued again')
    }
  }

  #worker(host: string, run: (job: QueueJob<Dispatch>, token?: string) => Promise<void>): Worker<Dispatch> {
    const { redis, bullPrefix, workerName, limit } = this.#options
    const settings: WorkerOptions = {
      connection: redis,
      prefix: bullPrefix,
      name: workerName,
      concurrency: Math.max(1, limit - this.#active),
      lockDuration: this.#lockMs,
      stalledInterval: Math.ceil(this.#lockMs / STALLED_CHECKS),
      maxStalledCount: STALLED_LIMIT,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    }
    return new RenewingWorker(queueName(host), run, settings, (id, sentAt) => this.#leases.get(id)?.renewed(sentAt))
  }

  async #process(consumer: Consumer, job: QueueJob<Dispatch>, token: string) {
    // A consumer may have fetched one more before its pause took hold.
    if (this.#stopping || this.#active >= this.#options.limit) await release(job, token)
    using lease = createLease(this.#lockMs, performance.now() - (Date.now() - (job.processedOn ?? Date.now())))
    const id = job.id ?? ''
    this.#leases.set(id, lease)
    this.#active += 1
    consumer.active += 1
    this.#balance()
    try {
      await settle(await this.#run(job.data, lease), { job, token, wake: consumer.wake })
    } finally {
      if (this.#leases.get(id) === lease) this.#leases.delete(id)
      this.#active -= 1
      consumer.active -= 1
      this.#balance()
    }
  }

  /** A run that breaks has not ended its job, whose dispatch BullMQ would forget: it is tried again. */
  async #run(dispatch: Dispatch, lease: Lease): Promise<RunEnd> {
    try {
      return await this.#options.run(dispatch, lease)
    } catch (error) {
      this.#options.logger.error({ err: error, jobId: dispatch.id }, 'a run broke; it is tried again')
      return { next: 'delay', until: Date.now() + (this.#options.brokenPauseMs ?? BROKEN_PAUSE_MS) }
    }
  }

  #wake(host: string, at?: number): void {
    if (at !== undefined) {
      setTimeout(() => this.#stopping || this.#wake(host), at - Date.now()).unref()
      return
    }
    const { redis, bullPrefix, logger } = this.#options
    wakeConsumers(redis, { keys: { bullPrefix }, host }).catch((error: unknown) =>
      logger.warn({ err: error, host }, 'waking consumers failed; they look by themselves'),
    )
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

/** Tells when the renewals went out that kept a lock; BullMQ itself tells only that their answers came. */
class RenewingWorker extends Worker<Dispatch> {
  readonly #onRenewed: (id: string, sentAt: number) => void

  constructor(
    name: string,
    run: (job: QueueJob<Dispatch>, token?: string) => Promise<void>,
    settings: WorkerOptions,
    onRenewed: (id: string, sentAt: number) => void,
  ) {
    super(name, run, settings)
    this.#onRenewed = onRenewed
  }

  override async extendJobLocks(ids: string[], tokens: string[], duration: number): Promise<string[]> {
    const sentAt = performance.now()
    const lost = await super.extendJobLocks(ids, tokens, duration)
    for (const id of ids) if (!lost.includes(id)) this.#onRenewed(id, sentAt)
    return lost
  }
}

async function settle(
  end: RunEnd,
  { job, token, wake }: { job: QueueJob<Dispatch>; token: string; wake: Consumer['wake'] },
): Promise<void> {
  if (end.next === 'release') await release(job, token)
  if (end.next !== 'delay') return
  await job.moveToDelayed(end.until, token)
  wake()
  wake(end.until)
  throw new DelayedError()
}

/** Hands the job back to the queue's waiting list; the thrown error tells BullMQ that this was done. */
async function release(job: QueueJob<Dispatch>, token: string): Promise<never> {
  await job.moveToWait(token)
  throw new WaitingError()
}
