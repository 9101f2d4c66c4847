import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import type { JobQueue } from '../../src/jobs/queue.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { addJob, hostOf, startInstantWorker } from '../helpers/redis/instant-worker.ts'
import { limitedQueue, newJob, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** What a process has at most: src/worker/consumers.ts, docs/operations.md "Redis". */
const CONSUMERS = 64

const hosts = (count: number): string[] => Array.from({ length: count }, (_, at) => `127.0.0.1:${2000 + at}`)

/** Connections of consumers of the worker; each has a name that ends with the worker's. */
async function consumerConnections({ raw }: TestJobs, worker: string): Promise<number> {
  const list = String(await raw.client('LIST'))
  return list.split('\n').filter((line) => line.includes(`:w:${worker} `)).length
}

/** Makes a job of this principal for this host, and says its id. */
const adding = (queue: JobQueue) => async (principal: string, queueHost: string) =>
  (await queue.create(newJob({ principal, queueHost }))).job.id

async function succeeded({ queue }: TestJobs, id: string): Promise<boolean> {
  return (await queue.get(id))?.state === 'succeeded'
}

test('jobs for 300 hosts all run, over no more connections than a process may have', async (t) => {
  const jobs = await startJobs(t)
  const ids: string[] = []
  for (const host of hosts(300)) ids.push(await addJob(jobs, host))
  await startInstantWorker(t, jobs, { name: 'one', jobs: 4 })
  let most = 0
  await waitFor(
    'all to have succeeded',
    async () => {
      most = Math.max(most, await consumerConnections(jobs, 'one'))
      return (await jobs.queue.figures()).jobs.succeeded === ids.length
    },
    { timeoutMs: 60_000 },
  )
  assert.ok(most <= CONSUMERS, `${most} connections of consumers`)
})

test('hosts that never run out of jobs give way to one that waits', async (t) => {
  const jobs = await startJobs(t)
  const busy = hosts(CONSUMERS)
  const ran = new Set<string>()
  let ending = false
  t.after(() => (ending = true))
  await startInstantWorker(t, jobs, {
    name: 'one',
    jobs: 4,
    async run(job) {
      const host = hostOf(job)
      ran.add(host)
      if (!ending && busy.includes(host)) await addJob(jobs, host)
    },
  })
  for (const host of busy) for (let at = 0; at < 3; at += 1) await addJob(jobs, host)
  await waitFor('all hosts to be busy', () => ran.size === busy.length, { timeoutMs: 60_000 })
  const last = await addJob(jobs, 'registry.example')
  let most = 0
  await waitFor(
    'the turn of the one that waits',
    async () => {
      most = Math.max(most, await consumerConnections(jobs, 'one'))
      return succeeded(jobs, last)
    },
    { timeoutMs: 60_000 },
  )
  assert.ok(most <= CONSUMERS, `${most} connections of consumers`)
  ending = true
})

test('hosts whose jobs do not end keep them and give way all the same', async (t) => {
  const jobs = await startJobs(t)
  const busy = hosts(CONSUMERS)
  const gate = Promise.withResolvers<undefined>()
  t.after(() => gate.resolve(undefined))
  await startInstantWorker(t, jobs, {
    name: 'one',
    jobs: 100,
    turn: { jobs: 1, ms: 60_000 },
    run: (job) => (busy.includes(hostOf(job)) ? gate.promise : Promise.resolve()),
  })
  const held: string[] = []
  for (const host of busy) held.push(await addJob(jobs, host))
  const running = async () => (await jobs.queue.figures()).jobs.running
  await waitFor('all hosts to be busy', async () => (await running()) === busy.length, { timeoutMs: 60_000 })
  const last = await addJob(jobs, 'registry.example')
  await waitFor('the turn of the one that waits', () => succeeded(jobs, last), { timeoutMs: 60_000 })
  assert.equal(await running(), busy.length, 'none of the others was stopped')
  assert.ok((await consumerConnections(jobs, 'one')) <= CONSUMERS)
  gate.resolve(undefined)
  await waitFor('theirs to end well', async () => (await jobs.queue.figures()).jobs.succeeded === busy.length + 1, {
    timeoutMs: 60_000,
  })
  const attempts = await Promise.all(held.map(async (id) => (await jobs.queue.get(id))?.attempt))
  assert.deepEqual(new Set(attempts), new Set([1]))
})

test('a job of a lost worker is queued again also where this process has no consumer for its host', async (t) => {
  const jobs = await startJobs(t)
  for (const host of hosts(CONSUMERS)) await addJob(jobs, host)
  await addJob(jobs, 'lost.example')
  const queue = '{layerd}:bull:lost.example'
  await waitFor('BullMQ to have it', async () => (await jobs.raw.llen(`${queue}:wait`)) === 1)
  await jobs.raw.rpoplpush(`${queue}:wait`, `${queue}:active`)
  const gate = Promise.withResolvers<undefined>()
  t.after(() => gate.resolve(undefined))
  await startInstantWorker(t, jobs, { name: 'one', jobs: 1, lockMs: 6000, run: () => gate.promise })
  await waitFor('it to wait', async () => (await jobs.raw.llen(`${queue}:wait`)) === 1, { timeoutMs: 60_000 })
  assert.ok((await consumerConnections(jobs, 'one')) <= CONSUMERS)
  gate.resolve(undefined)
  const all = CONSUMERS + 1
  await waitFor('all to end', async () => (await jobs.queue.figures()).jobs.succeeded === all, { timeoutMs: 60_000 })
})

test('a job for one host too many is refused with the figure, and taken when another host has none left', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxHosts: 3 })
  const add = (host: string) => addJob({ ...jobs, queue }, host)
  const refused = (call: Promise<unknown>) =>
    assert.rejects(call, (error: AppError) => {
      assert.deepEqual([error.code, error.retry], ['TOO_MANY_HOSTS', 'transient'])
      assert.ok((error.retryAfterMs ?? 0) >= 1000)
      assert.match(error.message, /\b3 registries have jobs/)
      assert.match(error.hint ?? '', /LAYERD_MAX_HOSTS/)
      return true
    })
  const [first, , third] = [await add('a'), await add('b'), await add('c')]
  await refused(add('d'))
  assert.deepEqual(await hostCounts(jobs), { a: 1, b: 1, c: 1 })
  await add('a')
  await queue.pause(third)
  await add('d')
  await refused(queue.resume(third))
  assert.equal((await queue.get(third))?.state, 'paused')
  await queue.cancel(first)
  await refused(queue.resume(third))
  await queue.retry(first)
  const { items } = await queue.list({}, { size: 10 }, ANONYMOUS)
  for (const { id, destination } of items) if (destination === 'oci://a/team') await queue.cancel(id)
  await queue.resume(third)
  await refused(queue.retry(first))
  assert.deepEqual(await hostCounts(jobs), { b: 1, c: 1, d: 1 })
})

