import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { createTransferClaims } from '../../src/jobs/uploads/transfer-claims.ts'
import { defer } from '../helpers/cleanup.ts'
import { begin, newJob, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'

const key = { registry: 'registry.example:5000', repository: 'team/nemo', digest: digestOf('a layer') }
const name = `{layerd}:claim:registry.example:5000/team/nemo@${key.digest}`
const { signal } = new AbortController()

/** As a process of its own sees the claims. */
function claimsOf(t: TestContext, jobs: TestJobs, expiryMs = 15_000) {
  const claims = createTransferClaims({ redis: jobs.options.redis, expiryMs })
  defer(t, () => claims.close())
  return claims
}

async function runningJob(jobs: TestJobs): Promise<{ id: string; epoch: number }> {
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  return { id: job.id, epoch }
}

test('the second comer sees how far the first one is, and then that the blob is there', async (t) => {
  const jobs = await startJobs(t)
  const [one, two] = [await runningJob(jobs), await runningJob(jobs)]
  const first = claimsOf(t, jobs).forRun(one.id, one.epoch)
  const second = claimsOf(t, jobs).forRun(two.id, two.epoch)
  const claim = await first.take(key, { signal, again: false })
  assert.equal(claim.state, 'taken')
  assert.deepEqual(await second.take(key, { signal, again: false }), { state: 'held', offset: 0 })
  claim.moved(70_000)
  await waitFor('the bytes to be told', async () => {
    const found = await second.look(key, { signal })
    return found.state === 'held' && found.offset === 70_000
  })
  await waitFor('the owner to hear that somebody waits', () => claim.watched)
  await claim.release({ done: true })
  assert.deepEqual(await second.look(key, { signal }), { state: 'done' })
  assert.deepEqual(await second.take(key, { signal, again: false }), { state: 'done' })
  const again = await second.take(key, { signal, again: true })
  assert.equal(again.state, 'taken', 'a mark that proved wrong does not stop anybody')
  await again.release({ done: false })
  assert.deepEqual(await jobs.raw.keys('{layerd}:claim:*'), [])
})

test('a claim ends with the run that held it', async (t) => {
  const jobs = await startJobs(t)
  const [one, two, three] = [await runningJob(jobs), await runningJob(jobs), await runningJob(jobs)]
  const claims = claimsOf(t, jobs)
  const dead = await claims.forRun(one.id, one.epoch).take(key, { signal, again: false })
  assert.equal(dead.state, 'taken')
  const next = await begin(jobs, one)
  const successor = await claims.forRun(one.id, next.epoch).take(key, { signal, again: false })
  assert.equal(successor.state, 'taken', 'the next run of the same job takes it at once')
  await waitFor('the replaced run to learn of it', () => dead.lost.aborted)
  await dead.release({ done: true })
  const other = claims.forRun(two.id, two.epoch)
  assert.equal((await other.look(key, { signal })).state, 'held', "a replaced run's release changes nothing")
  await jobs.runs.finish(one.id, next.epoch, { state: 'canceled', reason: null })
  assert.equal((await other.look(key, { signal })).state, 'free', 'an ended job holds nothing')
  const taken = await other.take(key, { signal, again: false })
  assert.equal(taken.state, 'taken')
  assert.equal((await claims.forRun(three.id, three.epoch).look(key, { signal })).state, 'held')
  await taken.release({ done: false })
  await successor.release({ done: false })
})

test('a claim that nobody renews runs out', async (t) => {
  const jobs = await startJobs(t)
  const [one, two] = [await runningJob(jobs), await runningJob(jobs)]
  const doomed = createTransferClaims({ redis: jobs.options.redis, expiryMs: 500 })
  const claim = await doomed.forRun(one.id, one.epoch).take(key, { signal, again: false })
  assert.equal(claim.state, 'taken')
  const other = claimsOf(t, jobs).forRun(two.id, two.epoch)
  await waitFor('several renewals', async () => (await jobs.raw.pttl(name)) > 0 && claim.state === 'taken')
  assert.equal((await other.look(key, { signal })).state, 'held')
  await doomed.close()
  await waitFor('the claim to run out', async () => (await other.look(key, { signal })).state === 'free')
  t.after(() => claim.release({ done: false }))
})

test('an outage of Redis costs no claim, unless another run took it first', async (t) => {
  const jobs = await startJobs(t)
  const [one, two] = [await runningJob(jobs), await runningJob(jobs)]
  const claims = claimsOf(t, jobs)
  const claim = await claims.forRun(one.id, one.epoch).take(key, { signal, again: false })
  assert.equal(claim.state, 'taken')
  await jobs.redis.stop()
  await jobs.redis.start()
  await jobs.raw.del(name)
  await waitFor('the claim to be taken again', async () => (await jobs.raw.exists(name)) === 1)
  assert.equal(claim.lost.aborted, false)
  await jobs.raw.hset(name, { token: 'another', job: two.id, epoch: two.epoch, offset: 5 })
  await waitFor('the loss to be noticed', () => claim.lost.aborted)
  await claim.release({ done: true })
  assert.equal(await jobs.raw.hget(name, 'token'), 'another')
})
