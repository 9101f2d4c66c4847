import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../../src/lib/errors.ts'
import { type Job, JOB_STATES, type JobState } from '../../src/jobs/model/definitions.ts'
import type { RunOutcome } from '../../src/jobs/progress/reports.ts'
import { type JobTransition, next } from '../../src/jobs/model/state.ts'
import { begin, newJob, PROBLEM, RESULT, silence, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'

const OUTCOMES: Partial<Record<JobTransition['type'], RunOutcome>> = {
  succeed: { state: 'succeeded', result: RESULT },
  fail: { state: 'failed', error: PROBLEM },
  stop: { state: 'canceled', reason: 'asked' },
  delay: { state: 'retrying', retryAt: new Date('2030-01-01T00:00:00Z'), error: PROBLEM },
  release: { state: 'queued', reason: 'drain' },
}
const COMMANDS = ['cancel', 'pause', 'resume', 'retry'] as const
const TYPES: ReadonlyArray<JobTransition['type']> = [
  'begin',
  'succeed',
  'fail',
  'delay',
  'release',
  'stop',
  ...COMMANDS,
]

/** A job in this state, brought there as in life where anything built so far brings it there. */
async function jobIn(jobs: TestJobs, state: JobState): Promise<{ job: Job; epoch: number }> {
  const { job } = await jobs.queue.create(newJob())
  if (state === 'queued') return { job, epoch: 0 }
  if (state === 'scheduled') {
    await jobs.raw.hset(`{layerd}:job:${job.id}`, 'state', state)
    return { job, epoch: 0 }
  }
  if (state === 'paused') return { job: await jobs.queue.pause(job.id), epoch: 0 }
  const { epoch } = await begin(jobs, job)
  if (state === 'canceling') await jobs.queue.cancel(job.id)
  const outcome = Object.values(OUTCOMES).find((candidate) => candidate.state === state)
  if (outcome) await jobs.runs.finish(job.id, epoch, outcome)
  return { job, epoch }
}

async function apply(jobs: TestJobs, job: Job, epoch: number, type: JobTransition['type']): Promise<void> {
  try {
    const outcome = OUTCOMES[type]
    if (outcome) await jobs.runs.finish(job.id, epoch, outcome)
    else if (type === 'begin') await jobs.runs.begin({ id: job.id, round: 1 }, 'worker-2')
    else await jobs.queue[COMMANDS.find((command) => command === type) ?? 'cancel'](job.id)
  } catch (error) {
    assert.ok(isAppError(error) && error.code.startsWith('JOB_'), String(error))
  }
}

test('Redis makes the same transitions as the machine, and each change is counted, listed and told once', async (t) => {
  const jobs = await startJobs(t)
  for (const state of JOB_STATES) {
    for (const type of TYPES) {
      const { job, epoch } = await jobIn(jobs, state)
      const before = await jobs.queue.get(job.id)
      await apply(jobs, job, epoch, type)
      const after = await jobs.queue.get(job.id)
      const expected = next(state, { type })
      assert.equal(after?.state, expected ?? state, `${state} on ${type}`)
      if (expected === undefined) assert.deepEqual(after, before, `${state} refuses ${type}`)
      const last = (await jobs.events.replay(job.id, '0-0', 1000)).at(-1)?.event
      if (expected !== undefined && expected !== state) {
        assert.ok(last && 'job' in last, `${state} on ${type} is told`)
        // What it waits for is found out when it is asked for.
        assert.deepEqual({ ...last.job, reason: after?.reason }, after)
        assert.equal(last.type, after?.done ? 'end' : 'state')
      }
      const listed = await Promise.all(
        JOB_STATES.map(async (name) => (await jobs.raw.zscore(`{layerd}:jobs:state:${name}`, job.id)) !== null),
      )
      if (state !== 'scheduled') {
        assert.deepEqual(
          JOB_STATES.filter((_, at) => listed[at]),
          [after?.state],
        )
      }
    }
  }
})

test('the third lost worker in a row without a new byte fails the job, a new byte starts the count again', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const first = await begin(jobs, job)
  await begin(jobs, job)
  const third = await begin(jobs, job)
  assert.equal(third.job.attempt, 3)
  assert.equal(third.job.reason, 'taken over from a lost worker')
  const progress = { ...first.job.progress, bytesDone: 1 }
  assert.equal(await jobs.runs.report(job.id, third.epoch, { progress }), 'ok')
  await begin(jobs, job)
  await begin(jobs, job)
  await begin(jobs, job)
  assert.deepEqual(await jobs.runs.begin({ id: job.id, round: 1 }, 'worker-9'), { ended: true })
  const ended = await jobs.queue.get(job.id)
  assert.equal(ended?.state, 'failed')
  assert.equal(ended?.error?.code, 'JOB_STALLED')
  assert.deepEqual(await jobs.runs.hosts(), [])
})

test('a retry budget counts runs without a new byte', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const retryAt = new Date('2030-01-01T00:00:00Z')
  for (const expected of [0, 1, 2]) {
    const run = await begin(jobs, job)
    assert.equal(run.retries, expected)
    await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt, error: PROBLEM })
    const waiting = await jobs.queue.get(job.id)
    assert.equal(waiting?.progress.retryAt, retryAt.toISOString())
    assert.deepEqual(waiting?.error, PROBLEM)
  }
  const run = await begin(jobs, job)
  assert.equal(run.job.progress.retryAt, null)
  assert.equal(run.job.error, null)
  const progress = { ...run.job.progress, bytesDone: 7 }
  await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt, error: PROBLEM }, { progress })
  assert.equal((await begin(jobs, job)).retries, 1)
})

