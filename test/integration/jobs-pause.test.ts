import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunOutcome } from '../../src/jobs/progress/reports.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { begin, newJob, PROBLEM, RESULT, silence, startJobs } from '../helpers/redis/jobs.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const BULL = '{layerd}:bull:registry.example%3A5000'
const DELAY: RunOutcome = { state: 'retrying', retryAt: new Date('2030-01-01T00:00:00Z'), error: PROBLEM }

test('a waiting job that is paused leaves BullMQ and its host, and a resume queues it as a new round', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const paused = await jobs.queue.pause(job.id, { reason: 'not at night' })
  assert.deepEqual([paused.state, paused.reason, paused.done], ['paused', 'not at night', false])
  assert.deepEqual(await jobs.queue.pause(job.id, { reason: 'other' }), paused)
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [])
  assert.deepEqual(await jobs.runs.hosts(), [])
  assert.deepEqual(await jobs.runs.begin({ id: job.id, round: 1 }, 'worker-1'), { ended: true })
  jobs.clock.advance(120_000)
  assert.deepEqual([await jobs.runs.requeueOrphans(), await jobs.runs.sweepOutbox()], [0, 0])
  await assert.rejects(jobs.queue.retry(job.id), { code: 'JOB_NOT_FINISHED' })
  await assert.rejects(jobs.queue.remove(job.id), { code: 'JOB_NOT_FINISHED' })

  const resumed = await jobs.queue.resume(job.id)
  assert.deepEqual([resumed.state, resumed.reason], ['queued', 'no worker is running'])
  assert.deepEqual(await jobs.queue.resume(job.id), resumed, 'what is not paused is left alone')
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [`${job.id}.2`])
  assert.deepEqual(await jobs.runs.hosts(), [{ host: 'registry.example:5000', openJobs: 1 }])
  assert.equal((await begin(jobs, job, 2)).job.attempt, 1)
})

test('a job that waits for its next try rests without an error or a time of one', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  await jobs.runs.finish(job.id, epoch, DELAY)
  const paused = await jobs.queue.pause(job.id)
  assert.deepEqual([paused.state, paused.error, paused.progress.retryAt], ['paused', null, null])
})

test('a running job is told to pause and rests when its run ends, unless it was resumed, canceled or done by then', async (t) => {
  const jobs = await startJobs(t)
  const pausing = async () => {
    const { job } = await jobs.queue.create(newJob())
    const { epoch } = await begin(jobs, job)
    const asked = await jobs.queue.pause(job.id, { reason: 'later' })
    assert.deepEqual([asked.state, asked.reason], ['running', 'pausing: later'])
    assert.deepEqual(await jobs.queue.pause(job.id), asked)
    return { id: job.id, epoch, finish: (outcome: RunOutcome) => jobs.runs.finish(job.id, epoch, outcome) }
  }
  const held: RunOutcome = { state: 'paused', reason: 'later' }
  for (const outcome of [held, DELAY, { state: 'queued', reason: 'drain' }] as const) {
    const { id, epoch, finish } = await pausing()
    assert.equal(await jobs.runs.report(id, epoch, {}), 'paused')
    await assert.rejects(jobs.runs.check(id, epoch), { code: 'JOB_PAUSED', message: /later/ })
    assert.equal((await jobs.runs.readStop(id))?.code, 'JOB_PAUSED')
    assert.deepEqual(await finish(outcome), { fenced: false, state: 'paused' })
    const paused = await jobs.queue.get(id)
    assert.deepEqual([paused?.reason, paused?.error, paused?.progress.retryAt], ['later', null, null])
    await jobs.queue.resume(id)
    const again = await begin(jobs, { id }, 2)
    assert.equal(await jobs.runs.report(id, again.epoch, {}), 'ok', 'the request is not carried over')
  }
  const resumed = await pausing()
  assert.deepEqual([(await jobs.queue.resume(resumed.id)).reason], [null])
  assert.deepEqual(await resumed.finish(held), { fenced: false, state: 'queued' })
  const canceled = await pausing()
  await jobs.queue.cancel(canceled.id)
  assert.deepEqual(await canceled.finish(held), { fenced: false, state: 'canceled' })
  const done = await pausing()
  assert.deepEqual(await done.finish({ state: 'succeeded', result: RESULT }), { fenced: false, state: 'succeeded' })
  await assert.rejects(jobs.queue.pause(done.id), { code: 'JOB_FINISHED' })
  await assert.rejects(jobs.queue.resume(done.id), { code: 'JOB_FINISHED' })
})

