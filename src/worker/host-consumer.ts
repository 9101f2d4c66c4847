import { DelayedError, type Job as QueueJob, type JobJson, WaitingError, Worker, type WorkerOptions } from 'bullmq'
import type { Dispatch } from '../jobs/dispatch/dispatch.ts'
import { queueName } from '../jobs/redis/keys.ts'
import { isLostConnection } from '../jobs/redis/redis.ts'
import type { Logger } from '../lib/logger.ts'

/** Stalled checks in the time of a lock. */
const STALLED_CHECKS = 6
/** Out of the way: how often a lost worker is forgiven is the record's business (JOB_STALLED). */
const STALLED_LIMIT = 1000
/** A connection that does not end by then is on none: it is being made again. */
const DISCONNECT_MS = 5000
const LOOK_MS = 500

export interface HostConsumerOptions {
  redis: NonNullable<WorkerOptions['connection']>
  bullPrefix: string
  workerName: string
  lockMs: number
  process(consumer: HostConsumer, job: QueueJob<Dispatch>, token: string): Promise<void>
  /** The answer is here that brought the job. */
  onFetched(id: string): void
  /** The lock was renewed by a call that went out then (ms, performance.now). */
  onRenewed(id: string, sentAt: number): void
  onLost(jobIds: readonly string[]): void
  /** It found nothing to take. */
  onIdle(): void
  /** A job of the host ended. */
  onEnded(): void
  logger: Logger
}

/** BullMQ's consumer of one host's queue, and its blocking connection. Takes nothing before it is told to. */
export class HostConsumer {
  readonly host: string
  /** ms, performance.now. */
  readonly openedAt = performance.now()
  /** Jobs that run here. */
  active = 0
  /** Jobs that began here. */
  taken = 0
  /** It found nothing when it last asked; what comes wakes it. */
  idle = false
  /** It does not ask before this (ms, performance.now). */
  restsUntil = 0
  readonly #options: HostConsumerOptions
  readonly #worker: WatchedWorker
  #paused = true
  #leaving = false
  /** Since when it may ask for a job and has found nothing out, ms of performance.now. */
  #asksSince: number | undefined

  constructor(host: string, options: HostConsumerOptions) {
    this.host = host
    this.#options = options
    const { redis, bullPrefix: prefix, workerName: name, lockMs, logger } = options
    const settings: WorkerOptions = {
      connection: redis,
      prefix,
      name,
      autorun: false,
      lockDuration: lockMs,
      stalledInterval: Math.ceil(lockMs / STALLED_CHECKS),
      maxStalledCount: STALLED_LIMIT,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    }
    const run = (job: QueueJob<Dispatch>, token = '') => options.process(this, job, token)
    this.#worker = new WatchedWorker(queueName(host), run, settings, options)
    this.#worker.on('error', (error) => {
      const level = isLostConnection(error) ? 'debug' : 'warn'
      logger[level]({ err: error, host }, 'consumer failed')
    })
    this.#worker.on('completed', () => options.onEnded())
    this.#worker.on('failed', () => options.onEnded())
    this.#worker.on('lockRenewalFailed', (ids) => options.onLost(ids))
    this.#worker.on('drained', () => {
      this.idle = true
      this.#asksSince = undefined
      options.onIdle()
    })
  }

  /** Whether it may take jobs, and how many at once with those that it has. */
  set(takes: boolean, most: number): void {
    if (this.#leaving) return
    if (takes) this.#worker.concurrency = Math.max(1, most)
    if (takes && !this.idle) this.#asksSince ??= performance.now()
    if (takes !== this.#paused) return
    this.#paused = !takes
    if (!takes) this.#asksSince = undefined
    Promise.resolve(takes ? this.#worker.resume() : this.#worker.pause(true)).catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'pausing or resuming a consumer failed'),
    )
  }

  /** It has fetched a job. */
  found(): void {
    this.idle = false
    this.#asksSince = undefined
  }

  /** Whether it may ask for a job, and has found nothing out for longer than this. */
  isLate(now: number, answerMs: number): boolean {
    return this.#asksSince !== undefined && now - this.#asksSince > answerMs
  }

  pause(): Promise<void> {
    return this.#worker.pause(true)
  }

  /** Takes no more. `released`: its connection is closed; `ended`: so are the jobs that it had. */
  async leave(): Promise<{ released: Promise<void>; ended: Promise<void> }> {
    this.#leaving = true
    // First of all: a closing consumer that is not paused takes its own job again and never ends.
    await this.#worker.pause(true)
    const ended = this.close()
    return { released: this.#released(), ended }
  }

  /** Ends with its jobs. BullMQ alone would wait for ever for a connection that is being made again when it closes. */
  async close(): Promise<void> {
    const since = performance.now()
    const stuck = Promise.withResolvers<undefined>()
    const looks = setInterval(() => {
      if (this.active === 0 && performance.now() - since > DISCONNECT_MS) stuck.resolve(undefined)
    }, LOOK_MS)
    const closed = this.#worker.close()
    closed.catch(() => undefined)
    await Promise.race([closed, stuck.promise]).finally(() => clearInterval(looks))
  }

  /** Queues again what has no lock any more in the queue of another host, which has no consumer now. */
  async checkStalled(host: string): Promise<void> {
    await this.#worker.getBackend().forQueue(queueName(host), this.#options.bullPrefix).moveStalledJobsToWait()
  }

  async #released(): Promise<void> {
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), DISCONNECT_MS)
    const closed = this.#worker.getBackend().disconnectBlocking()
    await Promise.race([closed.catch(() => undefined), late.promise])
    clearTimeout(timer)
  }
}

type WorkerWatch = Pick<HostConsumerOptions, 'onFetched' | 'onRenewed'>

/** BullMQ itself tells neither what it has fetched nor when the renewals went out that kept a lock. */
class WatchedWorker extends Worker<Dispatch> {
  readonly #watch: WorkerWatch

  constructor(
    name: string,
    run: (job: QueueJob<Dispatch>, token?: string) => Promise<void>,
    settings: WorkerOptions,
    watch: WorkerWatch,
  ) {
    super(name, run, settings)
    this.#watch = watch
  }

  protected override createJob(data: JobJson, id: string): QueueJob<Dispatch> {
    this.#watch.onFetched(id)
    return super.createJob(data, id)
  }

  override async extendJobLocks(ids: string[], tokens: string[], duration: number): Promise<string[]> {
    const sentAt = performance.now()
    const lost = await super.extendJobLocks(ids, tokens, duration)
    for (const id of ids) if (!lost.includes(id)) this.#watch.onRenewed(id, sentAt)
    return lost
  }
}

/** Puts the job off; the thrown error tells BullMQ that this was done. */
export async function delayUntil(until: number, job: QueueJob<Dispatch>, token: string, done: () => void) {
  await job.moveToDelayed(until, token)
  done()
  throw new DelayedError()
}

/** Hands the job back to the queue's waiting list; the thrown error tells BullMQ that this was done. */
export async function release(job: QueueJob<Dispatch>, token: string): Promise<never> {
  await job.moveToWait(token)
  throw new WaitingError()
}
