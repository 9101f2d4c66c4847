import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { createUploadCheckpoints } from '../../src/jobs/uploads/checkpoints.ts'
import type { LeftUpload } from '../../src/jobs/runs.ts'
import { digestOf } from '../../src/content/digest.ts'
import { defer } from '../helpers/cleanup.ts'
import { begin, newJob, RESULT, startJobs, type TestJobs } from '../helpers/redis/jobs.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
/** The worker's own is 30 s. */
const LOCK_MS = 3000

test('uploads that a failing job could not give up are given up after its end, with its own credentials', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 10_000, format: 'tar' })
  const basic = { username: 'pusher', password: 'secret' }
  const registry = await startMemoryRegistry({ basic })
  t.after(() => registry.close())
  registry.fail({ method: 'PUT', times: 100 }, { kind: 'answer', status: 403 })
  const lift = registry.fail({ method: 'DELETE', times: 100 }, { kind: 'answer', status: 503 })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('worker')
  // One blob at a time: the answer to a request that is broken off as another blob fails would be lost.
  const credentials = { registry: registry.host, ...basic }
  const job = await system.publish(built.path, registry.host, { credentials, options: { concurrency: 1 } })
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'failed')
  assert.ok(registry.openSessions > 0)
  lift()
  await waitFor('the uploads to be given up', () => registry.openSessions === 0)
  await system.assertNothingLeft(registry)
})

test('an upload of a large layer that a canceled job could not give up is given up after its end', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 10 * MIB, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  registry.fail({ method: 'PATCH' }, { kind: 'stall-request', afterBytes: 5 * MIB })
  const down = { kind: 'answer', status: 503, headers: { 'retry-after': '0' } } as const
  const lift = registry.fail({ method: 'DELETE', times: 100 }, down)
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('worker')
  const job = await system.publish(built.path, registry.host)
  await waitFor('a part of the layer', () =>
    registry.requests.some(({ method, bodyBytes }) => method === 'PATCH' && bodyBytes === 5 * MIB),
  )
  await system.queue.cancel(job.id)
  assert.equal((await system.ended(job.id)).state, 'canceled')
  assert.ok(registry.openSessions > 0)
  lift()
  await system.assertNothingLeft(registry)
})

