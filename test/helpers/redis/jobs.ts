import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Clock } from '../../../src/lib/clock.ts'
import type { JobStoreOptions } from '../../../src/jobs/commands/job-store.ts'
import type { Job, JobResult, Problem } from '../../../src/jobs/model/definitions.ts'
import { createJobEventReader, type JobEventReader } from '../../../src/jobs/progress/events.ts'
import { createJobQueue, type JobQueue } from '../../../src/jobs/queue.ts'
import type { NewJob } from '../../../src/jobs/model/requests.ts'
import { createJobRuns, type JobRuns } from '../../../src/jobs/runs.ts'
import type { BegunRun } from '../../../src/jobs/progress/reports.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts'
import { waitFor } from '../wait-for.ts'

export interface TestJobs {
  redis: TestRedis
  /** Looks into Redis behind the queue's back. */
  raw: Redis
  queue: JobQueue
  runs: JobRuns
  events: JobEventReader
  clock: TestClock
  options: { redis: { socketPath: string }; secretKey: Uint8Array; clock: TestClock }
}

/** The real time, and as much later as a test says. */
export interface TestClock extends Clock {
  advance(ms: number): void
}

/** Both sides of the jobs over a Redis of their own. */
export async function startJobs(t: Cleanup, server: TestRedisOptions = {}): Promise<TestJobs> {
  const redis = await startRedis(t, server)
  const clock = createTestClock()
  const options = { redis: { socketPath: redis.socketPath }, secretKey: randomBytes(32), clock }
  const raw = new Redis(redis.clientOptions)
  raw.on('error', () => {})
  const queue = createJobQueue(options)
  const runs = createJobRuns(options)
  const events = createJobEventReader(options)
  defer(t, async () => {
    await Promise.all([queue.close(), runs.close(), events.close()])
    raw.disconnect()
  })
  await waitFor('the queue to answer', () => queue.ping(1000))
  await waitFor('the events to answer', async () => (await events.bounds('none')) === undefined)
  return { redis, raw, queue, runs, events, clock, options }
}

function createTestClock(): TestClock {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
    advance(ms) {
      ahead += ms
    },
  }
}

export function newJob(changes: Partial<NewJob> = {}): NewJob {
  return {
    kind: 'publish',
    source: 'file:/packages/zarf-package-nemo-amd64-1.2.0.tar.zst',
    destination: 'oci://registry.example:5000/team',
    options: { components: [] },
    labels: {},
    queueHost: 'registry.example:5000',
    registries: ['registry.example:5000'],
    principal: 'anonymous',
    requestId: 'request-1',
    ...changes,
  }
}

export const RESULT: JobResult = {
  reference: 'oci://registry.example:5000/team/nemo:1.2.0',
  digest: `sha256:${'a'.repeat(64)}`,
  architecture: 'amd64',
  layers: 3,
  bytes: 30,
  durationMs: 5,
}

export const PROBLEM: Problem = {
  type: '/docs/errors#REGISTRY_SERVER_FAILED',
  title: 'The registry failed',
  status: 502,
  detail: 'the registry answered 500',
  code: 'REGISTRY_SERVER_FAILED',
  retryable: true,
}

/** Begins the job's run of this round, which must be there to begin. */
export async function begin(jobs: TestJobs, job: Pick<Job, 'id'>, round = 1, worker = 'worker-1'): Promise<BegunRun> {
  const run = await jobs.runs.begin({ id: job.id, round }, worker)
  assert.ok(!run.ended, 'there is a run to begin')
  return run
}

/** As if the worker had given no sign for so long; Redis' clock cannot be set. */
export async function silence({ raw }: Pick<TestJobs, 'raw'>, worker: string, ms = 20_000): Promise<void> {
  const [seconds] = await raw.time()
  for (const key of ['{layerd}:workers', '{layerd}:workers:known'])
    await raw.zadd(key, 'XX', Number(seconds) * 1000 - ms, worker)
}

/** A second queue on the same jobs, which has limits of its own. */
export async function limitedQueue(
  t: Cleanup,
  { options }: TestJobs,
  limits: Pick<JobStoreOptions, 'maxHosts' | 'maxJobs'>,
): Promise<JobQueue> {
  const queue = createJobQueue({ ...options, ...limits })
  defer(t, () => queue.close())
  await waitFor('the queue to answer', () => queue.ping(1000))
  return queue
}
