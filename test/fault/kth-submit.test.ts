import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import { createJobEventReader } from '../../src/jobs/progress/events.ts'
import { createJobQueue, type JobQueue } from '../../src/jobs/queue.ts'
import type { NewJob } from '../../src/jobs/model/requests.ts'
import { isAppError } from '../../src/lib/errors.ts'
import { defer } from '../helpers/cleanup.ts'
import { type FaultPoint, type FaultProxy, startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface Scene {
  system: JobSystem
  /** Between an API and Redis. */
  proxy: FaultProxy
  /** What publishes a small package. */
  work: NewJob
}

async function setUp(t: TestContext): Promise<Scene> {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 1000, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [folder] })
  const work: NewJob = {
    kind: 'publish',
    source: `file:${built.path}`,
    destination: registry.host,
    options: {},
    labels: {},
    queueHost: registry.host,
    registries: [registry.host],
    principal: 'anonymous',
    requestId: 'test',
  }
  return { system, proxy: await startFaultProxy(t, system.redis.socketPath), work }
}

/** An API process of its own, which has opened nothing yet but its connection. */
async function openApi(t: TestContext, { proxy }: Scene): Promise<JobQueue> {
  const queue = createJobQueue({ redis: { url: `redis://${proxy.host}` }, secretKey: new Uint8Array(32) })
  defer(t, () => queue.close())
  await waitFor('the API to be connected', () => queue.ping(1000))
  return queue
}

/**
 * Does something once for each Redis call that it makes, with that call failing on its way there, or on its way back.
 * `task` gets an API of its own. Returns what came of each: undefined, or the error, which says that Redis is not there.
 */
async function failEach(
  t: TestContext,
  scene: Scene,
  task: (queue: JobQueue, name: string) => Promise<void>,
  then: (queue: JobQueue, name: string, failed: boolean) => Promise<void>,
): Promise<void> {
  const clean = await openApi(t, scene)
  const before = scene.proxy.calls
  await task(clean, 'clean')
  const calls = scene.proxy.calls - before
  await then(clean, 'clean', false)
  assert.ok(calls > 0)
  let met = 0
  for (let k = 1; k <= calls; k += 1) {
    const points: FaultPoint[] = [{ call: k }, { answer: k }]
    for (const point of points) {
      const name = JSON.stringify(point)
      const queue = await openApi(t, scene)
      const fault = scene.proxy.fail(point)
      let failed = false
      try {
        await task(queue, name)
      } catch (error) {
        assert.ok(isAppError(error) && error.code === 'QUEUE_UNAVAILABLE', `${name}: ${String(error)}`)
        failed = true
      }
      met += fault.met ? 1 : 0
      fault.cancel()
      await waitFor('the API to be back', () => queue.ping(1000))
      await then(queue, name, failed)
    }
  }
  assert.ok(met >= calls, `${met} faults for ${calls} calls`)
}

test('a submission with any Redis call failing is accepted and runs, or is refused and the repeat makes one job', async (t) => {
  const scene = await setUp(t)
  const { system, work } = scene
  await system.worker('one')
  const create = (queue: JobQueue, name: string) =>
    queue.create(
      { ...work, labels: { name } },
      { idempotency: { scope: `test ${scene.proxy.host} ${name}`, fingerprint: 'same' } },
    )
  const accepted = new Map<string, string>()
  await failEach(
    t,
    scene,
    async (queue, name) => void accepted.set(name, (await create(queue, name)).job.id),
    async (queue, name, failed) => {
      const known = accepted.get(name)
      assert.equal(known === undefined, failed)
      const again = await create(queue, name)
      if (known !== undefined) assert.deepEqual([again.job.id, again.replayed], [known, true])
      accepted.set(name, again.job.id)
      const { items } = await system.queue.list({ labels: [{ key: 'name', value: name }] }, { size: 10 }, ANONYMOUS)
      assert.deepEqual(
        items.map(({ id }) => id),
        [again.job.id],
        'one job, whatever was lost',
      )
    },
  )
  // What BullMQ did not get the outbox brings.
  for (const id of accepted.values()) assert.equal((await system.ended(id)).state, 'succeeded')
  await system.assertNothingLeft()
})

test('a cancel with any Redis call failing is carried out, or refused and the repeat is', async (t) => {
  const scene = await setUp(t)
  const { system, work } = scene
  const ids = new Map<string, string>()
  await failEach(
    t,
    scene,
    async (queue, name) => {
      // Directly: no worker runs, so it waits.
      const { job } = await system.queue.create({ ...work, labels: { name } })
      ids.set(name, job.id)
      assert.equal((await queue.cancel(job.id)).state, 'canceled')
    },
    async (queue, name) => {
      assert.equal((await queue.cancel(ids.get(name) ?? '')).state, 'canceled')
    },
  )
  // What could not be taken out of BullMQ any more ends when a worker takes it.
  await system.worker('one')
  await system.assertNothingLeft()
})

test('the list, a job, its transfers and its events with any Redis call failing: the right answer, or a refusal', async (t) => {
  const scene = await setUp(t)
  const { system, work, proxy } = scene
  await system.worker('one')
  const { job } = await system.queue.create(work)
  await system.ended(job.id)
  const expected = await system.queue.get(job.id)
  const log = await system.events.replay(job.id, '0-0', 1000)
  const events = createJobEventReader({ redis: { url: `redis://${proxy.host}` } })
  defer(t, () => events.close())
  const connected = () => waitFor('the events to answer', async () => (await events.bounds(job.id)) !== undefined)
  await connected()
  const look = async (queue: JobQueue) => {
    assert.deepEqual((await queue.list({}, { size: 10 }, ANONYMOUS)).items, [expected])
    assert.deepEqual(await queue.get(job.id), expected)
    assert.equal((await queue.transfers(job.id, { size: 100 })).items.length, expected?.progress.layers.total)
    assert.deepEqual(await events.replay(job.id, '0-0', 1000), log)
    const snapshot = await events.snapshot(job.id)
    assert.ok(snapshot?.event.type === 'snapshot')
    assert.deepEqual(snapshot.event.job, expected)
  }
  await failEach(t, scene, look, async (queue) => {
    await connected()
    await look(queue)
  })
})
