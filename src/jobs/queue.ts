import {
  cancelJob,
  type CommandContext,
  createJob,
  pauseJob,
  readJob,
  removeJob,
  requireJob,
  resumeJob,
  retryJob,
} from './commands/commands.ts'
import type { Principal } from '../access/principal.ts'
import type { Job, Transfer } from './model/definitions.ts'
import type { JobRuns } from './model/job-run.ts'
import { type JobStoreOptions, openJobStore } from './commands/job-store.ts'
import { createJobIds } from './model/job-id.ts'
import { listJobs } from './record/listing.ts'
import { isAlone } from './record/job-order.ts'
import { viewOf } from './record/view.ts'
import { troubleOf, guarded } from './redis/redis.ts'
import type {
  AgainOptions,
  CommandOptions,
  CreateOptions,
  JobFilter,
  NewJob,
  Page,
  PageOf,
  TransferFilter,
  TransferPage,
} from './model/requests.ts'
import { type JobFigures, readFigures } from './commands/figures.ts'
import { jobsUnderOlderKeys } from './commands/older-keys.ts'
import { ensureOwners } from './commands/owners.ts'
import { withWaits } from './commands/waits.ts'
import { recountOpen } from './commands/upkeep.ts'
import { createQueues, type Queues } from './system/queues.ts'
import { type LogRange, type PlacedLine, readJobLog } from './progress/job-log.ts'
import { readRuns } from './progress/job-runs.ts'
import { type JobTrace, readTrace } from './progress/trace.ts'
import { listTransfers, matchingTransfers } from './progress/transfers.ts'
import { countWorkers, createWorkers, type Workers } from './system/worker-records.ts'
import { type RedisFacts, readRedisFacts } from './system/redis-facts.ts'
import { createStoreCheckRecords, type StoreCheckRecords } from './system/store-check-records.ts'
import { type JobStats, readStats, type StatsQuery } from './system/stats.ts'
import { createSingleFlight } from '../lib/single-flight.ts'

/** The API's side of the jobs. Every call throws QUEUE_UNAVAILABLE at once (no hang) while Redis is gone. */
export interface JobQueue {
  /**
   * Record, idempotency key, credentials and outbox entry in one script, then BullMQ; the job is kept once this resolves.
   * `replayed` is true when the same key and body made it before. Throws IDEMPOTENCY_MISMATCH.
   */
  create(job: NewJob, options?: CreateOptions): Promise<{ job: Job; replayed: boolean }>
  /** `isSeen`: who may not see it takes as long to hear that there is none as if there were none. Default: everybody does. */
  get(id: string, isSeen?: (job: Job) => boolean): Promise<Job | undefined>
  /** Newest first, of those that `who` sees. */
  list(filter: JobFilter, page: Page, who: Principal): Promise<PageOf<Job>>
  /** Throws JOB_NOT_FOUND. */
  transfers(id: string, page: Page, filter?: TransferFilter): Promise<TransferPage>
  /** All rows at once, 14,000 at most. Throws JOB_NOT_FOUND. */
  allTransfers(id: string, filter?: TransferFilter): Promise<Transfer[]>
  /** Lines of the job's log after the place `after` (exclusive; default all), oldest first. Throws JOB_NOT_FOUND. */
  log(id: string, range: LogRange): Promise<PlacedLine[]>
  /** The job's runs, oldest first, a hundred at most. Throws JOB_NOT_FOUND. */
  runs(id: string): Promise<JobRuns>
  /** The job's requests to registries, those that are kept. Throws JOB_NOT_FOUND. */
  trace(id: string): Promise<JobTrace>
  /** queued -> canceled; running -> canceling and the owner is woken; canceled or canceling: the same answer again. Throws JOB_FINISHED (details.job), JOB_NOT_FOUND. */
  cancel(id: string, options?: CommandOptions & { reason?: string }): Promise<Job>
  /**
   * What waits -> paused; running stays running, its owner is woken and it ends paused; paused: the same answer again.
   * Throws JOB_FINISHED (details.job) for one that has ended or is being canceled, JOB_NOT_FOUND.
   */
  pause(id: string, options?: CommandOptions & { reason?: string }): Promise<Job>
  /** paused -> queued, and goes on from its checkpoints; a job that is not paused is answered as it is. Throws as pause does. */
  resume(id: string, options?: AgainOptions): Promise<Job>
  /** failed or canceled -> queued, same id. Throws JOB_FINISHED for succeeded, JOB_NOT_FINISHED for an active one. */
  retry(id: string, options?: AgainOptions): Promise<Job>
  /** Removes a terminal job. Throws JOB_NOT_FINISHED, JOB_NOT_FOUND. */
  remove(id: string): Promise<void>
  /** Resolves true when Redis answers within `timeoutMs`. */
  ping(timeoutMs: number): Promise<boolean>
  /** What is wrong with Redis, as a sentence: it is silent for `timeoutMs`, or refuses to serve. Undefined when nothing is. */
  trouble(timeoutMs: number): Promise<string | undefined>
  /** What Redis tells of itself. */
  redisFacts(): Promise<RedisFacts>
  /** Checks of the store, as their processes tell of them. */
  readonly storeChecks: StoreCheckRecords<unknown>
  /** How many worker processes have given a sign within the last 15 s, drained ones among them. */
  liveWorkers(): Promise<number>
  /** The worker processes. */
  readonly workers: Workers
  /** How many jobs have credentials that are sealed under an older key. Looks at all of Redis. */
  underOlderKeys(): Promise<number>
  /** The queue of each registry. */
  readonly queues: Queues
  /** What jobs moved and how they ended, by time. Calls for the same while one is under way share its answer. */
  stats(query: StatsQuery): Promise<JobStats>
  /** What there is of jobs and workers, counted by Redis. */
  figures(): Promise<JobFigures>
  close(): Promise<void>
}

