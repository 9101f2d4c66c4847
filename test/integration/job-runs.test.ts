import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import type { JobRun } from '../../src/jobs/model/job-run.ts'
import { begin, newJob, PROBLEM, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'

/** Each run in short: why it began, and by whom; how it ended, by whom, and in which state the job was then. */
async function story(jobs: TestJobs, id: string): Promise<string[]> {
  const { items } = await jobs.queue.runs(id)
  return items.map(
    ({ run, attempt, began, ended }) =>
      `${run}/${attempt} ${began.cause}${began.by ? ` by ${began.by}` : ''}: ${
        ended ? `${ended.outcome}${ended.by ? ` by ${ended.by}` : ''}, ${ended.state}` : 'under way'
      }`,
  )
}

const later = (): Date => new Date(Date.now() + 60_000)

test('each run tells why it began and why it ended, who asked for that, and what it moved', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  assert.deepEqual(await jobs.queue.runs(job.id), { items: [], leftOut: 0 })
  const { epoch, job: begun } = await begin(jobs, job)
  const far = { ...begun.progress, wireBytes: 70, bytesDone: 50, layers: { ...begun.progress.layers, done: 2 } }
  await jobs.runs.report(job.id, epoch, { progress: far })
  const [open] = (await jobs.queue.runs(job.id)).items
  assert.deepEqual(
    [open?.worker, open?.ended, open?.endedAt, open?.bytesMoved, open?.layersDone],
    [{ id: 'worker-1', host: hostname(), pid: process.pid }, null, null, 70, 2],
  )
  const retryAt = later()
  const error = { ...PROBLEM, detail: 'x'.repeat(5000), details: { long: 'y'.repeat(5000) } }
  await jobs.runs.finish(job.id, epoch, { state: 'retrying', retryAt, error }, { progress: { ...far, wireBytes: 75 } })
  const second = await begin(jobs, job)
  await jobs.queue.pause(job.id, { by: 'ann', reason: 'lunch' })
  await jobs.runs.finish(job.id, second.epoch, { state: 'paused', reason: null })
  await jobs.queue.resume(job.id, { by: 'bob' })
  const third = await begin(jobs, job, 2)
  await jobs.runs.finish(job.id, third.epoch, { state: 'queued', reason: 'its worker is shutting down' })
  const fourth = await begin(jobs, job, 2)
  await jobs.queue.cancel(job.id, { by: 'eve', reason: 'wrong one' })
  await jobs.runs.finish(job.id, fourth.epoch, { state: 'canceled', reason: null })
  await jobs.queue.retry(job.id, { by: 'ann' })
  const fifth = await begin(jobs, job, 3)
  await jobs.runs.finish(job.id, fifth.epoch, { state: 'failed', error: PROBLEM })
  await jobs.queue.retry(job.id, { by: 'ann' })
  const sixth = await begin(jobs, job, 4)
  await jobs.runs.finish(job.id, sixth.epoch, { state: 'succeeded', result: RESULT })
  assert.deepEqual(await story(jobs, job.id), [
    '1/1 first: failed, retrying',
    '2/2 failure: paused by ann, paused',
    '3/3 resume by bob: handed-over, queued',
    '4/4 handover: canceled by eve, canceled',
    '5/5 retry by ann: failed, failed',
    '6/6 retry by ann: succeeded, succeeded',
  ])
  const { items } = await jobs.queue.runs(job.id)
  const [failed, paused, , canceled] = items
  assert.deepEqual([failed?.bytesMoved, failed?.layersDone, paused?.bytesMoved], [75, 2, 0])
  assert.equal(failed?.ended?.problem?.detail.length, 500)
  assert.deepEqual([failed?.ended?.problem?.details, failed?.ended?.retryAt], [undefined, retryAt.toISOString()])
  assert.deepEqual([paused?.ended?.reason, canceled?.ended?.reason], ['lunch', 'wrong one'])
  const times = items.flatMap(({ began, startedAt, endedAt }) => [began.waitedSince, startedAt, endedAt].map(String))
  assert.deepEqual(
    times,
    times.toSorted((a, b) => (a < b ? -1 : 1)),
    'one after another',
  )
  await jobs.queue.remove(job.id)
  assert.deepEqual(await jobs.raw.keys(`{layerd}:job:${job.id}*`), [])
})

test('a lost worker ends its run: taken over, canceled, paused, and the third time for good', async (t) => {
  const jobs = await startJobs(t)
  const [{ job: stalled }, { job: canceled }, { job: paused }, { job: reaped }] = await Promise.all([
    jobs.queue.create(newJob()),
    jobs.queue.create(newJob()),
    jobs.queue.create(newJob()),
    jobs.queue.create(newJob()),
  ])
  for (let at = 0; at < 3; at += 1) await begin(jobs, stalled)
  assert.deepEqual(await jobs.runs.begin({ id: stalled.id, round: 1 }, 'worker-9'), { ended: true })
  assert.deepEqual(await story(jobs, stalled.id), [
    '1/1 first: lost, running',
    '2/2 takeover: lost, running',
    '3/3 takeover: lost, failed',
  ])
  const last = (await jobs.queue.runs(stalled.id)).items.at(-1)
  assert.equal(last?.ended?.problem?.code, 'JOB_STALLED')
  for (const job of [canceled, paused, reaped]) await begin(jobs, job)
  await jobs.queue.cancel(canceled.id, { by: 'ann' })
  await jobs.queue.pause(paused.id, { by: 'bob' })
  await jobs.queue.pause(reaped.id, { by: 'bob' })
  for (const { id } of [canceled, paused]) await jobs.runs.begin({ id, round: 1 }, 'worker-9')
  assert.equal(await jobs.runs.reapAbandoned(), 1)
  assert.deepEqual(await story(jobs, canceled.id), ['1/1 first: lost by ann, canceled'])
  assert.deepEqual(await story(jobs, paused.id), ['1/1 first: lost by bob, paused'])
  assert.deepEqual(await story(jobs, reaped.id), ['1/1 first: lost by bob, paused'])
})

