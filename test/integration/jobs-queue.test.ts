import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { createJobQueue } from '../../src/jobs/queue.ts'
import { begin, newJob, PROBLEM, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

const BULL = '{layerd}:bull:registry.example%3A5000'

test('an accepted job is recorded, listed, told, queued in BullMQ under its id and off the outbox', async (t) => {
  const jobs = await startJobs(t)
  const { job, replayed } = await jobs.queue.create(newJob({ labels: { env: 'dev' } }))
  assert.equal(replayed, false)
  assert.deepEqual(await jobs.queue.get(job.id), job)
  assert.deepEqual(job.options, { components: [] }, 'empty arrays stay arrays')
  assert.deepEqual(await jobs.queue.list({}, { size: 10 }, ANONYMOUS), { items: [job] })
  const [told] = await jobs.events.replay(job.id, '0-0', 10)
  const recorded = { ...job, reason: 'waits for its turn' }
  assert.deepEqual(told?.event, {
    type: 'state',
    jobId: job.id,
    seq: 1,
    time: job.createdAt,
    attempt: 0,
    job: recorded,
  })
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [job.id])
  assert.equal(await jobs.raw.hget(`${BULL}:${job.id}`, 'data'), JSON.stringify({ id: job.id, round: 1 }))
  assert.equal(await jobs.runs.settleQueues('worker-1'), 1, 'a worker says how many may run at once')
  assert.equal(await jobs.raw.hget(`${BULL}:meta`, 'concurrency'), '8')
  assert.equal(await jobs.raw.zcard('{layerd}:outbox'), 0)
  assert.deepEqual(await jobs.runs.hosts(), [{ host: 'registry.example:5000', openJobs: 1 }])
})

test('credentials lie in Redis sealed alone, reach the run, and go with its end', async (t) => {
  const jobs = await startJobs(t)
  const credentials = { registry: 'registry.example:5000', username: 'user-in-clear', password: 'pass-in-clear' }
  const { job } = await jobs.queue.create(newJob(), { credentials })
  const run = await begin(jobs, job)
  assert.deepEqual(run.credentials, credentials)
  assert.doesNotMatch(await everything(jobs), /-in-clear/)
  await jobs.runs.finish(job.id, run.epoch, { state: 'failed', error: PROBLEM })
  assert.equal(await jobs.raw.exists(`{layerd}:cred:${job.id}`), 0)
  await jobs.queue.retry(job.id, { credentials: { ...credentials, password: 'new-in-clear' } })
  assert.doesNotMatch(await everything(jobs), /-in-clear/)
  assert.equal((await begin(jobs, job, 2)).credentials?.password, 'new-in-clear')
})

test('an idempotency key replays its job, refuses another body, and makes one job however many ask at once', async (t) => {
  const jobs = await startJobs(t)
  const ask = (fingerprint: string) => jobs.queue.create(newJob(), { idempotency: { scope: 'key-1', fingerprint } })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('body-1')))
  assert.equal(new Set(answers.map(({ job }) => job.id)).size, 1)
  assert.equal(answers.filter(({ replayed }) => !replayed).length, 1)
  assert.equal((await jobs.queue.list({}, { size: 10 }, ANONYMOUS)).items.length, 1)
  await assert.rejects(ask('body-2'), { code: 'IDEMPOTENCY_MISMATCH' })
  const [key = ''] = await jobs.raw.keys('{layerd}:idem:*')
  const ttl = await jobs.raw.ttl(key)
  assert.ok(ttl > 86_300 && ttl <= 86_400, `kept for a day, not ${ttl} s`)
  const job = answers[0]?.job as Job
  await jobs.queue.cancel(job.id)
  await jobs.queue.remove(job.id)
  assert.equal((await ask('body-2')).replayed, false, 'a removed job frees its key')
})

test('accepted means kept: what the API could not hand to BullMQ a worker brings', async (t) => {
  const jobs = await startJobs(t)
  await jobs.raw.set(`${BULL}:id`, 'BullMQ cannot count with this')
  const { job } = await jobs.queue.create(newJob())
  assert.equal(job.state, 'queued')
  assert.equal(await jobs.raw.exists(`${BULL}:wait`), 0)
  await jobs.raw.del(`${BULL}:id`)
  assert.equal(await jobs.runs.sweepOutbox(), 0, 'the API may still be at it')
  jobs.clock.advance(5000)
  assert.equal(await jobs.runs.sweepOutbox(), 1)
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [job.id])
  assert.equal(await jobs.runs.sweepOutbox(), 0)
})

test('what ended in the meantime, or was dispatched anew, is not brought any more', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  await jobs.queue.cancel(job.id)
  await jobs.raw.zadd('{layerd}:outbox', 1, `${job.id}.1`)
  assert.equal(await jobs.runs.sweepOutbox(), 0)
  await jobs.queue.retry(job.id)
  await jobs.raw.zadd('{layerd}:outbox', 1, `${job.id}.1`)
  assert.equal(await jobs.runs.sweepOutbox(), 0)
  assert.equal(await jobs.raw.zcard('{layerd}:outbox'), 0)
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [`${job.id}.2`])
})

