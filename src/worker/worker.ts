import { createKeys } from '../jobs/redis/keys.ts'
import { connectRedis, type RedisTarget, troubleOf } from '../jobs/redis/redis.ts'
import type { Dispatch } from '../jobs/dispatch/dispatch.ts'
import type { JobRuns, LeftUpload } from '../jobs/runs.ts'
import { listenForSignals } from '../jobs/redis/signals.ts'
import { childController } from '../lib/abort.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { type ConsumerOptions, type Consumers, createConsumers } from './consumers.ts'
import type { Lease } from './run-lease.ts'
import { type RunEnd, type RunOptions, runJob } from './run-job.ts'
import { createOwnFigures } from './presence/own-figures.ts'
import { createPresence, type Presence } from './presence/presence.ts'
import { bothObserve, NOBODY } from './run-observer.ts'
import { startUpkeep } from './upkeep.ts'

/** A consumer without open jobs is closed after this; design.md "One queue per registry host". */
const IDLE_CONSUMER_MS = 60_000
const HOSTS_INTERVAL_MS = 5000
const TIDY_INTERVAL_MS = 1000

export interface WorkerOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX. */
  prefix?: string
  runs: JobRuns
  /** Unique per incarnation: a dead one's locks are found by it. */
  name: string
  /** What people call it, and the version of layerd. Default: its name, and none. */
  label?: string
  version?: string
  work: RunOptions['work']
  /** Tells a registry to drop an upload that nobody goes on with; false where it could not be told. Must not throw. */
  giveUp(left: LeftUpload): Promise<boolean>
  /** Jobs at once in this process. LAYERD_JOBS_PER_WORKER. */
  jobs: number
  /** How long a run of this process that died or was stopped keeps others from its job. Default 30 s. */
  lockMs?: number
  logger: Logger
  /** ConsumerOptions. */
  turn?: ConsumerOptions['turn']
  /** RunOptions. */
  observer?: RunOptions['observer']
  sharedTraces?: RunOptions['sharedTraces']
  slow?: RunOptions['slow']
  clock?: Clock
}

export interface JobWorker {
  /** Jobs that run now. */
  readonly active: number
  /** Whether it could take jobs: Redis answers, and it was not told to stop. A drained one is ready all the same. */
  ready(): Promise<boolean>
  /**
   * Takes no new job, hands those that run back to the queue and closes. Resolves when all is done, at most after
   * `graceMs`; `drained` says whether it all was.
   */
  stop(graceMs: number): Promise<{ drained: boolean }>
}

const READY_WITHIN_MS = 2000
const DRAINED = new AppError('SHUTTING_DOWN', 'this worker is drained', {
  details: { reason: 'its worker was drained and handed it over' },
})

/** Takes jobs and runs them until it is stopped. Resolves once the first consumers are open and the worker is counted. */
export async function startWorker(options: WorkerOptions): Promise<JobWorker> {
  const { logger, runs, clock = systemClock, name } = options
  const redis = connectRedis(options.redis, { role: 'worker', name: 'layerd-consumers', logger })
  const figures = createOwnFigures()
  const running = createRunningJobs({
    ...options,
    workerName: name,
    clock,
    observer: bothObserve(figures.observer, options.observer ?? NOBODY),
  })
  const presence = createPresence({
    runs,
    id: name,
    name: options.label ?? name,
    version: options.version ?? '',
    places: options.jobs,
    figures,
    active: () => consumers.active,
    obey(drain) {
      logger.info(drain ?? {}, drain ? 'worker is drained: it takes no more jobs' : 'worker takes jobs again')
      consumers.rest(drain !== undefined)
      running.handOver(drain?.handOver === true ? DRAINED : undefined)
      if (!drain) readHosts()
    },
    logger,
  })
  const consumers = openConsumers(options, { redis, running, presence })
  const chore = hostReader(options, consumers)
  const readHosts = (): void =>
    void chore().catch((error: unknown) => logger.warn({ err: error }, 'reading the hosts failed'))
  const stopListening = listen(options, { running, presence, consumers, readHosts })
  await presence.start()
  await chore()
  let stopping = false
  const stopUpkeep = startUpkeep(runs, {
    logger,
    extra: [
      { every: HOSTS_INTERVAL_MS, task: chore },
      { every: TIDY_INTERVAL_MS, task: () => runs.tidyJobs((left) => options.giveUp(left)) },
    ],
  })
  return {
    get active() {
      return consumers.active
    },
    ready: async () => !stopping && (await troubleOf(redis, READY_WITHIN_MS)) === undefined,
    async stop(graceMs) {
      stopping = true
      stopUpkeep()
      await consumers.pause()
      presence.end()
      running.handOver(new AppError('SHUTTING_DOWN', 'this worker is shutting down'))
      // While Redis is gone it does not end.
      const drained = await endsWithin(graceMs, leave(options, { consumers, presence }), clock)
      void presence.close()
      await stopListening()
      redis.disconnect()
      return { drained }
    },
  }
}

interface WorkerParts {
  redis: ReturnType<typeof connectRedis>
  running: RunningJobs
  presence: Presence
  consumers: Consumers
  readHosts: () => void
}

