import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newJob, silence, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { factsOf, wordOf } from '../helpers/redis/worker-facts.ts'

const stateOf = async ({ queue }: TestJobs, id: string) => (await queue.workers.get(id))?.state
const keysOf = async ({ raw }: TestJobs) => (await raw.keys('*workers*')).toSorted()

describe('what Redis keeps of workers', () => {
  test('is what each told last, by the clock of Redis alone', async (t) => {
    const jobs = await startJobs(t)
    // As on a machine whose clock is an hour late.
    jobs.clock.advance(-3_600_000)
    const running = [{ id: 'job-1', kind: 'publish' as const, since: Date.parse('2026-03-01T12:30:00Z') }]
    await jobs.runs.heartbeat('w-1', wordOf({ jobs: running }))
    const { ending: _ending, ...facts } = factsOf({ jobs: running })
    const { lastSeen, ...worker } = (await jobs.queue.workers.get('w-1')) ?? { lastSeen: 0 }
    assert.deepEqual(worker, { ...facts, id: 'w-1', state: 'running', drain: null })
    const [seconds] = await jobs.raw.time()
    assert.ok(Math.abs(lastSeen - Number(seconds) * 1000) < 30_000, String(lastSeen))
    assert.equal(await jobs.queue.liveWorkers(), 1)
    assert.equal(await jobs.queue.workers.get('w-2'), undefined)
    await jobs.runs.heartbeat('w-1', wordOf({ ending: true }))
    assert.equal(await stateOf(jobs, 'w-1'), 'draining')
    await jobs.runs.forgetWorker('w-1')
    assert.deepEqual(await jobs.queue.workers.all(), [])
  })

  test('shows one that went silent as lost, for a while, and as running once it is back', async (t) => {
    const jobs = await startJobs(t)
    const word = wordOf({ jobs: [{ id: 'job-1', kind: 'pull', since: 1 }] })
    await jobs.runs.heartbeat('w-1', word)
    await silence(jobs, 'w-1')
    const lost = await jobs.queue.workers.get('w-1')
    assert.deepEqual([lost?.state, lost?.jobs.map(({ id }) => id)], ['lost', ['job-1']])
    assert.equal(await jobs.queue.liveWorkers(), 0)
    await jobs.runs.heartbeat('w-1', word)
    assert.equal(await stateOf(jobs, 'w-1'), 'running')
    await silence(jobs, 'w-1', 151_000)
    assert.deepEqual([await stateOf(jobs, 'w-1'), await jobs.queue.workers.all()], [undefined, []])
  })

  test('goes by itself where nobody is left to clean up, and with the next sign of another', async (t) => {
    const jobs = await startJobs(t)
    await jobs.runs.heartbeat('w-1', wordOf())
    for (const key of await keysOf(jobs)) assert.ok((await jobs.raw.pttl(key)) > 0, `${key} stays for ever`)
    await silence(jobs, 'w-1', 151_000)
    await jobs.raw.del('{layerd}:workers:of:w-1')
    await jobs.runs.heartbeat('w-2', wordOf())
    assert.deepEqual(await jobs.raw.zrange('{layerd}:workers', '0', '-1'), ['w-2'])
    assert.deepEqual(await jobs.raw.zrange('{layerd}:workers:known', '0', '-1'), ['w-2'])
    assert.deepEqual(await jobs.raw.hkeys('{layerd}:workers:places'), ['w-2'])
  })

  test('counts the places of all that take jobs', async (t) => {
    const jobs = await startJobs(t)
    const places = async (id: string, count: number) =>
      (await jobs.runs.heartbeat(id, wordOf({ places: count }))).places
    assert.deepEqual([await places('w-1', 4), await places('w-2', 3), await places('w-1', 4)], [4, 7, 7])
    assert.equal(await places('w-2', 1), 5, 'it takes fewer now')
    await jobs.runs.forgetWorker('w-1')
    assert.equal(await places('w-2', 1), 1)
  })

  test('is read and written in bounded work for a thousand of them', async (t) => {
    const jobs = await startJobs(t)
    const running = Array.from({ length: 8 }, (_, at) => ({ id: `job-${at}`, kind: 'copy' as const, since: at }))
    const names = Array.from({ length: 1000 }, (_, at) => `host-${at % 10}-${at}`)
    await Promise.all(names.map((name) => jobs.runs.heartbeat(name, wordOf({ jobs: running }))))
    assert.equal((await jobs.queue.workers.all()).length, 1000)
    assert.equal((await jobs.runs.heartbeat('host-0-0', wordOf({ jobs: running }))).places, 4000)
    await jobs.raw.config('RESETSTAT')
    await jobs.runs.heartbeat('host-0-0', wordOf({ jobs: running }))
    const calls = Number(/cmdstat_zscore:calls=(\d+)/.exec(await jobs.raw.info('commandstats'))?.[1] ?? 0)
    assert.ok(calls < 10, `a sign of one looks at ${calls} others`)
  })

  test('tells a job that waits whether there is a worker to wait for', async (t) => {
    const jobs = await startJobs(t)
    const { job } = await jobs.queue.create(newJob())
    const reason = async () => (await jobs.queue.get(job.id))?.reason
    assert.equal(await reason(), 'no worker is running')
    await jobs.runs.heartbeat('w-1', wordOf())
    await jobs.runs.heartbeat('w-2', wordOf())
    assert.match((await reason()) ?? '', /^1st of 1 waiting/)
    await jobs.queue.workers.drain('w-1', { handOver: false })
    assert.match((await reason()) ?? '', /^1st of 1 waiting/)
    await jobs.queue.workers.drain('w-2', { handOver: false })
    assert.equal(await reason(), 'all workers are drained, so none takes jobs')
    assert.equal(await jobs.queue.liveWorkers(), 2, 'they are there')
    await jobs.queue.workers.resume('w-1')
    await jobs.runs.heartbeat('w-1', wordOf())
    assert.match((await reason()) ?? '', /^1st of 1 waiting/)
  })
})
