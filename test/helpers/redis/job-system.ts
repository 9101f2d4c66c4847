import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import type { Job, JobEvent } from '../../../src/jobs/model/definitions.ts'
import { createBlobPlaces, type JobBlobPlaces } from '../../../src/jobs/hints/blob-places.ts'
import { createJobEventReader, type JobEventReader } from '../../../src/jobs/progress/events.ts'
import { createJobQueue, type JobQueue } from '../../../src/jobs/queue.ts'
import type { CreateOptions, NewJob } from '../../../src/jobs/model/requests.ts'
import type { RedisTarget } from '../../../src/jobs/redis/redis.ts'
import { type ContentStore, createContentStore } from '../../../src/store/content-store.ts'
import { createKeyRecords, type KeyRecords } from '../../../src/jobs/keys/key-records.ts'
import { createPolicyRecords, type PolicyRecords } from '../../../src/jobs/access/policy-records.ts'
import { createRegistryRecords } from '../../../src/jobs/registries/registry-records.ts'
import type { RegistryLimits } from '../../../src/content/limits/registry-limits.ts'
import type { JobWorker } from '../../../src/worker/worker.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { assertNothingLeft, type Places } from '../processes/leftovers.ts'
import { type RunningProcess, startProcess } from '../processes/processes.ts'
import { startRedis, type TestRedis } from './redis.ts'
import { tempDir } from '../temp-dir.ts'
import { startTestWorker, type WorkerChoices } from './test-worker.ts'
import { waitFor } from '../wait-for.ts'

/** With forty others at a processor Node alone needs a minute to start. */
const STARTS = { timeoutMs: 180_000 }
const WORKER_CHILD = fileURLToPath(new URL('worker-child.ts', import.meta.url))

/** Queue and workers in this process over a real Redis, as src/roles puts them together. */
export interface JobSystem {
  readonly redis: TestRedis
  readonly queue: JobQueue
  readonly events: JobEventReader
  readonly places: JobBlobPlaces
  readonly keys: KeyRecords
  readonly policies: PolicyRecords
  /** Of all workers. */
  readonly store: ContentStore
  worker(name: string, options?: WorkerChoices): Promise<JobWorker>
  /** One that can be stopped and killed; its requests carry layerd/NAME as User-Agent. Resolves once it takes jobs. */
  workerProcess(name: string, options?: WorkerChoices): Promise<RunningProcess>
  publish(path: string, destination: string, options?: Partial<NewJob> & CreateOptions): Promise<Job>
  /** Into the store. */
  pull(reference: string, options?: Partial<NewJob> & CreateOptions): Promise<Job>
  copy(reference: string, destination: string, options?: Partial<NewJob> & CreateOptions): Promise<Job>
  remove(reference: string, options?: Partial<NewJob> & CreateOptions): Promise<Job>
  retain(repository: string, options: NewJob['options'], more?: Partial<NewJob>): Promise<Job>
  /** Keeps the limits for a registry, in place of those that were. */
  limit(host: string, limits: Partial<RegistryLimits> | null): Promise<void>
  /** Waits until the job has ended. */
  ended(id: string): Promise<Job>
  /** Every event the job's stream holds. */
  log(id: string): Promise<JobEvent[]>
  /** In Redis (`server`, where it is not its own any more), the store, this process, the workers' processes, the registry. */
  assertNothingLeft(registry?: Places['registry'], server?: TestRedis): Promise<void>
}

export interface JobSystemOptions {
  roots: readonly string[]
  /** Default: a Redis of its own, over its socket. */
  redis?: { server: TestRedis; target: RedisTarget }
  /** Where uploads and the store lie. Default: a folder of its own. */
  folder?: string
}

