import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { defer } from '../helpers/cleanup.ts'
import { type JobSystem, type JobSystemOptions, startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startMovingAddress } from '../helpers/network/moving-address.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { startRedis, type TestRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 9 * MIB
const LOCK_MS = 3000

interface Scene {
  system: JobSystem
  registry: MemoryRegistry
  jobs: Job[]
  /** Lets the registry take what it holds back of the job that runs. */
  open: () => void
  /** All that the registry was sent of layers. */
  sent: () => number
}

/** One job that runs, with one of its layers sent and the other held back by the registry, and two that wait for it. */
async function setUp(t: TestContext, options: Pick<JobSystemOptions, 'redis'> = {}): Promise<Scene> {
  const folder = await tempDir(t)
  const build = (version: string, layers: number) =>
    buildPackage(folder, { version, layers, layerBytes: LAYER, format: 'tar' })
  const packages = [await build('1.0.0', 2), await build('2.0.0', 1), await build('3.0.0', 1)]
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const gate = Promise.withResolvers<void>()
  t.after(() => gate.resolve())
  registry.fail({ method: 'PATCH', nth: 2 }, { kind: 'hold', until: gate.promise })
  const system = await startJobSystem(t, { roots: [folder], ...options })
  await system.worker('one', { jobs: 1, lockMs: LOCK_MS })
  const jobs: Job[] = []
  for (const { path } of packages) jobs.push(await system.publish(path, registry.host))
  const [first] = jobs as [Job]
  await waitFor('a layer to be sent and the next one to be held back', async () => {
    const progress = (await system.queue.get(first.id))?.progress
    return patches(registry).length === 2 && (progress?.bytesSent ?? 0) > LAYER
  })
  return {
    system,
    registry,
    jobs,
    open: () => gate.resolve(),
    sent: () => patches(registry).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
  }
}

function patches({ requests }: MemoryRegistry) {
  return requests.filter(({ method }) => method === 'PATCH')
}

/** Every accepted job is there and succeeds, with one restart at most, and sends no layer again that had arrived. */
async function assertAllSucceed({ system, registry, jobs, sent }: Scene, server = system.redis): Promise<void> {
  for (const { id } of jobs) {
    const ended = await system.ended(id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    assert.ok(ended.attempt <= 2, `${ended.attempt} runs`)
    assertStreamInvariants(await system.log(id))
  }
  assert.ok(sent() <= 5 * LAYER, 'four layers, one of which may have been under way twice')
  await system.assertNothingLeft(registry, server)
}

test('jobs go on after Redis was killed and started again', async (t) => {
  const scene = await setUp(t)
  const { redis, queue } = scene.system
  await redis.kill()
  await assert.rejects(queue.create({} as never), { code: 'QUEUE_UNAVAILABLE' })
  scene.open()
  await redis.start()
  await assertAllSucceed(scene)
})

test('jobs go on after Redis stood still for longer than their locks last', async (t) => {
  const scene = await setUp(t)
  scene.system.redis.pause()
  scene.open()
  await delay(LOCK_MS + 1000)
  scene.system.redis.resume()
  await assertAllSucceed(scene)
})

test('jobs go on after Redis paused its clients for longer than their locks last', async (t) => {
  const scene = await setUp(t)
  const { redis, queue } = scene.system
  await redis.pauseClients(LOCK_MS + 1000)
  await assert.rejects(queue.get(scene.jobs[0]?.id ?? ''), { code: 'QUEUE_UNAVAILABLE' })
  scene.open()
  await assertAllSucceed(scene)
})

test('jobs wait for a Redis that refuses to write, and go on', async (t) => {
  const scene = await setUp(t)
  const redis = new Redis(scene.system.redis.clientOptions)
  defer(t, () => redis.disconnect())
  await redis.config('SET', 'maxmemory', '1')
  await assert.rejects(scene.system.publish('/any', scene.registry.host), { code: 'QUEUE_FULL' })
  scene.open()
  await waitFor('the worker to have been refused', async () =>
    /errorstat_OOM:count=\d{2}/.test(await redis.info('errorstats')),
  )
  await redis.config('SET', 'maxmemory', '0')
  await assertAllSucceed(scene)
})

/** A primary with a replica that is up to date, behind one address. */
async function replicated(t: TestContext) {
  const [primary, replica] = [await startRedis(t, { tcp: true }), await startRedis(t, { tcp: true })]
  const address = await startMovingAddress(t, portOf(primary))
  const ask = async (server: TestRedis, ...command: [string, ...string[]]) => {
    const redis = new Redis(server.clientOptions)
    try {
      return String(await redis.call(...command))
    } finally {
      redis.disconnect()
    }
  }
  await ask(replica, 'REPLICAOF', '127.0.0.1', String(portOf(primary)))
  await waitFor('the replica to follow', async () =>
    /master_link_status:up/.test(await ask(replica, 'INFO', 'replication')),
  )
  const scene = await setUp(t, { redis: { server: primary, target: { url: `redis://127.0.0.1:${address.port}` } } })
  const offset = async (server: TestRedis) =>
    /master_repl_offset:(\d+)/.exec(await ask(server, 'INFO', 'replication'))?.[1]
  await waitFor('the replica to have it all', async () => (await offset(primary)) === (await offset(replica)))
  const promote = async () => {
    await ask(replica, 'REPLICAOF', 'NO', 'ONE')
    address.moveTo(portOf(replica))
  }
  return { scene, primary, replica, promote, ask }
}

function portOf({ url }: TestRedis): number {
  return Number(new URL(url).port)
}

test('jobs go on with a replica that was promoted when the primary died', async (t) => {
  const { scene, primary, replica, promote } = await replicated(t)
  await primary.kill()
  await promote()
  scene.open()
  await assertAllSucceed(scene, replica)
})

test('jobs go on when the primary is made a replica and keeps its connections', async (t) => {
  const { scene, primary, replica, promote, ask } = await replicated(t)
  await promote()
  await ask(primary, 'REPLICAOF', '127.0.0.1', String(portOf(replica)))
  scene.open()
  await assertAllSucceed(scene, replica)
})