test('where several have jobs one may have a tenth of all hosts; hosts that have jobs take more of anyone', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxHosts: 20 })
  const add = adding(queue)
  const full = {
    code: 'TOO_MANY_HOSTS',
    message: /^2 registries have jobs of yours .*; while others have jobs, one may have 2$/,
    retryAfterMs: 30_000,
  }
  const alone = await Promise.all(hosts(5).map((host) => add('ann', host)))
  await add('bob', 'b')
  await assert.rejects(add('ann', 'c'), { code: 'TOO_MANY_HOSTS', message: /^5 registries have jobs of yours/ })
  const here = await add('ann', 'b')
  await add('bob', 'c')
  await assert.rejects(add('bob', 'd'), full)
  const more = await add('bob', hosts(1)[0] ?? '')
  assert.deepEqual(await holders(jobs), { ann: 6, bob: 3 })
  for (const id of [...alone, more]) await queue.cancel(id)
  assert.deepEqual(await holders(jobs), { ann: 1, bob: 2 })
  const again = await add('ann', 'd')
  await assert.rejects(queue.retry(alone[1] ?? ''), full)
  await queue.pause(again)
  await add('ann', 'e')
  await assert.rejects(queue.resume(again), full)
  await queue.cancel(here)
  assert.equal((await queue.resume(again)).state, 'queued')
  // A fail-over that lost some of that.
  await jobs.raw.zadd('{layerd}:hosts:holders', 9, 'ann', 1, 'gone')
  await jobs.raw.zadd('{layerd}:hosts:held', 3, 'ann d', 1, 'gone x')
  assert.equal(await jobs.runs.recountOpen(), 4)
  assert.deepEqual(await holders(jobs), { ann: 2, bob: 2 })
})