test('the session of a large layer stays known when its worker is killed while the registry refuses to drop it', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 10 * MIB, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  // The commit of the layer, whose bytes went before.
  registry.fail({ method: 'PUT', path: /\/blobs\/uploads\// }, { kind: 'answer', status: 403 })
  const lift = registry.fail({ method: 'DELETE', times: 1000 }, { kind: 'answer', status: 500 })
  const system = await startJobSystem(t, { roots: [folder] })
  const first = await system.workerProcess('first', { lockMs: LOCK_MS })
  const job = await system.publish(built.path, registry.host, { options: { concurrency: 1 } })
  const raw = new Redis(system.redis.clientOptions)
  defer(t, () => raw.disconnect())
  const large = () => registry.sessions().filter(({ bytes }) => bytes >= MIB)
  await waitFor('it to be given up, and to be saved no more', async () => {
    const asked = registry.requests.some(({ method }) => method === 'DELETE')
    return asked && large().length === 1 && (await raw.keys('{layerd}:upload:*')).length === 0
  })
  await first.kill()
  lift()
  await system.worker('second', { lockMs: LOCK_MS })
  await system.ended(job.id)
  await waitFor('the large one to be dropped', () => large().length === 0)
})

test('a session that the registry refuses to drop is tried again, later and later, until it does', async (t) => {
  const { jobs, checkpoints } = await setUp(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const sessions = checkpoints.forRun(job.id, epoch)
  sessions.opened(KEY, upload('stuck').location)
  sessions.opened(KEY, upload('other').location)
  await sessions.settle()
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  let down = true
  const given: string[] = []
  const turn = async (): Promise<string[]> => {
    await jobs.runs.tidyJobs(async ({ location }) => {
      given.push(location.slice(location.lastIndexOf('/') + 1))
      return !(down && location.endsWith('stuck'))
    })
    return given.splice(0).toSorted()
  }
  jobs.clock.advance(3000)
  assert.deepEqual(await turn(), ['other', 'stuck'])
  assert.deepEqual(await turn(), [], 'not at once')
  for (const seconds of [5, 10, 20, 700, 700]) {
    jobs.clock.advance(seconds * 1000)
    assert.deepEqual(await turn(), ['stuck'], `after ${seconds} s`)
    assert.deepEqual(await turn(), [])
  }
  down = false
  jobs.clock.advance(700_000)
  assert.deepEqual(await turn(), ['stuck'])
  jobs.clock.advance(700_000)
  assert.deepEqual(await turn(), [])
  assert.equal(await jobs.raw.exists('{layerd}:tidy', `{layerd}:job:${job.id}:sessions`), 0)
})

const KEY = { registry: 'registry.example', repository: 'team/nemo', digest: digestOf('layer') }

/** Jobs, and runs of them that save uploads. Workers look after left uploads only where the test says so. */
async function setUp(t: TestContext) {
  const jobs = await startJobs(t)
  const checkpoints = createUploadCheckpoints(jobs.options)
  defer(t, () => checkpoints.close())
  return { jobs, checkpoints }
}

function upload(name: string) {
  return { location: `https://registry.example/v2/up/${name}`, offset: 5, size: 9, startedAt: 1 }
}

/** Ends the job's run with a cancel. */
async function cancelRun({ queue, runs }: TestJobs, id: string, epoch: number): Promise<void> {
  await queue.cancel(id)
  assert.deepEqual(await runs.finish(id, epoch, { state: 'canceled', reason: null }), {
    fenced: false,
    state: 'canceled',
  })
}

test('an upload that another job begins anew while the one before it is given up stays known', async (t) => {
  const { jobs, checkpoints } = await setUp(t)
  const { job } = await jobs.queue.create(newJob())
  const { job: next } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  await checkpoints.forRun(job.id, epoch).save(KEY, upload('first'))
  await cancelRun(jobs, job.id, epoch)
  jobs.clock.advance(3000)

  const heir = checkpoints.forRun(next.id, (await begin(jobs, next)).epoch)
  const given: string[] = []
  await jobs.runs.tidyJobs(async ({ location }) => {
    given.push(location)
    await heir.save(KEY, upload('second'))
    return true
  })
  assert.deepEqual(given, [upload('first').location])
  assert.deepEqual(await heir.load(KEY), upload('second'))
  assert.equal(await jobs.raw.exists(`{layerd}:job:${job.id}:uploads`), 0)
})

test('an upload that a replaced run saves while the one before it is given up is given up too', async (t) => {
  const { jobs, checkpoints } = await setUp(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const sleeper = checkpoints.forRun(job.id, epoch)
  await sleeper.save(KEY, upload('first'))
  await cancelRun(jobs, job.id, epoch)
  jobs.clock.advance(3000)

  const given: string[] = []
  const turn = () =>
    jobs.runs.tidyJobs(async ({ location }) => {
      if (given.push(location) === 1) await sleeper.save(KEY, upload('second'))
      return true
    })
  await turn()
  await turn()
  await turn()
  assert.deepEqual(given, [upload('first').location, upload('second').location])
  assert.equal(await sleeper.load(KEY), undefined)
})

test('an upload that a replaced run saves of another layer meanwhile is given up too', async (t) => {
  const { jobs, checkpoints } = await setUp(t)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const sleeper = checkpoints.forRun(job.id, epoch)
  await sleeper.save(KEY, upload('first'))
  await cancelRun(jobs, job.id, epoch)
  jobs.clock.advance(3000)

  const other = { ...KEY, digest: digestOf('another layer') }
  const given: string[] = []
  const turn = () =>
    jobs.runs.tidyJobs(async ({ location }) => {
      if (given.push(location) === 1) await sleeper.save(other, upload('second'))
      return true
    })
  await turn()
  await turn()
  assert.deepEqual(given, [upload('first').location, upload('second').location])
  assert.equal(await sleeper.load(other), undefined)
  assert.equal(await jobs.raw.exists(`{layerd}:job:${job.id}:uploads`), 0)
  assert.equal(await turn(), 0)
})

test('what a replaced run notes after the end of its job is given up with the credentials of that run', async (t) => {
  const { jobs, checkpoints } = await setUp(t)
  const credentials = { registry: KEY.registry, username: 'pusher', password: 'secret' }
  const { job } = await jobs.queue.create(newJob(), { credentials })
  const sleeper = await begin(jobs, job)
  const heir = await begin(jobs, job, 1, 'worker-2')
  await jobs.runs.finish(job.id, heir.epoch, { state: 'succeeded', result: RESULT })
  const sealed = `{layerd}:cred:${job.id}`
  assert.equal(await jobs.raw.exists(sealed), 0)

  const sessions = checkpoints.forRun(job.id, sleeper.epoch, sleeper.credentials)
  sessions.opened(KEY, upload('small').location)
  await sessions.settle()
  assert.ok((await jobs.raw.ttl(sealed)) > 0)
  jobs.clock.advance(3000)
  const given: LeftUpload[] = []
  await jobs.runs.tidyJobs(async (left) => given.push(left) > 0)
  assert.deepEqual(
    given.map((left) => [left.location, left.credentials]),
    [[upload('small').location, credentials]],
  )
  assert.equal(await jobs.raw.exists(sealed), 0)
})

test('a registry that does not answer, or a job that cannot be read, holds up no other one', async (t) => {
  const { jobs, checkpoints } = await setUp(t)
  const leaving = async (host: string, count: number): Promise<string[]> => {
    const ids: string[] = []
    for (let n = 0; n < count; n += 1) {
      const { job } = await jobs.queue.create(newJob({ queueHost: host, registries: [host] }))
      const { epoch } = await begin(jobs, job)
      const key = { ...KEY, registry: host, repository: `team/${job.id}` }
      await checkpoints.forRun(job.id, epoch).save(key, upload(job.id))
      await cancelRun(jobs, job.id, epoch)
      ids.push(job.id)
    }
    return ids
  }
  const [unreadable] = await leaving('broken.example', 1)
  await jobs.raw.set(`{layerd}:job:${unreadable}:sessions`, 'not a hash')
  await leaving('dead.example', 10)
  await leaving('live.example', 3)
  jobs.clock.advance(3000)

  const gate = Promise.withResolvers<void>()
  const given: string[] = []
  const turn = () =>
    jobs.runs.tidyJobs(async ({ place }) => {
      given.push(place.registry)
      if (place.registry === 'dead.example') await gate.promise
      return true
    })
  const first = turn()
  const count = (host: string) => given.filter((registry) => registry === host).length
  try {
    await waitFor('those of the other registry', () => count('live.example') === 3 && count('dead.example') === 8)
  } finally {
    gate.resolve()
  }
  assert.equal(await first, 11)
  assert.equal(await turn(), 2)
  assert.deepEqual(await jobs.raw.zrange('{layerd}:tidy', '0', '-1'), [unreadable])
})