test('runs that only look for room count as one attempt with the run that finds it; a takeover and a retry add one', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const look = async () => {
    const run = await begin(jobs, job)
    const until = new Date('2030-01-01T00:00:00Z')
    await jobs.runs.finish(job.id, run.epoch, { state: 'queued', reason: 'no room', until })
    return run
  }
  const looks = [await look(), await look(), await look()]
  assert.deepEqual(
    looks.map((run) => run.job.attempt),
    [1, 1, 1],
  )
  assert.equal(new Set(looks.map(({ epoch }) => epoch)).size, 3, 'each is fenced off from the next')
  const found = await begin(jobs, job)
  assert.equal(found.job.attempt, 1)
  const taken = await begin(jobs, job)
  assert.equal(taken.job.attempt, 2)
  await jobs.runs.finish(job.id, taken.epoch, { state: 'queued', reason: 'drain' })
  assert.equal((await look()).job.attempt, 3)
  await jobs.queue.cancel(job.id)
  await jobs.queue.retry(job.id)
  assert.equal((await begin(jobs, job, 2)).job.attempt, 4)
})

test('a run whose epoch is stale changes nothing', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const zombie = await begin(jobs, job)
  const owner = await begin(jobs, job, 1, 'worker-2')
  const before = await jobs.queue.get(job.id)
  const progress = { ...zombie.job.progress, bytesDone: 99 }
  const events = [{ type: 'log', level: 'info', message: 'from the grave' } as const]
  assert.equal(await jobs.runs.report(job.id, zombie.epoch, { progress, events }), 'fenced')
  assert.deepEqual(await jobs.runs.finish(job.id, zombie.epoch, { state: 'succeeded', result: RESULT }), {
    fenced: true,
  })
  await assert.rejects(jobs.runs.check(job.id, zombie.epoch), { code: 'JOB_FENCED' })
  await jobs.runs.check(job.id, owner.epoch)
  assert.deepEqual(await jobs.queue.get(job.id), before)
  await jobs.queue.cancel(job.id, { reason: 'enough' })
  await assert.rejects(jobs.runs.check(job.id, owner.epoch), { code: 'JOB_CANCELED', message: /enough/ })
  assert.equal(await jobs.runs.report(job.id, owner.epoch, {}), 'canceled')
  assert.equal((await jobs.runs.readStop(job.id))?.code, 'JOB_CANCELED')
})

test('a canceling job whose worker went silent is ended, one whose worker lives is left', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  await jobs.runs.heartbeat('worker-1')
  const run = await begin(jobs, job)
  await jobs.queue.cancel(job.id, { reason: 'enough' })
  assert.equal(await jobs.runs.reapAbandoned(), 0)
  assert.equal(await jobs.queue.liveWorkers(), 1)
  await silence(jobs, 'worker-1')
  assert.equal(await jobs.queue.liveWorkers(), 0)
  assert.equal(await jobs.runs.reapAbandoned(), 1)
  const ended = await jobs.queue.get(job.id)
  assert.deepEqual([ended?.state, ended?.reason], ['canceled', 'enough'])
  assert.equal(await jobs.runs.report(job.id, run.epoch, {}), 'fenced')
})

test('runs that give their place up spend no attempt, and a retry only where nothing came of them', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const retryAt = new Date(jobs.clock.now() + 60_000)
  const first = await begin(jobs, job)
  await jobs.runs.finish(job.id, first.epoch, { state: 'retrying', retryAt, error: PROBLEM })
  let run = await begin(jobs, job)
  assert.deepEqual([run.job.attempt, run.retries], [2, 1])
  for (let time = 1; time <= 3; time += 1) {
    // As a report of the run does.
    if (time > 1) await jobs.raw.hset(`{layerd}:job:${job.id}`, 'bytes', time)
    const reason = `gave its place up, ${time}`
    await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt, error: PROBLEM, reason })
    const told = await jobs.queue.get(job.id)
    assert.deepEqual([told?.state, told?.reason, told?.progress.retryAt], ['retrying', reason, retryAt.toISOString()])
    run = await begin(jobs, job)
    assert.deepEqual([run.job.attempt, run.retries, run.job.reason], [2, time === 1 ? 2 : 0, null])
  }
  await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt, error: PROBLEM })
  run = await begin(jobs, job)
  assert.deepEqual([run.job.attempt, run.retries], [3, 1])
})

test('runs that their registry let nowhere spend neither an attempt nor a retry', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const retryAt = new Date(jobs.clock.now() + 60_000)
  const first = await begin(jobs, job)
  await jobs.runs.finish(job.id, first.epoch, { state: 'retrying', retryAt, error: PROBLEM })
  for (let time = 1; time <= 8; time += 1) {
    const run = await begin(jobs, job)
    assert.deepEqual([run.job.attempt, run.retries], [2, 1])
    const reason = 'it limits requests'
    await jobs.runs.finish(job.id, run.epoch, { state: 'retrying', retryAt, error: PROBLEM, reason, spared: true })
  }
})
