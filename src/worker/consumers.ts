import type { Job as QueueJob } from 'bullmq'
import type { Dispatch } from '../jobs/dispatch/dispatch.ts'
import { freeHeldJobs } from '../jobs/dispatch/free-held-jobs.ts'
import { queueLooker } from '../jobs/dispatch/look-queues.ts'
import { wakeConsumers } from '../jobs/dispatch/wake-consumers.ts'
import type { connectRedis } from '../jobs/redis/redis.ts'
import type { Logger } from '../lib/logger.ts'
import { delayUntil, HostConsumer, release } from './host-consumer.ts'
import { DEFAULT_TURN, type Turn } from './host-line.ts'
import { OpenHosts } from './open-hosts.ts'
import { createLease, type Lease } from './run-lease.ts'
import type { RunEnd } from './run-job.ts'
import { createShares, type PlaceClaim, type Shares } from './shares.ts'

/**
 * Long enough that a short outage of Redis does not hand a running job to a second worker. The supervisor frees the
 * locks of a worker that died, so nobody waits this long for it.
 */
const DEFAULT_LOCK_MS = 30_000
/** After the connection is back. */
const LOST_LOOK_MS = 1000
const BROKEN_PAUSE_MS = 5000
/** A host that was refused a place leaves it to others for so long before it asks again. */
const REST_MS = 250
/** A consumer that may ask and finds nothing out for so long has trouble, and others need not wait for it. */
const ANSWER_MS = 2000
const LOOK_MS = 1000

export interface ConsumerOptions {
  redis: ReturnType<typeof connectRedis>
  bullPrefix: string
  workerName: string
  /** Jobs at once in this process, over all hosts. */
  limit: number
  /** Jobs at once in all processes, as far as that is known. Default: this one's. */
  allPlaces?: () => number
  /** When a host gives way to others that wait for a consumer. Default: after 8 jobs, or a minute. */
  turn?: Turn
  /** How long a lock outlives its last renewal. Default 30 s. */
  lockMs?: number
  /** Before a run that broke is tried again. Default 5 s. */
  brokenPauseMs?: number
  /** Runs a dispatch to its end. */
  run(dispatch: Dispatch, lease: Lease): Promise<RunEnd>
  /** BullMQ could not renew these jobs' locks: another worker may have them. */
  onLost(jobIds: readonly string[]): void
  /** One more runs, or one less. Default: nobody has to know. */
  onMoved?(): void
  logger: Logger
}

/**
 * BullMQ consumers, one per registry host, that share this process's cap: who has no free place is paused, so no job is
 * ever held active without being worked on. At most 64 hosts have one at a time, the others take turns (open-hosts.ts), and
 * a host gets half of all places as long as another one wants them (shares.ts).
 */
export interface Consumers {
  /** Opens the host's consumer unless it is open, when there is room for it. */
  open(host: string): void
  /** The hosts with open jobs, to be told now and then. */
  see(hosts: readonly string[]): Promise<void>
  readonly hosts: ReadonlySet<string>
  /** Closes consumers of these hosts that have nothing to do. */
  close(hosts: readonly string[]): Promise<void>
  /** Jobs that run now. */
  readonly active: number
  /** Takes no new job until it is told to go on; what runs goes on, and nobody else waits for what this process listened to. */
  rest(rests: boolean): void
  /** Takes no new job. */
  pause(): Promise<void>
  /** Closes all; jobs have to end first. */
  shutdown(): Promise<void>
}

export function createConsumers(options: ConsumerOptions): Consumers {
  return new HostConsumers(options)
}

class HostConsumers implements Consumers {
  readonly #options: ConsumerOptions
  readonly #lockMs: number
  readonly #open: OpenHosts
  readonly #shares: Shares
  /** Of the jobs that run, by BullMQ's id. */
  readonly #leases = new Map<string, Lease>()
  /** BullMQ's ids of the jobs that were fetched and have not begun: it fetches several before it hands over the first. */
  readonly #fetched = new Set<string>()
  /** Each host's last turn at a place, by number. */
  readonly #turns = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #turn = 0
  #active = 0
  #stopping = false
  #rests = false
  #looking: NodeJS.Timeout | undefined

