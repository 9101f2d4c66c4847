import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import type { Job, Progress } from '../../src/jobs/model/definitions.ts'
import { AppError } from '../../src/lib/errors.ts'
import { createLedger } from '../../src/worker/ledger.ts'
import { createReporter } from '../../src/worker/reporter.ts'
import { begin, newJob, PROBLEM, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'

async function reasonOf({ queue }: TestJobs, { id }: Job): Promise<string | null | undefined> {
  const job = await queue.get(id)
  const [listed] = (await queue.list({}, { size: 200 }, ANONYMOUS)).items.filter((one) => one.id === id)
  assert.deepEqual(listed, job, 'lists say the same')
  return job?.reason
}

test('a queued job says that no worker runs, or where it stands and who keeps it waiting', async (t) => {
  const jobs = await startJobs(t)
  const made: Job[] = []
  for (let at = 0; at < 3; at += 1) made.push((await jobs.queue.create(newJob())).job)
  const [first, second, third] = made as [Job, Job, Job]
  assert.equal(third.reason, 'no worker is running', 'the answer to the POST says so too')
  assert.equal(await reasonOf(jobs, first), 'no worker is running')
  await jobs.runs.heartbeat('worker-1')
  assert.equal(await reasonOf(jobs, first), '1st of 3 waiting for registry.example:5000, which has none now')
  assert.equal(await reasonOf(jobs, third), '3rd of 3 waiting for registry.example:5000, which has none now')
  // As BullMQ moves a job that a worker takes.
  await jobs.raw.lmove(
    '{layerd}:bull:registry.example%3A5000:wait',
    '{layerd}:bull:registry.example%3A5000:active',
    'RIGHT',
    'LEFT',
  )
  assert.equal(await reasonOf(jobs, first), 'on its way to a worker')
  assert.equal(await reasonOf(jobs, second), '1st of 2 waiting for registry.example:5000, which has 1 job now')
  const other = newJob({ queueHost: 'other.example', registries: ['other.example'] })
  const { job: elsewhere } = await jobs.queue.create(other)
  assert.equal(elsewhere.reason, '1st of 1 waiting for other.example, which has none now')
})

test('what is found out when it is asked for changes neither revision nor events', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  await jobs.runs.heartbeat('worker-1')
  const again = await jobs.queue.get(job.id)
  assert.notEqual(again?.reason, job.reason)
  assert.equal(again?.revision, job.revision)
  assert.equal((await jobs.events.replay(job.id, '0-0', 10)).length, 1)
})

test('retrying, paused and canceling jobs say why, and until when', async (t) => {
  const jobs = await startJobs(t)
  const upstream = { registry: 'registry.example:5000', status: 503 }
  const { job: failing } = await jobs.queue.create(newJob())
  const run = await begin(jobs, failing)
  const retryAt = new Date('2026-03-01T14:03:20Z')
  await jobs.runs.finish(failing.id, run.epoch, { state: 'retrying', retryAt, error: { ...PROBLEM, upstream } })
  assert.equal(await reasonOf(jobs, failing), 'registry.example:5000 answered 503; try 2 of 6 at 14:03:20 UTC')

  const { job: resting } = await jobs.queue.create(newJob())
  assert.equal((await jobs.queue.pause(resting.id)).reason, 'paused on request')
  const { job: named } = await jobs.queue.create(newJob())
  assert.equal((await jobs.queue.pause(named.id, { reason: 'the link is needed' })).reason, 'the link is needed')

  const { job: leaving } = await jobs.queue.create(newJob())
  await begin(jobs, leaving)
  assert.equal((await jobs.queue.cancel(leaving.id)).reason, 'its worker closes its connections')
})

test('a running job says what its requests wait for, and a rate that nobody renews is unknown', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  assert.equal(job.progress.phase, null, 'no run has begun')
  const run = await begin(jobs, job)
  const now = jobs.clock.now()
  const progress: Progress = {
    ...job.progress,
    phase: 'committing',
    bytesPerSecond: 1000,
    etaSeconds: 3,
    reason: 'put manifest: registry.example answered 503; try 3 at 14:03:20 UTC',
    retryAt: new Date(now + 4000).toISOString(),
    updatedAt: new Date(now).toISOString(),
  }
  await jobs.runs.report(job.id, run.epoch, { progress, transfers: [], events: [] })
  assert.equal(await reasonOf(jobs, job), progress.reason)
  assert.equal((await jobs.queue.get(job.id))?.progress.bytesPerSecond, 1000)
  jobs.clock.advance(6000)
  const late = await jobs.queue.get(job.id)
  assert.deepEqual([late?.progress.bytesPerSecond, late?.progress.etaSeconds], [null, null])
  await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt: new Date(), error: PROBLEM })
  const { progress: rested } = (await jobs.queue.get(job.id)) as Job
  assert.equal(rested.reason, null, 'no request waits once the run has ended')
})

test('requests that wait for one registry are told of in one line, and in another when it fails anew', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const run = await begin(jobs, job)
  const reporter = createReporter({
    runs: jobs.runs,
    jobId: job.id,
    epoch: run.epoch,
    ledger: createLedger({ progress: job.progress, transfers: [], describe: () => null, now: jobs.clock.now() }),
    before: job.progress,
    transfers: [],
    clock: jobs.clock,
    abort: (reason) => assert.fail(reason),
  })
  const [one, other] = [{}, {}]
  const wait = {
    error: new AppError('REGISTRY_SERVER_FAILED', 'put manifest: r.io answered 503'),
    attempt: 2,
    retryAt: jobs.clock.now() + 4000,
  }
  for (const request of [one, other, one]) reporter.onEvent({ type: 'waiting', request, wait })
  for (const request of [one, other]) reporter.onEvent({ type: 'waiting', request, wait: undefined })
  reporter.onEvent({ type: 'waiting', request: other, wait })
  const told = (await reporter.close('waiting')).events?.filter(({ type }) => type === 'log')
  const line = { type: 'log', level: 'warn', message: 'put manifest: r.io answered 503; it is tried again' }
  assert.deepEqual(told, [line, line])
})

test('who follows a job, too, always hears what one that waits waits for, by its events and by a snapshot', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const heard: Array<string | null> = []
  const hear = async (state: Job['state']): Promise<void> => {
    const last = (await jobs.events.replay(job.id, '0-0', 100)).at(-1)?.event
    const now = (await jobs.events.snapshot(job.id))?.event
    assert.ok(last && 'job' in last && now && 'job' in now && last.job.state === state)
    assert.equal(now.job.reason, last.job.reason)
    heard.push(last.job.reason)
  }
  await hear('queued')
  const { epoch } = await begin(jobs, job)
  await hear('running')
  await jobs.runs.finish(job.id, epoch, {
    state: 'retrying',
    retryAt: new Date('2030-01-01T10:20:30Z'),
    error: { ...PROBLEM, title: 'The "registry" failed' },
  })
  await hear('retrying')
  await jobs.queue.pause(job.id)
  await hear('paused')
  await jobs.queue.resume(job.id)
  await begin(jobs, job, 2)
  await jobs.queue.cancel(job.id)
  await hear('canceling')
  assert.deepEqual(heard, [
    'waits for its turn',
    null,
    'The "registry" failed; tried again at 10:20:30 UTC',
    'paused on request',
    'its worker closes its connections',
  ])
})