test('one whose worker was lost while its queue rests is taken over once that goes on', async (t) => {
  const jobs = await startJobs(t)
  const [{ job }, { job: reaped }] = [await jobs.queue.create(newJob()), await jobs.queue.create(newJob())]
  for (const { id } of [job, reaped]) await begin(jobs, { id })
  const { queueHost } = newJob()
  await jobs.queue.queues.pause(queueHost, 'ann', null)
  await jobs.runs.begin({ id: job.id, round: 1 }, 'worker-2')
  assert.deepEqual(await story(jobs, job.id), ['1/1 first: lost, queued'])
  assert.equal(await jobs.runs.reapAbandoned(), 1)
  assert.deepEqual(await story(jobs, reaped.id), ['1/1 first: lost, queued'])
  await jobs.queue.queues.resume(queueHost)
  await begin(jobs, job)
  await begin(jobs, reaped, 2)
  for (const { id } of [job, reaped]) assert.equal((await story(jobs, id))[1], '2/2 takeover: under way')
})

test('looks for room are one wait, however many they were, and what a run moved stands alone', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob({ kind: 'pull' }))
  const look = async (reason: string, wireBytes?: number): Promise<void> => {
    const run = await begin(jobs, job)
    const report = wireBytes === undefined ? {} : { progress: { ...run.job.progress, wireBytes } }
    await jobs.runs.finish(job.id, run.epoch, { state: 'queued', reason, until: later() }, report)
  }
  for (let at = 0; at < 50; at += 1) await look(`12 GB more, look ${at}`)
  await look('moved some', 10)
  for (let at = 0; at < 5; at += 1) await look('again')
  const throttled = { ...PROBLEM, code: 'REGISTRY_THROTTLED' }
  const spared = { state: 'retrying', retryAt: later(), error: throttled, reason: 'it said so', spared: true } as const
  for (let at = 0; at < 3; at += 1) await jobs.runs.finish(job.id, (await begin(jobs, job)).epoch, spared)
  await begin(jobs, job)
  const { items, leftOut } = await jobs.queue.runs(job.id)
  const told = items.map(({ run, attempt, looks, bytesMoved, ended, began }) => [
    [run, attempt, looks, bytesMoved],
    ended?.reason,
    began.cause,
  ])
  assert.deepEqual(told, [
    [[1, 1, 50, 0], '12 GB more, look 49', 'first'],
    [[2, 1, 1, 10], 'moved some', 'wait'],
    [[3, 1, 5, 0], 'again', 'wait'],
    [[4, 1, 3, 0], 'it said so', 'wait'],
    [[5, 1, 1, 0], undefined, 'wait'],
  ])
  assert.equal(leftOut, 0)
})

test('of a thousand runs the first ten and the last ninety are kept', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const detail = 'long '.repeat(1000)
  const error = { ...PROBLEM, detail, hint: detail }
  for (let at = 0; at < 1000; at += 1) {
    const { epoch } = await begin(jobs, job)
    await jobs.runs.finish(job.id, epoch, { state: 'retrying', retryAt: later(), error })
  }
  const { items, leftOut } = await jobs.queue.runs(job.id)
  const kept = [...Array.from({ length: 10 }, (_, at) => at + 1), ...Array.from({ length: 90 }, (_, at) => at + 911)]
  assert.deepEqual(
    items.map(({ run }) => run),
    kept,
  )
  assert.equal(leftOut, 900)
  const bytes = await jobs.raw.memory('USAGE', `{layerd}:job:${job.id}:runs`, 'SAMPLES', '0')
  assert.ok(Number(bytes) < 300_000, `${bytes} bytes`)
})

test('a job from before runs were kept says how many it had, and its next ones are told', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const older = async (state: string): Promise<void> => {
    const record = `{layerd}:job:${job.id}`
    await jobs.raw.hdel(record, 'runs', 'nextRun')
    await jobs.raw.del(`${record}:runs`)
    assert.equal((await jobs.queue.get(job.id))?.state, state)
  }
  for (let at = 0; at < 3; at += 1) {
    const { epoch } = await begin(jobs, job)
    await jobs.runs.finish(job.id, epoch, { state: 'retrying', retryAt: later(), error: PROBLEM })
  }
  await older('retrying')
  assert.deepEqual(await jobs.queue.runs(job.id), { items: [], leftOut: 3 })
  await begin(jobs, job)
  const [run] = (await jobs.queue.runs(job.id)).items as [JobRun]
  assert.deepEqual([run.run, run.began], [4, { cause: null, by: null, waitedSince: null }])
  assert.equal((await jobs.queue.runs(job.id)).leftOut, 3)
  await older('running')
  await begin(jobs, job)
  assert.deepEqual(await story(jobs, job.id), ['5/5 takeover: under way'])
})