test('a job that BullMQ lost is queued again', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  await jobs.raw.del(`${BULL}:wait`, `${BULL}:${job.id}`)
  assert.equal(await jobs.runs.requeueOrphans(), 0, 'it may be on its way')
  jobs.clock.advance(120_000)
  assert.equal(await jobs.runs.requeueOrphans(), 1)
  assert.equal(await jobs.runs.sweepOutbox(), 1)
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [job.id])
  assert.equal(await jobs.runs.requeueOrphans(), 0)
})

test('a waiting job is canceled at once and leaves BullMQ, a running one is told to stop; asking twice says the same', async (t) => {
  const jobs = await startJobs(t)
  const { job: waiting } = await jobs.queue.create(newJob())
  const canceled = await jobs.queue.cancel(waiting.id, { reason: 'not needed' })
  assert.deepEqual([canceled.state, canceled.reason, canceled.done], ['canceled', 'not needed', true])
  assert.deepEqual(await jobs.queue.cancel(waiting.id, { reason: 'other' }), canceled)
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [])
  assert.deepEqual(await jobs.runs.begin({ id: waiting.id, round: 1 }, 'worker-1'), { ended: true })

  const { job: running } = await jobs.queue.create(newJob())
  const run = await begin(jobs, running)
  const canceling = await jobs.queue.cancel(running.id)
  assert.deepEqual([canceling.state, canceling.done], ['canceling', false])
  assert.deepEqual(await jobs.queue.cancel(running.id), canceling)
  const retrying = { state: 'retrying', retryAt: new Date(), error: PROBLEM } as const
  const ended = await jobs.runs.finish(running.id, run.epoch, retrying)
  assert.deepEqual(ended, { fenced: false, state: 'canceled' })
  assert.equal((await jobs.queue.get(running.id))?.error, null)
})

test('commands on a job in the wrong state say which, with the job; unknown jobs are not found', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  await assert.rejects(jobs.queue.retry(job.id), { code: 'JOB_NOT_FINISHED' })
  await assert.rejects(jobs.queue.remove(job.id), { code: 'JOB_NOT_FINISHED' })
  const { epoch } = await begin(jobs, job)
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  const succeeded = await jobs.queue.get(job.id)
  assert.deepEqual(succeeded?.result, RESULT)
  await assert.rejects(jobs.queue.cancel(job.id), { code: 'JOB_FINISHED', details: { job: succeeded } })
  await assert.rejects(jobs.queue.retry(job.id), { code: 'JOB_FINISHED' })
  for (const id of ['nothing', '018f0000-0000-7000-8000-000000000000', `${job.id}:events`]) {
    assert.equal(await jobs.queue.get(id), undefined)
    await assert.rejects(jobs.queue.cancel(id), { code: 'JOB_NOT_FOUND' })
    await assert.rejects(jobs.queue.retry(id), { code: 'JOB_NOT_FOUND' })
    await assert.rejects(jobs.queue.remove(id), { code: 'JOB_NOT_FOUND' })
    await assert.rejects(jobs.queue.transfers(id, { size: 1 }), { code: 'JOB_NOT_FOUND' })
  }
})

test('a retry runs as a new round while BullMQ still holds the old one, keeps what was moved, and clears the error', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const run = await begin(jobs, job)
  const progress = { ...run.job.progress, bytesDone: 12 }
  await jobs.runs.finish(job.id, run.epoch, { state: 'failed', error: PROBLEM }, { progress })
  const again = await jobs.queue.retry(job.id)
  assert.deepEqual([again.id, again.state, again.error, again.endedAt], [job.id, 'queued', null, null])
  assert.equal(again.progress.bytesDone, 12)
  assert.deepEqual(await jobs.raw.lrange(`${BULL}:wait`, 0, -1), [`${job.id}.2`, job.id])
  assert.deepEqual(await jobs.runs.begin({ id: job.id, round: 1 }, 'worker-1'), { ended: true })
  const second = await begin(jobs, job, 2)
  assert.deepEqual([second.job.attempt, second.epoch > run.epoch], [2, true])
})

