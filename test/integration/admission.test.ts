import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import { begin, limitedQueue, newJob, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { log } from '../helpers/streams/http-events.ts'

const MIB = 1024 ** 2

const of = (principal: string) => newJob({ principal })

async function usedBytes({ raw }: TestJobs): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await raw.info('memory'))?.[1])
}

/** Fills Redis until so many bytes are in use. */
async function fill(jobs: TestJobs, bytes: number): Promise<void> {
  for (let at = 0; (await usedBytes(jobs)) < bytes; at += 1) await jobs.raw.set(`ballast:${at}`, 'x'.repeat(500_000))
}

test('past LAYERD_MAX_JOBS open jobs no other is taken until one has ended', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxJobs: 3 })
  const idempotency = { scope: 'one', fingerprint: 'same' }
  const { job } = await queue.create(newJob(), { idempotency })
  await queue.create(newJob())
  const third = await queue.create(newJob())
  // One that is paused has not ended.
  await queue.pause(third.job.id)
  await assert.rejects(queue.create(newJob()), {
    code: 'TOO_MANY_JOBS',
    message: '3 jobs have not ended; 3 may be open at once',
    retryAfterMs: 30_000,
  })
  assert.equal((await queue.create(newJob(), { idempotency })).job.id, job.id, 'the same job is no further one')
  assert.equal((await queue.resume(third.job.id)).state, 'queued')
  await queue.cancel(job.id)
  await queue.create(newJob())
  await assert.rejects(queue.retry(job.id), { code: 'TOO_MANY_JOBS' })
  assert.equal((await queue.get(job.id))?.state, 'canceled')
})

test('where several have jobs one may have a tenth of all', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxJobs: 20 })
  const first = await queue.create(of('ann'))
  for (let count = 2; count <= 5; count += 1) await queue.create(of('ann'))
  const other = await queue.create(of('bob'))
  await assert.rejects(queue.create(of('ann')), {
    code: 'TOO_MANY_JOBS',
    message: '5 of your jobs have not ended; while others have jobs, one may have 2',
  })
  await queue.create(of('bob'))
  await assert.rejects(queue.create(of('bob')), { code: 'TOO_MANY_JOBS' })
  await queue.create(of('cem'))
  const { items } = await queue.list({}, { size: 200 }, ANONYMOUS)
  for (const { id, principal } of items) if (principal !== 'ann') await queue.cancel(id)
  await queue.create(of('ann'))
  await assert.rejects(
    queue.retry(other.job.id).then(() => queue.create(of('ann'))),
    { code: 'TOO_MANY_JOBS' },
  )
  // A fail-over that lost some of that.
  await jobs.raw.zadd('{layerd}:jobs:principals', 1, 'ann', 7, 'gone')
  assert.equal(await jobs.runs.recountOpen(), 2)
  assert.deepEqual(await jobs.raw.zrange('{layerd}:jobs:principals', '0', '-1', 'WITHSCORES'), ['bob', '1', 'ann', '6'])
  assert.equal((await queue.cancel(first.job.id)).state, 'canceled')
})

test('who is alone leaves a share of all for the next, who comes in', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxJobs: 20 })
  const first = await queue.create(of('ann'))
  for (let count = 2; count <= 18; count += 1) await queue.create(of('ann'))
  const alone = {
    code: 'TOO_MANY_JOBS',
    message:
      '18 of your jobs have not ended; one may have 18 of the 20 of LAYERD_MAX_JOBS, the others are kept for who comes next',
    hint: 'Try again when some of yours have ended, cancel what is not needed, or set LAYERD_MAX_JOBS higher.',
    details: { open: 18, limit: 18 },
    retryAfterMs: 30_000,
  }
  await assert.rejects(queue.create(of('ann')), alone)
  await queue.cancel(first.job.id)
  await queue.create(of('ann'))
  await assert.rejects(queue.retry(first.job.id), alone)
  await queue.create(of('bob'))
  await queue.create(of('bob'))
  await assert.rejects(queue.create(of('cem')), { message: '20 jobs have not ended; 20 may be open at once' })
})

for (const [most, allowed] of [
  [1, 1],
  [2, 1],
  [3, 2],
  [10, 9],
  [20, 18],
] as const) {
  test(`of ${most} jobs who is alone may have ${allowed}, and without tokens everybody together all`, async (t) => {
    const jobs = await startJobs(t)
    const queue = await limitedQueue(t, jobs, { maxJobs: most })
    const ids: string[] = []
    for (let count = 1; count <= allowed; count += 1) ids.push((await queue.create(of('ann'))).job.id)
    await assert.rejects(queue.create(of('ann')), { code: 'TOO_MANY_JOBS' })
    for (const id of ids) await queue.cancel(id)
    for (let count = 1; count <= most; count += 1) await queue.create(newJob())
    await assert.rejects(queue.create(newJob()), { message: /may be open at once$/ })
  })
}

