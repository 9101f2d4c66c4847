import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024

async function startScene(t: TestContext) {
  const folder = await tempDir(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [folder, dirname(FIXTURES.nemoAmd64)] })
  const raw = new Redis(system.redis.clientOptions)
  raw.on('error', () => {})
  t.after(() => raw.disconnect())
  const { workers } = system.queue
  const linesOf = async (job: string) => (await system.queue.log(job, { limit: 1000 })).map(({ line }) => line.message)
  return {
    folder,
    registry,
    system,
    raw,
    workers,
    becomes: (id: string, state: string) =>
      waitFor(`${id} to be ${state}`, async () => {
        const told = await workers.get(id)
        return told?.state === state ? told : undefined
      }),
    linesOf,
    /** Of its last run. */
    workerOf: async (job: string) => {
      const runs = (await linesOf(job)).flatMap((line) => /^run \d+ on (\S+)/.exec(line)?.[1] ?? [])
      return runs.at(-1)
    },
    /** One that publishes, and whose manifest the registry keeps waiting until it is let go. */
    held: async () => {
      const { path } = await buildPackage(folder, { layers: 2, layerBytes: MIB, format: 'tar' })
      const gate = Promise.withResolvers<void>()
      registry.fail({ method: 'PUT', path: /\/manifests\// }, { kind: 'hold', until: gate.promise })
      const { id } = await system.publish(path, registry.host)
      await waitFor('the job to run', async () => (await system.queue.get(id))?.state === 'running')
      return { id, letGo: gate.resolve }
    },
    small: async () => (await system.publish(FIXTURES.nemoAmd64, registry.host)).id,
  }
}

describe('a worker that is drained', () => {
  test('ends what it has, takes no more while others do, and takes jobs again when it is told to', async (t) => {
    const { system, workers, held, small, becomes, workerOf } = await startScene(t)
    await system.workerProcess('one')
    const { id, letGo } = await held()
    const told = await workers.drain('one', { handOver: false })
    assert.deepEqual([told?.state, told?.drain?.handOver], ['draining', false])
    await system.workerProcess('two')
    for (let round = 1; round <= 6; round += 1) {
      const job = await small()
      assert.equal((await system.ended(job)).state, 'succeeded')
      assert.equal(await workerOf(job), 'two')
    }
    const draining = await workers.get('one')
    assert.deepEqual([draining?.state, draining?.jobs.map((job) => job.id)], ['draining', [id]])
    letGo()
    const ended = await system.ended(id)
    assert.deepEqual([ended.state, ended.attempt, await workerOf(id)], ['succeeded', 1, 'one'])
    const drained = await becomes('one', 'drained')
    assert.deepEqual(drained.drain, told?.drain, 'asked once')

    await workers.resume('one')
    await becomes('one', 'running')
    await workers.drain('two', { handOver: false })
    await becomes('two', 'drained')
    const last = await small()
    assert.equal((await system.ended(last)).state, 'succeeded')
    assert.equal(await workerOf(last), 'one')
  })

  test('hands over what it runs where that is asked for, and rests', async (t) => {
    const { system, workers, held, becomes, workerOf, linesOf } = await startScene(t)
    await Promise.all([system.workerProcess('one'), system.workerProcess('two')])
    const { id, letGo } = await held()
    const from = (await workerOf(id)) ?? ''
    await workers.drain(from, { handOver: false })
    assert.equal((await workers.drain(from, { handOver: true }))?.drain?.handOver, true)
    await becomes(from, 'drained')
    await waitFor('the other to have it', async () => (await workerOf(id)) === (from === 'one' ? 'two' : 'one'))
    letGo()
    const ended = await system.ended(id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    const lines = await linesOf(id)
    assert.ok(
      lines.some((line) => line === 'queued: its worker was drained and handed it over'),
      lines.join('\n'),
    )
  })

  test('stays so over a cut of Redis, and hears of what was asked meanwhile', async (t) => {
    const { system, workers, small, becomes, raw } = await startScene(t)
    const proxy = await startFaultProxy(t, system.redis.socketPath)
    await system.workerProcess('one', { redis: { url: `redis://${proxy.host}` } })
    await workers.drain('one', { handOver: false })
    await becomes('one', 'drained')
    // Redis loses what it kept of it, as after an outage that lasts longer.
    await raw.del('{layerd}:workers:of:one')
    proxy.cutAll()
    const before = Date.now()
    await waitFor('it to be back and drained', async () => {
      const told = await workers.get('one')
      return told?.state === 'drained' && told.lastSeen >= before
    })
    const job = await small()
    assert.equal((await system.queue.get(job))?.reason, 'all workers are drained, so none takes jobs')

    // None of its connections is there when it is told.
    for (let connection = 1; connection <= 60; connection += 1) proxy.fail({ connection })
    proxy.cutAll()
    await workers.resume('one')
    assert.equal((await system.ended(job)).state, 'succeeded')
    await becomes('one', 'running')
  })
})