export async function startJobSystem(t: Cleanup, options: JobSystemOptions): Promise<JobSystem> {
  const redis = options.redis?.server ?? (await startRedis(t))
  const target = {
    redis: options.redis?.target ?? { socketPath: redis.socketPath },
    secretKey: randomBytes(32),
  }
  const queue = createJobQueue(target)
  const events = createJobEventReader(target)
  await waitFor('the queue to be connected', () => queue.ping(1000))
  const folder = options.folder ?? (await tempDir(t))
  const places = createBlobPlaces(target)
  const records = createRegistryRecords({ ...target, role: 'starting' })
  const keys = createKeyRecords({ ...target, role: 'starting' })
  const policies = createPolicyRecords({ ...target, role: 'starting' })
  defer(t, async () => {
    await Promise.all([events.close(), places.close()])
    records.close()
    keys.close()
    policies.close()
    await queue.close()
  })

  const settings = { ...target, roots: options.roots, folder }
  const worker = (name: string, more: WorkerChoices = {}): Promise<JobWorker> =>
    startTestWorker(t, { ...settings, name, ...more })
  const children: RunningProcess[] = []
  const workerProcess = async (name: string, more: WorkerChoices = {}): Promise<RunningProcess> => {
    const argument = JSON.stringify({ ...settings, secretKey: target.secretKey.toString('hex'), name, ...more })
    const child = await startProcess(t, process.execPath, [WORKER_CHILD, argument])
    await child.waitForOutput(/takes jobs/, STARTS)
    children.push(child)
    return child
  }

  type Work = Pick<NewJob, 'kind' | 'source' | 'destination' | 'queueHost' | 'registries'>
  const create = async (work: Work, more: Partial<NewJob> & CreateOptions = {}): Promise<Job> => {
    const { credentials, idempotency, ...job } = more
    const { job: created } = await queue.create(
      { options: {}, labels: {}, principal: 'anonymous', requestId: 'test', ...work, ...job },
      { ...(credentials ? { credentials } : {}), ...(idempotency ? { idempotency } : {}) },
    )
    return created
  }

  const store = await createContentStore({ folder: join(folder, 'store') })
  return {
    redis,
    queue,
    events,
    places,
    keys,
    policies,
    store,
    worker,
    workerProcess,
    publish: (path, destination, more) =>
      create({ kind: 'publish', source: `file:${path}`, destination, ...hostOf(destination) }, more),
    pull: (reference, more) =>
      create({ kind: 'pull', source: reference, destination: 'store:', ...hostOf(reference) }, more),
    copy: (reference, destination, more) =>
      create({ kind: 'copy', source: reference, destination, ...hostOf(destination) }, more),
    remove: (reference, more) =>
      create({ kind: 'delete', source: reference, destination: null, ...hostOf(reference) }, more),
    retain: (source, jobOptions, more) =>
      create({ kind: 'retention', source, destination: null, ...hostOf(source) }, { options: jobOptions, ...more }),
    async limit(host, limits) {
      const none = { jobs: null, concurrency: null, requestsPerSecond: null, bytesPerSecond: null }
      const settings = {
        plainHttp: false,
        repositories: null,
        secret: undefined,
        limits: limits && { ...none, ...limits },
      }
      await records.put(host, settings, await records.get(host))
    },
    ended: (id) =>
      waitFor(`job ${id} to end`, async () => {
        const job = await queue.get(id)
        return job?.done ? job : undefined
      }),
    async log(id) {
      const logged = await events.replay(id, '0-0', 10_000)
      return logged.map(({ event }) => event)
    },
    async assertNothingLeft(registry, server = redis) {
      const raw = new Redis(server.clientOptions)
      const resting = [process.pid, ...children.filter((child) => child.isRunning()).map(({ pid }) => pid)]
      try {
        await assertNothingLeft({ redis: raw, registry, store: store.folder, resting })
      } finally {
        raw.disconnect()
      }
    },
  }
}

function hostOf(reference: string): Pick<NewJob, 'queueHost' | 'registries'> {
  const host = reference.replace(/^oci:\/\//, '').split('/')[0] ?? ''
  return { queueHost: host, registries: [host] }
}
