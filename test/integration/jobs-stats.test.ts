import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Progress } from '../../src/jobs/model/definitions.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import type { NewJob } from '../../src/jobs/model/requests.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { begin, newJob, PROBLEM, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { totalsOf } from '../helpers/redis/stats.ts'

const HOST = 'registry.example:5000'
const DISPATCH_MS = 20_000

describe('what jobs do is counted in Redis', () => {
  const stack = new CleanupStack()
  let jobs: TestJobs
  before(async () => {
    jobs = await startJobs(stack)
  })
  after(() => stack[Symbol.asyncDispose]())
  beforeEach(() => jobs.raw.flushall())

  const create = async (changes: Partial<NewJob> = {}) => (await jobs.queue.create(newJob(changes))).job
  const hour = (registry?: string) => jobs.queue.stats({ resolution: 'hour', buckets: 2, registry })
  const counted = async (registry?: string) => totalsOf(await hour(registry))
  const moved = (wireBytes: number, more: Partial<Progress> = {}): Progress => ({
    ...initialProgress(new Date().toISOString()),
    wireBytes,
    bytesSent: wireBytes,
    ...more,
  })

  test('a job that succeeds, once, however often its end is told', async () => {
    const job = await create()
    assert.deepEqual(await counted(), {})
    const { epoch } = await begin(jobs, job)
    assert.deepEqual(await counted(), { jobsBegun: 1 })
    await jobs.runs.report(job.id, epoch, { progress: moved(100) })
    await jobs.runs.report(job.id, epoch, { progress: moved(100) })
    assert.deepEqual(await counted(), { jobsBegun: 1, bytesSent: 100, wireBytesSent: 100 })
    const end = { state: 'succeeded', result: RESULT } as const
    await jobs.runs.finish(job.id, epoch, end, { progress: moved(150, { bytesSent: 120 }) })
    assert.deepEqual(await jobs.runs.finish(job.id, epoch, end, { progress: moved(500) }), { fenced: true })
    const all = { jobsBegun: 1, jobsSucceeded: 1, bytesSent: 120, wireBytesSent: 150 }
    assert.deepEqual(await counted(), all)
    assert.deepEqual(await counted(HOST), all)
    assert.deepEqual(await counted('other.example'), {})
    const stats = await hour()
    assert.deepEqual(
      stats.registries.map((one) => [one.registry, totalsOf(one)]),
      [[HOST, all]],
    )
    assert.deepEqual(
      stats.kinds.map((one) => [one.kind, totalsOf(one)]),
      [['publish', all]],
    )
    assert.equal(stats.otherRegistries, undefined)
  })

  test('a takeover counts neither the job nor its bytes again, and who was replaced counts nothing', async () => {
    const job = await create()
    const lost = await begin(jobs, job)
    await jobs.runs.report(job.id, lost.epoch, { progress: moved(100) })
    const next = await begin(jobs, job, 1, 'worker-2')
    assert.equal(next.job.progress.wireBytes, 100)
    assert.equal(await jobs.runs.report(job.id, lost.epoch, { progress: moved(900) }), 'fenced')
    // The registry has kept more than the lost worker could tell: 40 that were sent and never told, and 60 of those that were.
    await jobs.runs.report(job.id, next.epoch, { progress: moved(130, { bytesSent: 70, bytesResumed: 100 }) })
    assert.deepEqual(await counted(), { jobsBegun: 1, bytesSent: 130, wireBytesSent: 130 })
    const retryAt = new Date(Date.now() + DISPATCH_MS)
    await jobs.runs.finish(job.id, next.epoch, { state: 'retrying', retryAt, error: PROBLEM }, { progress: moved(140) })
    const last = await begin(jobs, job, 1, 'worker-3')
    await jobs.runs.finish(job.id, last.epoch, { state: 'failed', error: PROBLEM })
    const { jobsBegun, jobsFailed, wireBytesSent } = await counted()
    assert.deepEqual([jobsBegun, jobsFailed, wireBytesSent], [1, 1, 140])
  })

  test('ends without a run, of runs without a worker, and of a retry', async () => {
    const canceled = await create()
    await jobs.queue.cancel(canceled.id)
    await jobs.queue.cancel(canceled.id)
    assert.deepEqual(await counted(), { jobsCanceled: 1 })

    await jobs.queue.retry(canceled.id)
    await begin(jobs, canceled, 2)
    await jobs.queue.cancel(canceled.id)
    jobs.clock.advance(60_000)
    assert.equal(await jobs.runs.reapAbandoned(), 1)
    assert.deepEqual(await counted(), { jobsBegun: 1, jobsCanceled: 2 })

    const stalled = await create()
    for (const worker of ['a', 'b', 'c']) await begin(jobs, stalled, 1, worker)
    assert.equal((await jobs.runs.begin({ id: stalled.id, round: 1 }, 'd')).ended, true)
    assert.deepEqual(await counted(), { jobsBegun: 2, jobsCanceled: 2, jobsFailed: 1 })
    await jobs.queue.retry(stalled.id)
    const { epoch } = await begin(jobs, stalled, 2)
    await jobs.runs.finish(stalled.id, epoch, { state: 'succeeded', result: RESULT })
    assert.deepEqual(await counted(), { jobsBegun: 3, jobsCanceled: 2, jobsFailed: 1, jobsSucceeded: 1 })

    const paused = await create()
    const run = await begin(jobs, paused)
    await jobs.queue.pause(paused.id)
    await jobs.runs.finish(paused.id, run.epoch, { state: 'paused', reason: null })
    await jobs.queue.resume(paused.id)
    await begin(jobs, paused, 2)
    assert.equal((await counted()).jobsBegun, 4)
  })

  test('each kind at the registries that it has to do with', async () => {
    const from = 'from.example'
    const pull = {
      kind: 'pull',
      source: `oci://${from}/nemo:1`,
      destination: null,
      queueHost: from,
      registries: [from],
    } as const
    const copy = { kind: 'copy', source: `oci://${from}/nemo:1`, registries: [HOST, from] } as const
    const inside = { kind: 'copy', source: `oci://${HOST}/nemo:1` } as const
    const look = {
      kind: 'verify',
      source: 'file:/nemo.tar',
      destination: null,
      queueHost: 'local',
      registries: [],
    } as const
    for (const [changes, bytes] of [
      [pull, 1],
      [copy, 10],
      [inside, 100],
      [look, 1000],
    ] as const) {
      const job = await create(changes)
      const { epoch } = await begin(jobs, job)
      await jobs.runs.report(job.id, epoch, { progress: moved(bytes) })
    }
    const bytes = async (registry?: string) => {
      const { wireBytesSent = 0, wireBytesReceived = 0 } = await counted(registry)
      return [wireBytesSent, wireBytesReceived]
    }
    assert.deepEqual(await bytes(), [110, 111])
    assert.deepEqual(await bytes(from), [0, 11])
    assert.deepEqual(await bytes(HOST), [110, 100])
    assert.deepEqual(await counted('local'), { jobsBegun: 1 })
    const { kinds } = await hour()
    assert.deepEqual(
      kinds.map(({ kind }) => kind),
      ['publish', 'pull', 'copy', 'verify'].slice(1),
    )
    assert.deepEqual(totalsOf(await jobs.queue.stats({ resolution: 'hour', buckets: 2, kinds: ['pull', 'verify'] })), {
      jobsBegun: 2,
      bytesReceived: 1,
      wireBytesReceived: 1,
    })
  })
})