test('who is alone leaves a share of all hosts for the next, who comes in', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxHosts: 20 })
  const add = adding(queue)
  const alone = {
    code: 'TOO_MANY_HOSTS',
    message:
      /^18 registries have jobs of yours .*; one may have 18 of the 20 of LAYERD_MAX_HOSTS, the others are kept for/,
    hint: /Try again when .* ended, cancel what hangs, or set LAYERD_MAX_HOSTS higher/,
    details: { hosts: 18, limit: 18 },
    retryAfterMs: 30_000,
  }
  const paused = await add('ann', 'paused')
  await queue.pause(paused)
  const [first = ''] = await Promise.all(hosts(18).map((host) => add('ann', host)))
  await assert.rejects(add('ann', 'a'), alone)
  await assert.rejects(queue.resume(paused), alone)
  await add('ann', hosts(1)[0] ?? '')
  await add('bob', 'b')
  await add('bob', 'c')
  await assert.rejects(add('bob', 'd'), { code: 'TOO_MANY_HOSTS', message: /^20 registries/ })
  assert.deepEqual(await holders(jobs), { ann: 18, bob: 2 })
  assert.equal((await queue.get(first))?.state, 'queued')
})

for (const [most, allowed] of [
  [1, 1],
  [2, 1],
  [3, 2],
  [10, 9],
] as const) {
  test(`of ${most} hosts who is alone may have ${allowed}, and without tokens everybody together all`, async (t) => {
    const jobs = await startJobs(t)
    const queue = await limitedQueue(t, jobs, { maxHosts: most })
    const add = adding(queue)
    const ids = await Promise.all(hosts(allowed).map((host) => add('ann', host)))
    await assert.rejects(add('ann', 'a'), { code: 'TOO_MANY_HOSTS' })
    for (const id of ids) await queue.cancel(id)
    for (const host of hosts(most)) await add('anonymous', host)
    await assert.rejects(add('anonymous', 'a'), { code: 'TOO_MANY_HOSTS' })
  })
}

async function holders({ raw }: TestJobs): Promise<Record<string, number>> {
  const flat = await raw.zrange('{layerd}:hosts:holders', '0', '-1', 'WITHSCORES')
  return Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, Number(flat[at + 1])]] : [])))
}

test('what BullMQ keeps of a host goes a day after its last job, and its limit is there for the next one', async (t) => {
  const jobs = await startJobs(t)
  const host = 'registry.example:5000'
  const queue = '{layerd}:bull:registry.example%3A5000'
  const ttls = () => Promise.all(['meta', 'id', 'events'].map((name) => jobs.raw.ttl(`${queue}:${name}`)))
  await jobs.runs.settleQueues('worker-1')
  const first = await addJob(jobs, host)
  await waitFor('BullMQ to have it', async () => (await jobs.raw.llen(`${queue}:wait`)) === 1)
  assert.deepEqual(await ttls(), [-1, -1, -1])
  await jobs.queue.cancel(first)
  for (const ttl of await ttls()) assert.ok(ttl > 86_000 && ttl <= 86_400, `${ttl} s`)
  const second = await addJob(jobs, host)
  assert.deepEqual(await ttls(), [-1, -1, -1])
  await jobs.queue.cancel(second)
  // As if the day had passed.
  await jobs.raw.del(`${queue}:meta`)
  jobs.clock.advance(3_700_000)
  await addJob(jobs, host)
  assert.equal(await jobs.raw.hget(`${queue}:meta`, 'concurrency'), '8')
})

test('what is said twice is answered, also when there are too many hosts', async (t) => {
  const jobs = await startJobs(t)
  const queue = await limitedQueue(t, jobs, { maxHosts: 1 })
  const idempotency = { scope: 'key', fingerprint: 'body' }
  const { job } = await queue.create(newJob({ queueHost: 'a' }), { idempotency })
  await queue.cancel(job.id)
  await queue.create(newJob({ queueHost: 'b' }))
  const again = await queue.create(newJob({ queueHost: 'a' }), { idempotency })
  assert.deepEqual([again.job.id, again.replayed], [job.id, true])
})

test('wrong counts of open jobs are set right', async (t) => {
  const jobs = await startJobs(t)
  const ids = [await addJob(jobs, 'a'), await addJob(jobs, 'a'), await addJob(jobs, 'b'), await addJob(jobs, 'c')]
  await jobs.queue.pause(ids[3] ?? '')
  const right = await hostCounts(jobs)
  assert.deepEqual(right, { a: 2, b: 1 })
  assert.equal(await jobs.runs.recountOpen(), 0)
  await jobs.raw.zadd('{layerd}:hosts', 7, 'a', 3, 'gone.example')
  await jobs.raw.zrem('{layerd}:hosts', 'b')
  assert.equal(await jobs.runs.recountOpen(), 0, 'one was made just now')
  await jobs.raw.del('{layerd}:hosts:counted')
  assert.equal(await jobs.runs.recountOpen(), 3)
  assert.deepEqual(await hostCounts(jobs), right)
})

async function hostCounts({ runs }: TestJobs): Promise<Record<string, number>> {
  return Object.fromEntries((await runs.hosts()).map(({ host, openJobs }) => [host, openJobs]))
}