function openConsumers(
  options: WorkerOptions,
  { redis, running, presence }: Pick<WorkerParts, 'redis' | 'running' | 'presence'>,
): Consumers {
  const { lockMs, turn } = options
  return createConsumers({
    redis,
    bullPrefix: createKeys(options.prefix).bullPrefix,
    workerName: options.name,
    limit: options.jobs,
    allPlaces: () => presence.allPlaces,
    logger: options.logger,
    ...(lockMs === undefined ? {} : { lockMs }),
    ...(turn === undefined ? {} : { turn }),
    run: (dispatch, lease) => running.run(dispatch, lease),
    onLost: (ids) => ids.forEach((id) => running.abort(jobIdOf(id), fenced('its lock was lost'))),
    onMoved: () => presence.moved(),
  })
}

function listen(
  { redis, prefix, name, logger }: WorkerOptions,
  { running, presence, consumers, readHosts }: Omit<WorkerParts, 'redis'>,
): () => Promise<void> {
  return listenForSignals(
    { redis, ...(prefix === undefined ? {} : { prefix }), logger },
    {
      stop: (jobId, reason) => running.abort(jobId, reason),
      host: (host) => consumers.open(host),
      worker: (id) => id === name && presence.ask(),
      gap() {
        presence.ask()
        running.ids.forEach((id) => void running.recheck(id))
        readHosts()
      },
    },
  )
}

async function leave(
  { runs, name, logger }: WorkerOptions,
  { consumers, presence }: Pick<WorkerParts, 'consumers' | 'presence'>,
): Promise<void> {
  await consumers.shutdown()
  await presence.close()
  await runs.forgetWorker(name).catch((error: unknown) => logger.warn({ err: error }, 'leaving failed'))
}

async function endsWithin(limitMs: number, work: Promise<void>, clock: Clock): Promise<boolean> {
  using waiting = childController()
  const late = clock.sleep(limitMs, waiting.signal).then(
    () => false,
    () => false,
  )
  const ended = await Promise.race([work.then(() => true), late])
  waiting.abort()
  return ended
}

/** The jobs that this process runs, by id, and how to stop each. */
interface RunningJobs {
  run(dispatch: Dispatch, lease: Lease): Promise<RunEnd>
  abort(jobId: string, reason: AppError): void
  /** All of them, and those that begin from then on, end so; undefined: those that begin do not. */
  handOver(reason: AppError | undefined): void
  /** Looks whether somebody asked to stop it: that may have been published while nobody here listened for it. */
  recheck(jobId: string): Promise<void>
  readonly ids: readonly string[]
}

function createRunningJobs(run: RunOptions): RunningJobs {
  const aborts = new Map<string, (reason: AppError) => void>()
  let leaving: AppError | undefined
  const recheck = async (jobId: string): Promise<void> => {
    try {
      const reason = await run.runs.readStop(jobId)
      if (reason !== undefined) aborts.get(jobId)?.(reason)
    } catch (error) {
      run.logger.warn({ err: error, jobId }, 'asking for a requested stop failed')
    }
  }
  return {
    async run(dispatch, lease) {
      let own: ((reason: AppError) => void) | undefined
      try {
        return await runJob(dispatch, run, {
          lease,
          begun(abort) {
            // After an outage of Redis a job may come back to the process that still runs it.
            aborts.get(dispatch.id)?.(fenced('a newer run of it began here'))
            own = abort
            aborts.set(dispatch.id, abort)
            // It was on its way when all were told.
            if (leaving) abort(leaving)
            void recheck(dispatch.id)
          },
        })
      } finally {
        if (own && aborts.get(dispatch.id) === own) aborts.delete(dispatch.id)
      }
    },
    abort: (jobId, reason) => aborts.get(jobId)?.(reason),
    recheck,
    handOver(reason) {
      leaving = reason
      if (reason) for (const abort of aborts.values()) abort(reason)
    },
    get ids() {
      return [...aborts.keys()]
    },
  }
}

/** Opens a consumer for each host with open jobs and closes those that had none for a while. */
function hostReader({ runs, name, clock = systemClock }: WorkerOptions, consumers: Consumers): () => Promise<void> {
  const lastOpen = new Map<string, number>()
  return async () => {
    const now = clock.now()
    await runs.settleQueues(name)
    const busy = (await runs.hosts()).filter(({ openJobs }) => openJobs > 0).map(({ host }) => host)
    for (const host of busy) lastOpen.set(host, now)
    await consumers.see(busy)
    for (const host of consumers.hosts) if (!lastOpen.has(host)) lastOpen.set(host, now)
    const idle = [...consumers.hosts].filter((host) => now - (lastOpen.get(host) ?? now) > IDLE_CONSUMER_MS)
    await consumers.close(idle)
    for (const host of lastOpen.keys()) if (!consumers.hosts.has(host)) lastOpen.delete(host)
  }
}

/** BullMQ's id of a dispatch begins with ours. */
function jobIdOf(dispatchId: string): string {
  return dispatchId.split('.')[0] ?? dispatchId
}

function fenced(why: string): AppError {
  return new AppError('JOB_FENCED', `this run no longer owns the job: ${why}`)
}
