import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { createJobQueue } from '../../src/jobs/queue.ts'
import { defer } from '../helpers/cleanup.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { assertNothingLeft } from '../helpers/processes/leftovers.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { openDescriptors } from '../helpers/processes/process-leftovers.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 16 * MIB
const ARRIVED = 5 * MIB

/** A package of two large layers; the registry takes one, and part of the other. */
async function setUp(t: TestContext) {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: LAYER, format: 'tar.zst' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [folder] })
  const redis = new Redis(system.redis.clientOptions)
  defer(t, () => redis.disconnect())
  await system.worker('one')
  const patched = () =>
    registry.requests.filter(({ method }) => method === 'PATCH').reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)
  const halfWay = async () => {
    registry.fail({ method: 'PATCH', nth: 2 }, { kind: 'stall-request', afterBytes: ARRIVED })
    const job = await system.publish(built.path, registry.host)
    await waitFor('one layer and a part of the other', async () => {
      const { items } = await system.queue.transfers(job.id, { size: 100 })
      return patched() === LAYER + ARRIVED && items.some((row) => row.size === LAYER && row.state === 'complete')
    })
    return job
  }
  return { registry, system, redis, path: built.path, patched, halfWay }
}

test('a cancel from another API process stops a job in the middle of a layer, and a retry sends only what is missing', async (t) => {
  const { registry, system, redis, patched, halfWay } = await setUp(t)
  const before = await openDescriptors('self')
  const job = await halfWay()
  const otherApi = createJobQueue({ redis: { socketPath: system.redis.socketPath }, secretKey: new Uint8Array(32) })
  await waitFor('the other API to be connected', () => otherApi.ping(1000))
  assert.equal((await otherApi.cancel(job.id, { reason: 'the "wrong" one' })).state, 'canceling')
  await otherApi.close()
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'canceled')
  assert.match(ended.reason ?? '', /^the "wrong" one \(\d layers stay, and a retry skips them\)$/)
  const { items } = await system.queue.transfers(job.id, { size: 100 })
  assert.deepEqual(new Set(items.map((row) => row.state)), new Set(['complete', 'canceled']))
  assert.ok(!registry.requests.some(({ method, path }) => method === 'PUT' && path.includes('/manifests/')))
  await assertNothingLeft({ redis, registry, descriptors: [{ pid: process.pid, before }] })

  const sent = patched()
  await system.queue.retry(job.id)
  const again = await system.ended(job.id)
  assert.equal(again.state, 'succeeded', JSON.stringify(again.error))
  assert.equal(patched() - sent, LAYER)
  assertStreamInvariants(await system.log(job.id))
  await assertNothingLeft({ redis, registry })
})

test('a paused job that is canceled leaves no upload in the registry, and no key', async (t) => {
  const { registry, system, redis, halfWay } = await setUp(t)
  const job = await halfWay()
  await system.queue.pause(job.id)
  await waitFor('the job to rest', async () => (await system.queue.get(job.id))?.state === 'paused')
  assert.equal(registry.openSessions, 1)
  const canceled = await system.queue.cancel(job.id)
  assert.match(canceled.reason ?? '', /^\d layers stay, and a retry skips them$/)
  await assertNothingLeft({ redis, registry })
})

test('a paused job that is canceled and retried at once goes on with its upload', async (t) => {
  const { registry, system, redis, patched, halfWay } = await setUp(t)
  const job = await halfWay()
  await system.queue.pause(job.id)
  await waitFor('the job to rest', async () => (await system.queue.get(job.id))?.state === 'paused')
  await system.queue.cancel(job.id)
  await system.queue.retry(job.id)
  assert.equal((await system.ended(job.id)).state, 'succeeded')
  assert.equal(patched(), 2 * LAYER)
  await assertNothingLeft({ redis, registry })
})

test('the retry of a failed job sends nothing that is there', async (t) => {
  const { registry, system, redis, path, patched } = await setUp(t)
  registry.fail({ method: 'PUT', path: /\/manifests\// }, { kind: 'answer', status: 403, body: '' })
  const job = await system.publish(path, registry.host)
  const failed = await system.ended(job.id)
  assert.deepEqual([failed.state, failed.error?.code], ['failed', 'REGISTRY_DENIED'])
  assert.equal(patched(), 2 * LAYER)
  await system.queue.retry(job.id)
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'succeeded')
  assert.equal(patched(), 2 * LAYER)
  assert.equal(ended.progress.wireBytes, failed.progress.wireBytes)
  assertStreamInvariants(await system.log(job.id))
  await assertNothingLeft({ redis, registry })
})
