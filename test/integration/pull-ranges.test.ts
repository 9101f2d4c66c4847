import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { packageFiles, putPackage } from '../helpers/packages/pulling.ts'
import { SMALL_RANGES } from '../helpers/packages/range-tuning.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistryOptions, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 16 * MIB
/** What is on its way when a stream is ended early. */
const SLACK = 4 * MIB

/** Packages of one large layer each, behind a line that carries so much per connection. */
async function setUp(t: TestContext, options: MemoryRegistryOptions = {}) {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  const layers = ['one', 'two'].map((name) => {
    const bytes = randomBytes(LAYER)
    putPackage(registry, { repository: name, tag: '1.0.0' }, packageFiles({ 'components/one.tar': bytes }))
    return digestOf(bytes)
  })
  const link = await startFaultProxy(t, registry.host, { bytesPerSecond: 4 * MIB })
  const system = await startJobSystem(t, { roots: [] })
  /** What was asked for of a layer, in order. */
  const ranges = (layer: number) =>
    registry.requests
      .filter(({ method, path }) => method === 'GET' && path.endsWith(layers[layer] ?? ''))
      .map(({ headers }) => headers.range)
  const pull = (name: string) => system.pull(`oci://${link.host}/${name}:1.0.0`)
  return { registry, link, system, ranges, pull, layers }
}

async function succeeded(system: JobSystem, job: Job): Promise<Job> {
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assertStreamInvariants(await system.log(job.id))
  const { bytesTotal, bytesDone, bytesSent, bytesResumed, bytesSkipped } = ended.progress
  assert.equal(bytesDone, bytesTotal)
  // The packages have their config in common.
  assert.ok(bytesSkipped <= 2)
  assert.equal(bytesSent + bytesResumed + bytesSkipped, bytesTotal)
  return ended
}

async function assertTidy(system: JobSystem): Promise<void> {
  await system.assertNothingLeft()
  assert.deepEqual((await system.store.check({ signal: new AbortController().signal })).findings, [])
}

test('a job brings a large layer over several connections, each byte once', async (t) => {
  const { system, link, ranges, pull } = await setUp(t)
  await system.worker('one', { ranges: SMALL_RANGES })
  const ended = await succeeded(system, await pull('one'))
  const [first, ...others] = ranges(0)
  assert.equal(first, undefined)
  assert.ok(others.length > 1 && others.every((range) => range !== undefined), String(others))
  assert.equal(ended.progress.wireBytes, ended.progress.bytesTotal)
  assert.ok(link.passed.down < LAYER + SLACK, `${link.passed.down} bytes came`)
  const { items } = await system.queue.transfers(ended.id, { size: 100 })
  const row = items.find(({ size }) => size === LAYER)
  assert.deepEqual([row?.state, row?.bytesDone, row?.attempt], ['complete', LAYER, 1])
  await assertTidy(system)
})

test('a job whose worker is killed with several ranges under way goes on with what is in none', async (t) => {
  const { registry, system, ranges, pull, layers } = await setUp(t)
  const child = await system.workerProcess('one', { ranges: SMALL_RANGES, lockMs: 2000 })
  const held = Promise.withResolvers<void>()
  registry.fail({ method: 'GET', path: new RegExp(layers[0] ?? ''), nth: 3 }, { kind: 'hold', until: held.promise })
  const job = await pull('one')
  await waitFor('several ranges to be under way', () => ranges(0).length > 2, { timeoutMs: 60_000 })
  await child.kill()
  held.resolve()
  const before = ranges(0).length
  await system.worker('two', { ranges: SMALL_RANGES, lockMs: 2000 })
  const ended = await succeeded(system, job)
  assert.ok(ended.progress.bytesResumed > 0)
  assert.ok(
    ranges(0)
      .slice(before)
      .every((range) => range !== undefined),
    'the whole layer was asked for',
  )
  await assertTidy(system)
})

test('a registry that takes no ranges is asked for some once, by all workers', async (t) => {
  const { system, ranges, pull } = await setUp(t, { ranges: false })
  const first = await system.workerProcess('one', { ranges: SMALL_RANGES })
  await succeeded(system, await pull('one'))
  assert.equal(ranges(0).length, 2)
  await first.stop()
  await system.workerProcess('two', { ranges: SMALL_RANGES })
  await succeeded(system, await pull('two'))
  assert.deepEqual(ranges(1), [undefined])
  await assertTidy(system)
})