/** Opens a connection of its own and does not wait for it: while Redis is gone every call throws QUEUE_UNAVAILABLE. */
export function createJobQueue(options: JobStoreOptions): JobQueue {
  const store = openJobStore(options, { role: 'api', name: 'layerd-api' })
  const context: CommandContext = { ...store, newId: createJobIds() }
  const { redis, keys } = store
  const stats = createSingleFlight<JobStats>()
  const ofJob = <T>(id: string, read: () => Promise<T>): Promise<T> =>
    guarded(async () => {
      await requireJob(context, id)
      return read()
    })
  const told = async (job: Job): Promise<Job> => (await withWaits(store, [job]))[0] ?? job
  return {
    create: (job, createOptions = {}) =>
      guarded(async () => {
        const made = await createJob(context, job, createOptions)
        return { ...made, job: await told(made.job) }
      }),
    get: (id, isSeen = () => true) =>
      guarded(async () => {
        const job = await readJob(context, id)
        return job && isSeen(job) ? await told(job) : undefined
      }),
    list: (filter, page, who) =>
      guarded(async () => {
        const view = viewOf(who)
        if (isAlone(view)) await ensureOwners(store)
        const found = await listJobs(redis, keys, { filter, view, ...page })
        return { ...found, items: await withWaits(store, found.items) }
      }),
    transfers: (id, page, filter = {}) => ofJob(id, () => listTransfers(redis, keys, id, { filter, page })),
    allTransfers: (id, filter = {}) => ofJob(id, () => matchingTransfers(redis, keys, id, filter)),
    log: (id, range) => ofJob(id, () => readJobLog(redis, keys, id, range)),
    runs: (id) => ofJob(id, () => readRuns(redis, keys, id)),
    trace: (id) => ofJob(id, () => readTrace(redis, keys, id)),
    cancel: (id, command = {}) => guarded(async () => told(await cancelJob(context, id, command))),
    pause: (id, command = {}) => guarded(async () => told(await pauseJob(context, id, command))),
    resume: (id, command = {}) => guarded(async () => told(await resumeJob(context, id, command))),
    retry: (id, command = {}) => guarded(async () => told(await retryJob(context, id, command))),
    remove: (id) => guarded(() => removeJob(context, id)),
    ...systemOf(store),
    stats: (query) => guarded(() => stats.run(JSON.stringify(query), () => readStats(redis, keys, query))),
    underOlderKeys: () => guarded(() => jobsUnderOlderKeys(context)),
    close: () => store.close(),
  }
}

type SystemCalls = 'ping' | 'trouble' | 'redisFacts' | 'storeChecks' | 'liveWorkers' | 'workers' | 'queues' | 'figures'

function systemOf(store: ReturnType<typeof openJobStore>): Pick<JobQueue, SystemCalls> {
  const { redis } = store
  return {
    ping: async (timeoutMs) => (await troubleOf(redis, timeoutMs)) === undefined,
    trouble: (timeoutMs) => troubleOf(redis, timeoutMs),
    redisFacts: () => guarded(() => readRedisFacts(redis)),
    storeChecks: createStoreCheckRecords(store),
    liveWorkers: () => guarded(async () => (await countWorkers(store)).live),
    workers: createWorkers(store),
    queues: createQueues({ ...store, recount: () => recountOpen(store) }),
    figures: () => guarded(() => readFigures(store)),
  }
}
