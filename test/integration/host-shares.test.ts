import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addJob, hostOf, startInstantWorker } from '../helpers/redis/instant-worker.ts'
import { startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SLOW = 'slow.example'
const QUICK = 'quick.example'

async function add(jobs: TestJobs, host: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let at = 0; at < count; at += 1) ids.push(await addJob(jobs, host))
  return ids
}

async function ended({ queue }: TestJobs, ids: readonly string[]): Promise<number> {
  const states = await Promise.all(ids.map(async (id) => (await queue.get(id))?.state))
  return states.filter((state) => state === 'succeeded').length
}

/** Jobs of the slow host run until it opens. */
function slowGate() {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  let running = 0
  return {
    open: () => resolve(undefined),
    get running() {
      return running
    },
    async hold() {
      running += 1
      await promise
      running -= 1
    },
  }
}

test('a registry gets half of the places as long as another one has jobs waiting, and all when none has', async (t) => {
  const jobs = await startJobs(t)
  const gate = slowGate()
  t.after(() => gate.open())
  let most = 0
  const slow = await add(jobs, SLOW, 12)
  const quick = await add(jobs, QUICK, 30)
  let quickLeft = quick.length
  await startInstantWorker(t, jobs, {
    name: 'one',
    jobs: 8,
    async run(job) {
      if (hostOf(job) === SLOW) return gate.hold()
      most = Math.max(most, gate.running)
      quickLeft -= 1
    },
  })
  await waitFor('the jobs of the other one to end', async () => (await ended(jobs, quick)) === quick.length)
  assert.equal(quickLeft, 0)
  assert.ok(most <= 4, `${most} of 8 places`)
  await waitFor('it to have all places', () => gate.running === 8)
  gate.open()
  await waitFor('all to end', async () => (await ended(jobs, slow)) === slow.length)
})

test('with one place in each of two processes a registry gets one of them', async (t) => {
  const jobs = await startJobs(t)
  const gate = slowGate()
  t.after(() => gate.open())
  await add(jobs, SLOW, 4)
  const quick = await add(jobs, QUICK, 4)
  for (const name of ['one', 'two']) {
    await startInstantWorker(t, jobs, {
      name,
      jobs: 1,
      run: (job) => (hostOf(job) === SLOW ? gate.hold() : Promise.resolve()),
    })
  }
  await waitFor('the jobs of the other one to end', async () => (await ended(jobs, quick)) === quick.length, {
    timeoutMs: 30_000,
  })
  gate.open()
})

test('registries take turns at the only place there is', async (t) => {
  const jobs = await startJobs(t)
  const hosts = Array.from({ length: 10 }, (_, at) => `registry-${at}.example`)
  const order: string[] = []
  const ids: string[] = []
  for (const host of hosts) ids.push(...(await add(jobs, host, 4)))
  await startInstantWorker(t, jobs, { name: 'one', jobs: 1, run: async (job) => void order.push(hostOf(job)) })
  await waitFor('all to end', async () => (await ended(jobs, ids)) === ids.length, { timeoutMs: 30_000 })
  const rounds = Array.from({ length: 4 }, (_, at) => new Set(order.slice(10 * at, 10 * at + 10)).size)
  // One that had found nothing when it asked, as its job was being handed back, may be late by a turn.
  assert.ok(Math.min(...rounds) >= 8, `${rounds.join()} hosts in each ten turns: ${order.join(' ')}`)
})
