import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queue } from '../../src/http/schemas/system/queue.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { createJobQueue } from '../../src/jobs/queue.ts'
import { createJobRuns } from '../../src/jobs/runs.ts'
import { defer } from '../helpers/cleanup.ts'
import { addJob, hostOf, startInstantWorker } from '../helpers/redis/instant-worker.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOST = 'registry.example:5000'
const META = '{layerd}:bull:registry.example%3A5000:meta'

async function keep({ app }: TestApp, limits: object | null, host = HOST): Promise<void> {
  const url = `/v1/registries/${encodeURIComponent(host)}`
  const seen = (await app.inject(url)).headers.etag
  const headers = typeof seen === 'string' ? { 'if-match': seen } : {}
  const answer = await app.inject({ method: 'PUT', url, headers, payload: { limits } })
  assert.ok(answer.statusCode < 300, answer.body)
}

async function queueOf({ app }: TestApp): Promise<Queue> {
  return (await app.inject(`/v1/queues/${HOST}`)).json<Queue>()
}

test('how many jobs of a registry run at once is changed while they run, in all processes at once', async (t) => {
  const bed = await startApp(t)
  const started: string[] = []
  const gates = new Map<string, () => void>()
  t.after(() => gates.forEach((end) => end()))
  for (const name of ['one', 'two']) {
    await startInstantWorker(t, bed.jobs, {
      name,
      jobs: 6,
      async run(job) {
        if (hostOf(job) !== HOST) return
        const { promise, resolve } = Promise.withResolvers<undefined>()
        gates.set(job.id, () => resolve(undefined))
        started.push(job.id)
        await promise
      },
    })
  }
  const end = (count: number) => [...gates].slice(0, count).forEach(([id, done]) => gates.delete(id) && done())
  const begun = (count: number) => waitFor(`${count} to have begun`, () => started.length === count)
  const running = (count: number) => waitFor(`${count} to run`, async () => (await queueOf(bed)).jobs.running === count)
  for (let at = 0; at < 20; at += 1) await addJob(bed.jobs, HOST)
  await begun(8)
  assert.deepEqual((await queueOf(bed)).limits.jobs, { value: 8, from: 'environment' })

  await keep(bed, { jobs: 3, concurrency: 5 })
  const lowered = await queueOf(bed)
  assert.deepEqual(lowered.limits.jobs, { value: 3, from: 'setting' })
  assert.equal(lowered.jobs.running, 8, 'those that run go on')
  assert.equal(lowered.reason, `${HOST} has all 3 jobs that it may have at once`)
  end(5)
  await running(3)
  const other = await addJob(bed.jobs, 'other.example')
  await waitFor('another to end', async () => (await bed.jobs.queue.get(other))?.done)
  assert.equal(started.length, 8)
  end(1)
  await begun(9)
  await keep(bed, { jobs: 6 })
  await begun(12)
  await running(6)
  await keep(bed, { jobs: 1 })
  end(6)
  await begun(13)
  await running(1)
  const headers = { 'if-match': '*' }
  assert.equal((await bed.app.inject({ method: 'DELETE', url: `/v1/registries/${HOST}`, headers })).statusCode, 204)
  await begun(20)
  assert.deepEqual((await queueOf(bed)).limits.jobs, { value: 8, from: 'environment' })
})

test('where nothing is kept the least that a live worker says holds, whoever opens or says it last', async (t) => {
  const bed = await startApp(t)
  const { options, raw } = bed.jobs
  const [few, many] = [2, 5].map((registryJobs) => createJobRuns({ ...options, registryJobs }))
  assert.ok(few && many)
  const api = createJobQueue({ ...options, registryJobs: 1 })
  defer(t, async () => void (await Promise.all([few.close(), many.close(), api.close()])))
  await waitFor('it to answer', () => api.ping(1000))
  const concurrency = async () => Number(await raw.hget(META, 'concurrency'))
  await bed.jobs.queue.create(newJob())
  await many.heartbeat('many')
  await many.settleQueues('many')
  assert.equal(await concurrency(), 5, 'what waited before there was a worker')
  await few.heartbeat('few')
  await few.settleQueues('few')
  assert.equal(await concurrency(), 2)
  await many.settleQueues('many')
  await api.create(newJob())
  assert.equal(await concurrency(), 2)
  assert.deepEqual((await queueOf(bed)).limits.jobs, { value: 2, from: 'environment' })
  await few.forgetWorker('few')
  await many.settleQueues('many')
  assert.equal(await concurrency(), 5)
  // As a fail-over loses it, or a process of an older version sets it.
  await raw.hset(META, 'concurrency', 99, 'paused', 1)
  await raw.del('{layerd}:queues:jobs:settled')
  assert.equal(await many.settleQueues('many'), 1)
  assert.deepEqual(await raw.hmget(META, 'concurrency', 'paused'), ['5', null])
  assert.equal(await many.settleQueues('many'), 0)
})

test('a limit is there before the first job, under the name that the registry is kept by, and is a whole number', async (t) => {
  const bed = await startApp(t)
  const { raw } = bed.jobs
  await keep(bed, { jobs: 4 })
  await keep(bed, { jobs: 2 }, 'secure.example:443')
  await addJob(bed.jobs, HOST)
  await addJob(bed.jobs, 'secure.example')
  assert.equal(await raw.hget(META, 'concurrency'), '4')
  assert.equal(await raw.hget('{layerd}:bull:secure.example:meta', 'concurrency'), '2')
  await keep(bed, { jobs: 3 }, 'secure.example:443')
  assert.equal(await raw.hget('{layerd}:bull:secure.example:meta', 'concurrency'), '3')
  for (const jobs of [0, 1.5, 1025, -1, '4']) {
    const put = { method: 'PUT', url: '/v1/registries/a.example', payload: { limits: { jobs } } } as const
    const answer = await bed.app.inject(put)
    assert.equal(answer.statusCode, 400)
    assert.match(answer.json<Problem>().detail, /jobs/)
  }
  assert.deepEqual(Object.keys(await raw.hgetall('{layerd}:queues:jobs')).toSorted(), [HOST, 'secure.example:443'])
})
