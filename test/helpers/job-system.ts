import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Job, JobEvent } from '../../src/jobs/definitions.ts'
import { createUploadCheckpoints } from '../../src/jobs/checkpoints.ts'
import { createBlobPlaces, type JobBlobPlaces } from '../../src/jobs/blob-places.ts'
import { createJobEventReader, type JobEventReader } from '../../src/jobs/events.ts'
import { createTagLocks } from '../../src/jobs/locks.ts'
import {
  createJobQueue,
  type CreateOptions,
  type JobCredentials,
  type JobQueue,
  type NewJob,
} from '../../src/jobs/queue.ts'
import { createTransferClaims } from '../../src/jobs/transfer-claims.ts'
import { createJobRuns } from '../../src/jobs/runs.ts'
import { createLogger, silentLogger } from '../../src/lib/logger.ts'
import { openUploadFolder } from '../../src/lib/upload-folder.ts'
import { createRegistryConnections } from '../../src/oci/connections.ts'
import { fixedCredentials } from '../../src/oci/credentials/fixed.ts'
import { createRegistryClient, type RegistryClientOptions } from '../../src/oci/registry.ts'
import { type ContentStore, createContentStore } from '../../src/store/content-store.ts'
import type { Registries } from '../../src/worker/registry-access.ts'
import { publishWork } from '../../src/worker/run-publish.ts'
import { pullWork } from '../../src/worker/run-pull.ts'
import { type JobWorker, startWorker } from '../../src/worker/worker.ts'
import { openPackage } from '../../src/zarf/package.ts'
import { type Cleanup, defer } from './cleanup.ts'
import { startRedis, type TestRedis } from './redis.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

/** Queue and workers in this process over a real Redis, as src/roles puts them together. */
export interface JobSystem {
  readonly redis: TestRedis
  readonly queue: JobQueue
  readonly events: JobEventReader
  readonly places: JobBlobPlaces
  /** Of all workers. */
  readonly store: ContentStore
  worker(name: string, options?: { jobs?: number }): Promise<JobWorker>
  publish(path: string, destination: string, options?: Partial<NewJob> & CreateOptions): Promise<Job>
  /** Into the store. */
  pull(reference: string, options?: Partial<NewJob> & CreateOptions): Promise<Job>
  /** Waits until the job has ended. */
  ended(id: string): Promise<Job>
  /** Every event the job's stream holds. */
  log(id: string): Promise<JobEvent[]>
}

interface ClientAccess extends Pick<RegistryClientOptions, 'sessions' | 'signal'> {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

export async function startJobSystem(t: Cleanup, options: { roots: readonly string[] }): Promise<JobSystem> {
  const redis = await startRedis(t)
  const target = { redis: { socketPath: redis.socketPath }, secretKey: randomBytes(32) }
  const queue = createJobQueue(target)
  const events = createJobEventReader(target)
  await waitFor('the queue to be connected', () => queue.ping(1000))
  const folder = await tempDir(t)
  const uploads = await openUploadFolder({ folder: join(folder, 'uploads') })
  const openStore = () => createContentStore({ folder: join(folder, 'store') })
  const places = createBlobPlaces(target)
  defer(t, async () => {
    await Promise.all([events.close(), places.close()])
    await queue.close()
  })

  const worker = async (name: string, { jobs = 4 } = {}): Promise<JobWorker> => {
    const runs = createJobRuns(target)
    const locks = createTagLocks(target)
    const checkpoints = createUploadCheckpoints(target)
    const claims = createTransferClaims(target)
    const ownPlaces = createBlobPlaces(target)
    const connections = createRegistryConnections({ version: 'test' })
    const clientFor = ({ credentials, plainHttp, ...access }: ClientAccess) =>
      createRegistryClient({
        ...access,
        connections,
        credentials: credentials
          ? fixedCredentials(credentials.registry, credentials)
          : { credential: async () => undefined },
        plainHttp: () => plainHttp,
      })
    const registries: Registries = ({ jobId, epoch, ...access }) => {
      const client = clientFor({ ...access, sessions: checkpoints.forRun(jobId, epoch) })
      return (registry, repository) => client.repository(registry, repository)
    }
    const sources = { roots: options.roots, uploads }
    const publish = publishWork({ sources, locks, claims, places: ownPlaces, openPackage, registries })
    const pull = pullWork({ store: await openStore(), roots: options.roots, registries, places: ownPlaces })
    const started = await startWorker({
      ...target,
      runs,
      name,
      work: { publish, pull },
      async giveUp({ key, location, credentials, plainHttp }) {
        const client = clientFor({ credentials, plainHttp, signal: AbortSignal.timeout(5000) })
        await (await client.repository(key.registry, key.repository)).cancelUpload(new URL(location))
      },
      jobs,
      logger: process.env['DEBUG_LOG'] ? createLogger({ level: 'debug', name: name }) : silentLogger,
    })
    defer(t, async () => {
      await started.stop(10_000)
      await connections[Symbol.asyncDispose]()
      await Promise.all([runs, locks, checkpoints, claims, ownPlaces].map((part) => part.close()))
    })
    return started
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

  return {
    redis,
    queue,
    events,
    places,
    store: await openStore(),
    worker,
    publish: (path, destination, more) =>
      create({ kind: 'publish', source: `file:${path}`, destination, ...hostOf(destination) }, more),
    pull: (reference, more) =>
      create({ kind: 'pull', source: reference, destination: 'store:', ...hostOf(reference) }, more),
    ended: (id) =>
      waitFor(
        `job ${id} to end`,
        async () => {
          const job = await queue.get(id)
          return job?.done ? job : undefined
        },
        { timeoutMs: 60_000 },
      ),
    async log(id) {
      const logged = await events.replay(id, '0-0', 10_000)
      return logged.map(({ event }) => event)
    },
  }
}

function hostOf(reference: string): Pick<NewJob, 'queueHost' | 'registries'> {
  const host = reference.replace(/^oci:\/\//, '').split('/')[0] ?? ''
  return { queueHost: host, registries: [host] }
}