test('a job whose worker is lost while it pauses rests too: at a takeover, or when the worker went silent', async (t) => {
  const jobs = await startJobs(t)
  const states = []
  for (const way of ['takeover', 'reaper']) {
    const { job } = await jobs.queue.create(newJob())
    await jobs.runs.heartbeat('worker-1')
    await begin(jobs, job)
    await jobs.queue.pause(job.id)
    assert.equal(await jobs.runs.reapAbandoned(), 0, 'its worker lives')
    if (way === 'takeover') {
      assert.deepEqual(await jobs.runs.begin({ id: job.id, round: 1 }, 'worker-2'), { ended: true })
    } else {
      await silence(jobs, 'worker-1')
      assert.equal(await jobs.runs.reapAbandoned(), 1)
    }
    states.push((await jobs.queue.get(job.id))?.state)
    await jobs.queue.resume(job.id)
    await begin(jobs, job, 2)
  }
  assert.deepEqual(states, ['paused', 'paused'])
})

test('a paused job is canceled for good, and its credentials go with it', async (t) => {
  const jobs = await startJobs(t)
  const credentials = { registry: 'registry.example:5000', username: 'me', password: 'p' }
  const { job } = await jobs.queue.create(newJob(), { credentials })
  await jobs.queue.pause(job.id)
  assert.equal(await jobs.raw.exists(`{layerd}:cred:${job.id}`), 1)
  await jobs.queue.resume(job.id, { credentials: { ...credentials, password: 'new' } })
  assert.equal((await begin(jobs, job, 2)).credentials?.password, 'new')
  await jobs.runs.finish(job.id, 1, DELAY)
  await jobs.queue.pause(job.id)
  const canceled = await jobs.queue.cancel(job.id, { reason: 'never' })
  assert.deepEqual([canceled.state, canceled.reason, canceled.done], ['canceled', 'never', true])
  assert.equal(await jobs.raw.exists(`{layerd}:cred:${job.id}`), 0)
  assert.deepEqual(await jobs.runs.hosts(), [])
})

test('a pause in the middle of a layer closes its sockets and keeps its upload; a resume sends only the rest', async (t) => {
  const size = 64 * 1024 * 1024
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: size, format: 'tar' })
  await using registry = await startMemoryRegistry()
  const arrived = 20 * 1024 * 1024
  registry.fail({ method: 'PATCH' }, { kind: 'stall-request', afterBytes: arrived })
  const system = await startJobSystem(t, { roots: [folder] })
  const worker = await system.worker('one', { jobs: 1 })
  const job = await system.publish(built.path, registry.host)
  await waitFor('its bytes to arrive', () =>
    registry.requests.some(({ method, bodyBytes }) => method === 'PATCH' && bodyBytes === arrived),
  )
  await system.queue.pause(job.id, { reason: 'the link is needed' })
  const paused = await waitFor('the job to rest', async () => {
    const now = await system.queue.get(job.id)
    return now?.state === 'paused' ? now : undefined
  })
  assert.deepEqual([paused.reason, paused.progress.bytesPerSecond], ['the link is needed', 0])
  const { items } = await system.queue.transfers(job.id, { size: 100 })
  assert.ok(items.every((row) => row.state !== 'active'))
  assert.equal(worker.active, 0)
  assert.equal(registry.openSessions, 1)

  await system.queue.resume(job.id)
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.equal(ended.attempt, 2)
  assert.equal(registry.openSessions, 0)
  const patched = registry.requests.filter(({ method }) => method === 'PATCH').map(({ bodyBytes }) => bodyBytes)
  assert.deepEqual(patched, [arrived, size - arrived])
  assert.ok(ended.progress.bytesResumed >= arrived)
  const events = await system.log(job.id)
  assertStreamInvariants(events)
  assert.equal(events.filter((event) => event.type === 'end').length, 1)
})