  constructor(options: ConsumerOptions) {
    const { redis, limit, turn = DEFAULT_TURN, allPlaces = () => limit } = options
    this.#options = options
    this.#lockMs = options.lockMs ?? DEFAULT_LOCK_MS
    const look = queueLooker(redis, options)
    this.#open = new OpenHosts({ look, turn, open: (host) => this.#consumer(host), left: (host) => this.#left(host) })
    this.#shares = createShares({ look, places: limit, allPlaces, lastTurn: (host) => this.#lastTurn(host) })
    this.#timer = setInterval(() => this.#balance(), LOOK_MS).unref()
    redis.on('ready', this.#lookForLost)
  }

  get hosts(): ReadonlySet<string> {
    return this.#open.hosts
  }

  get active(): number {
    return this.#active
  }

  open(host: string): void {
    this.#open.announce(host)
    this.#balance()
  }

  async see(hosts: readonly string[]): Promise<void> {
    const known = new Set(hosts)
    for (const host of this.#turns.keys()) if (!known.has(host)) this.#turns.delete(host)
    await this.#open.see(hosts)
    this.#balance()
  }

  close(hosts: readonly string[]): Promise<void> {
    return this.#open.close(hosts)
  }

  rest(rests: boolean): void {
    this.#rests = rests
    this.#open.rest(rests)
    this.#balance()
  }

  async pause(): Promise<void> {
    this.#stopping = true
    // First of all: a closing consumer that is not paused takes its own job again and never ends.
    await this.#open.pause()
  }

  async shutdown(): Promise<void> {
    this.#stopping = true
    this.#options.redis.off('ready', this.#lookForLost)
    clearTimeout(this.#looking)
    clearInterval(this.#timer)
    await this.#open.shutdown()
  }

  /**
   * An answer that brought a job and got lost with its connection leaves the job active here without anybody who runs it.
   */
  readonly #lookForLost = (): void => {
    clearTimeout(this.#looking)
    this.#looking = setTimeout(() => {
      this.#freeLost().catch((error: unknown) => this.#options.logger.warn({ err: error }, 'freeing jobs failed'))
    }, LOST_LOOK_MS)
  }

  async #freeLost(): Promise<void> {
    const { redis, bullPrefix, workerName, logger } = this.#options
    for (const host of new Set(this.#open.all.map((consumer) => consumer.host))) {
      const isLost = (worker: string, id: string): boolean =>
        worker === workerName && !this.#leases.has(id) && !this.#fetched.has(id)
      const freed = await freeHeldJobs(redis, { keys: { bullPrefix }, host }, isLost)
      if (freed > 0) logger.warn({ host, freed }, 'jobs that got lost on their way here are queued again')
    }
  }

  #consumer(host: string): HostConsumer {
    const { redis, bullPrefix, workerName, logger } = this.#options
    return new HostConsumer(host, {
      redis,
      bullPrefix,
      workerName,
      lockMs: this.#lockMs,
      process: (consumer, job, token) => this.#process(consumer, job, token),
      onFetched: (id) => this.#fetched.add(id),
      onRenewed: (id, sentAt) => this.#leases.get(id)?.renewed(sentAt),
      onLost: (ids) => this.#options.onLost(ids),
      onIdle: () => this.#balance(),
      onEnded: () => this.#wake(host),
      logger,
    })
  }

  async #process(consumer: HostConsumer, job: QueueJob<Dispatch>, token: string): Promise<void> {
    const id = job.id ?? ''
    this.#fetched.delete(id)
    consumer.found()
    // A consumer may have fetched one more before its pause took hold.
    if (!this.#takes || this.#active >= this.#options.limit) await release(job, token)
    using lease = createLease(this.#lockMs, performance.now() - (Date.now() - (job.processedOn ?? Date.now())))
    this.#leases.set(id, lease)
    this.#active += 1
    consumer.active += 1
    this.#moved()
    try {
      if (!(await this.#mayTake(consumer))) await release(job, token)
      consumer.taken += 1
      this.#turn += 1
      this.#turns.set(consumer.host, this.#turn)
      const end = await this.#run(job.data, lease)
      if (end.next === 'release') await release(job, token)
      if (end.next === 'delay') await delayUntil(end.until, job, token, () => this.#wakeLater(consumer.host, end.until))
    } finally {
      if (this.#leases.get(id) === lease) this.#leases.delete(id)
      this.#active -= 1
      consumer.active -= 1
      this.#moved()
    }
  }

  get #takes(): boolean {
    return !this.#stopping && !this.#rests
  }

  #moved(): void {
    this.#balance()
    this.#options.onMoved?.()
  }

  async #mayTake(consumer: HostConsumer): Promise<boolean> {
    const { limit } = this.#options
    const { host } = consumer
    const here = this.#open.all.reduce((sum, each) => (each.host === host ? sum + each.active : sum), 0)
    const others = [...this.hosts].filter((other) => other !== host)
    const kept = await this.#keptFor({ host, here, free: limit - this.#active }, others)
    if (kept.length === 0) return this.#takes
    consumer.restsUntil = performance.now() + REST_MS
    setTimeout(() => this.#balance(), REST_MS).unref()
    kept.forEach((other) => this.#wake(other))
    return false
  }

  /** A look that fails keeps nobody from a place: BullMQ would take the error for the job's. */
  async #keptFor(claim: PlaceClaim, others: readonly string[]): Promise<readonly string[]> {
    try {
      return await this.#shares.keptFor(claim, others)
    } catch (error) {
      this.#options.logger.warn({ err: error, host: claim.host }, 'looking for who else waits failed')
      return []
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

  /** Tells the consumers of the host, in whatever process, that there may be something to do. */
  #wake(host: string): void {
    const { redis, bullPrefix, logger } = this.#options
    wakeConsumers(redis, { keys: { bullPrefix }, host }).catch((error: unknown) =>
      logger.warn({ err: error, host }, 'waking consumers failed; they look by themselves'),
    )
  }

  #left(host: string): void {
    if (this.#stopping) return
    this.#wake(host)
    this.#balance()
  }

  #wakeLater(host: string, at: number): void {
    this.#wake(host)
    setTimeout(() => this.#stopping || this.#wake(host), Math.max(0, at - Date.now())).unref()
  }

  #lastTurn(host: string): number {
    return this.#turns.get(host) ?? 0
  }

  /**
   * Lets as many consumers ask for a job as there are free places, who had none for longest first; those that have found
   * nothing wait for word beside them. When no place is free all are paused.
   */
  #balance(): void {
    this.#open.takeTurns()
    const free = this.#takes ? this.#options.limit - this.#active : 0
    const now = performance.now()
    const consumers = this.#open.consumers
    const asking = consumers.filter((each) => !each.idle && each.restsUntil <= now && !each.isLate(now, ANSWER_MS))
    const next = asking.toSorted((one, other) => this.#lastTurn(one.host) - this.#lastTurn(other.host)).slice(0, free)
    const first = new Set(next)
    for (const consumer of consumers) {
      const beside = consumer.idle || consumer.isLate(now, ANSWER_MS)
      const takes = free > 0 && consumer.restsUntil <= now && (beside || first.has(consumer))
      consumer.set(takes, consumer.active + (consumers.length === 1 ? free : 1))
    }
  }
}