test('past 70 % of the memory that Redis may use no job is taken, and those under way end', async (t) => {
  const jobs = await startJobs(t, { args: ['--maxmemory', String(32 * MIB)] })
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  await fill(jobs, 0.7 * 32 * MIB)
  const idempotency = { scope: 'one', fingerprint: 'same' }
  await assert.rejects(jobs.queue.create(newJob(), { idempotency }), {
    code: 'QUEUE_FULL',
    message: /^the queue \(Redis\) uses 2\d\.\d MiB of 32 MiB; new jobs are taken below 70 % of it$/,
    retryAfterMs: 30_000,
  })
  for (let at = 0; at < 100; at += 1) await jobs.runs.report(job.id, epoch, { events: [log('x'.repeat(1000))] })
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  assert.equal((await jobs.queue.get(job.id))?.state, 'succeeded')
  await jobs.raw.del(await jobs.raw.keys('ballast:*'))
  assert.equal((await jobs.queue.create(newJob(), { idempotency })).replayed, false)
})

test('events and logs of ended jobs make room, the oldest first', async (t) => {
  const jobs = await startJobs(t, { args: ['--maxmemory', String(32 * MIB)] })
  const ids: string[] = []
  for (let count = 1; count <= 3; count += 1) {
    const { job } = await jobs.queue.create(newJob())
    ids.push(job.id)
    const { epoch } = await begin(jobs, job)
    for (let at = 0; at < 20; at += 1) await jobs.runs.report(job.id, epoch, { events: [log('x'.repeat(100_000))] })
    const trace = { requests: [], dropped: 3, most: 1 }
    await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT }, { trace })
    await jobs.raw.rpush(`{layerd}:job:${job.id}:trace`, '{}')
    jobs.clock.advance(1000)
  }
  const { job: open } = await jobs.queue.create(newJob())
  const kept = async () => {
    const there = await Promise.all([...ids, open.id].map((id) => jobs.raw.exists(`{layerd}:job:${id}:events`)))
    return there.map(Boolean)
  }
  assert.equal(await jobs.runs.shedTraces(), 0)
  assert.deepEqual(await kept(), [true, true, true, true])
  await fill(jobs, 0.6 * 32 * MIB)
  assert.equal(await jobs.runs.shedTraces(), 3)
  assert.deepEqual(await kept(), [false, false, false, true])
  for (const id of ids) assert.equal((await jobs.queue.get(id))?.state, 'succeeded')
  assert.deepEqual(await jobs.queue.log(ids[0] ?? '', { limit: 10 }), [])
  assert.deepEqual(await jobs.queue.trace(ids[0] ?? ''), { requests: [], dropped: 0 })
  await jobs.raw.del(await jobs.raw.keys('ballast:*'))
  await jobs.queue.retry(ids[0] ?? '').catch(() => undefined)
  assert.equal(
    await jobs.raw.hget(`{layerd}:job:${ids[0]}`, 'logBytes'),
    null,
    'a log that begins anew has all its room',
  )
})

test('10,000 jobs at once are all there, in order, within 400 MB', async (t) => {
  const jobs = await startJobs(t)
  const count = 10_000
  const ids: string[] = []
  for (let made = 0; made < count; made += 200) {
    const batch = await Promise.all(Array.from({ length: 200 }, () => jobs.queue.create(newJob())))
    ids.push(...batch.map(({ job }) => job.id))
  }
  const used = await usedBytes(jobs)
  t.diagnostic(`${Math.round(used / 1e6)} MB`)
  assert.ok(used < 400e6, `${used} bytes`)
  const listed: string[] = []
  for (let token: string | undefined; ; ) {
    const page = await jobs.queue.list(
      { sort: 'createdAt' },
      { size: 200, ...(token === undefined ? {} : { token }) },
      ANONYMOUS,
    )
    listed.push(...page.items.map(({ id }) => id))
    token = page.nextPageToken
    if (token === undefined) break
  }
  assert.deepEqual(listed, ids.toSorted())
  const waiting = (await jobs.raw.lrange('{layerd}:bull:registry.example%3A5000:wait', 0, -1)).toReversed()
  assert.equal(waiting.length, count)
})