test('a removed job leaves no key behind that does not go by itself', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob(), { idempotency: { scope: 's', fingerprint: 'f' } })
  const run = await begin(jobs, job)
  const row = { digest: 'sha256:1', title: 'layer', mediaType: 'x', size: 1, state: 'complete', bytesDone: 1 } as const
  const transfers = [{ ...row, attempt: 1, retryAt: null, error: null }]
  await jobs.runs.finish(job.id, run.epoch, { state: 'succeeded', result: RESULT }, { transfers })
  await jobs.queue.remove(job.id)
  const left = (await jobs.raw.keys('*')).filter((key) => !key.startsWith('{layerd}:bull:'))
  const ttls = await Promise.all(left.map((key) => jobs.raw.pttl(key)))
  // Those who watch all jobs are told that it went.
  assert.deepEqual(
    left.filter((_key, at) => ttls[at] === -1),
    ['{layerd}:fleet'],
  )
  const itsOwn = left.filter((key) => key.includes(job.id))
  assert.deepEqual(itsOwn, [`{layerd}:fleet:removed:${job.id}`])
})

test('events and transfers go a day after the end, records after 30', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  assert.equal(await jobs.raw.ttl(`{layerd}:job:${job.id}:events`), -1)
  await jobs.queue.cancel(job.id)
  assert.equal(await jobs.raw.ttl(`{layerd}:job:${job.id}:events`), 86_400)
  await jobs.queue.retry(job.id)
  assert.equal(await jobs.raw.ttl(`{layerd}:job:${job.id}:events`), -1)
  jobs.clock.advance(31 * 86_400_000)
  assert.equal(await jobs.runs.removeExpired(), 0, 'an open job stays, however old')
  await jobs.queue.cancel(job.id)
  assert.equal(await jobs.runs.removeExpired(), 0)
  jobs.clock.advance(31 * 86_400_000)
  assert.equal(await jobs.runs.removeExpired(), 1)
  assert.equal(await jobs.queue.get(job.id), undefined)
})

test('while Redis is gone every call says so at once, and works again when it is back', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const calls: Record<string, () => Promise<unknown>> = {
    create: () => jobs.queue.create(newJob()),
    get: () => jobs.queue.get(job.id),
    list: () => jobs.queue.list({}, { size: 1 }, ANONYMOUS),
    transfers: () => jobs.queue.transfers(job.id, { size: 1 }),
    cancel: () => jobs.queue.cancel(job.id),
    retry: () => jobs.queue.retry(job.id),
    remove: () => jobs.queue.remove(job.id),
    liveWorkers: () => jobs.queue.liveWorkers(),
    subscribe: () =>
      jobs.events.subscribe(
        job.id,
        () => {},
        () => {},
      ),
    replay: () => jobs.events.replay(job.id, '0-0', 1),
    bounds: () => jobs.events.bounds(job.id),
    snapshot: () => jobs.events.snapshot(job.id),
  }
  const allUnavailable = async () => {
    const answers = Object.entries(calls).map(async ([name, call]) => {
      const outcome = call().then(
        () => 'an answer',
        (error: unknown) => (error as { code?: string }).code,
      )
      const late = new Promise((resolve) => void setTimeout(resolve, 5000, 'nothing in 5 s').unref())
      assert.equal(await Promise.race([outcome, late]), 'QUEUE_UNAVAILABLE', name)
    })
    await Promise.all(answers)
    assert.equal(await jobs.queue.ping(500), false)
  }
  await jobs.redis.kill()
  await allUnavailable()
  await jobs.redis.start()
  await waitFor('the queue to answer again', () => jobs.queue.ping(500))
  assert.equal((await jobs.queue.get(job.id))?.state, 'queued', 'what was accepted is kept')
  await jobs.queue.create(newJob())

  jobs.redis.pause()
  await allUnavailable()
  jobs.redis.resume()
  await waitFor('the queue to answer again', () => jobs.queue.ping(500))
  await jobs.queue.create(newJob())
})

test('a queue that starts before Redis says it is unavailable, and serves once it is there', async (t) => {
  const jobs = await startJobs(t)
  await jobs.redis.stop()
  const early = createJobQueue(jobs.options)
  t.after(() => early.close())
  await assert.rejects(early.create(newJob()), { code: 'QUEUE_UNAVAILABLE' })
  await jobs.redis.start()
  await waitFor('the queue to answer', () => early.ping(500))
  await early.create(newJob())
  assert.equal((await jobs.raw.lrange(`${BULL}:wait`, 0, -1)).length, 1)
})

/** All keys and values of Redis as one text. */
async function everything({ raw }: TestJobs): Promise<string> {
  const parts = []
  for (const key of await raw.keys('*')) {
    const type = await raw.type(key)
    if (type === 'hash') parts.push(key, ...Object.entries(await raw.hgetall(key)).flat())
    else if (type === 'zset') parts.push(key, ...(await raw.zrange(key, '0', '-1')))
    else if (type === 'list') parts.push(key, ...(await raw.lrange(key, 0, -1)))
    else if (type === 'stream') parts.push(key, JSON.stringify(await raw.xrange(key, '-', '+')))
    else if (type === 'string') parts.push(key, (await raw.get(key)) ?? '')
    else assert.fail(`${key} is a ${type}, which this test does not read`)
  }
  return parts.join('\n')
}
