import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { type FaultProxy, startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 8 * MIB
/** Where the first download of the large layer stops for the time being. */
const STOPS_AT = 4 * MIB

interface Scene {
  registry: MemoryRegistry
  proxy: FaultProxy
  system: JobSystem
}

/** Two workers, and two versions of one package that have their one large layer in common, behind a line that stops. */
async function setUp(t: TestContext, extra?: Record<string, string>): Promise<Scene> {
  const folder = await tempDir(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  for (const version of ['1.0.0', '2.0.0']) {
    const files = version === '2.0.0' && extra ? { files: extra } : {}
    const built = await buildPackage(folder, { version, layers: 1, layerBytes: LAYER, format: 'tar', ...files })
    await publishTo(t, built.path, parseDestination(registry.host))
  }
  const proxy = await startFaultProxy(t, registry.host)
  const system = await startJobSystem(t, { roots: [folder] })
  await Promise.all([system.worker('one'), system.worker('two')])
  return { registry, proxy, system }
}

/** When it resolves the first job has stopped in the middle of the layer, and the second watches it. */
async function bothRunning({ system, proxy }: Scene, options = {}): Promise<[Job, Job]> {
  proxy.fail({ down: STOPS_AT }, 'silence')
  const first = await system.pull(`oci://${proxy.host}/sample:1.0.0`)
  await waitFor('the first to stop', async () => {
    return ((await system.queue.get(first.id))?.progress.bytesDone ?? 0) > STOPS_AT - MIB
  })
  const second = await system.pull(`oci://${proxy.host}/sample:2.0.0`, { options })
  await waitFor('the second to watch', async () => {
    const { items } = await system.queue.transfers(second.id, { size: 100 })
    return items.some((row) => row.size === LAYER && (row.bytesSkipped ?? 0) > STOPS_AT - 2 * MIB)
  })
  return [first, second]
}

async function succeeded(system: JobSystem, job: Job): Promise<Job> {
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assertStreamInvariants(await system.log(job.id))
  return ended
}

/** No package but these, nothing damaged, nothing left over. */
async function assertTidy({ system, system: { store } }: Scene, packages: number): Promise<void> {
  assert.equal((await store.packages.list()).length, packages)
  await system.assertNothingLeft()
  const report = await store.check({ signal: new AbortController().signal, repair: false })
  assert.deepEqual(report.findings, [])
}

test('two pulls that need one layer share its download', async (t) => {
  const scene = await setUp(t)
  const jobs = await bothRunning(scene)
  scene.proxy.cutAll()
  const [first, second] = [await succeeded(scene.system, jobs[0]), await succeeded(scene.system, jobs[1])]
  assert.ok(first.progress.bytesSent >= LAYER)
  assert.ok(second.progress.bytesSkipped >= LAYER)
  assert.ok(second.progress.wireBytes < MIB, `${second.progress.wireBytes} bytes on the wire`)
  assert.ok(scene.proxy.passed.down < LAYER + MIB, `${scene.proxy.passed.down} bytes came`)
  await assertTidy(scene, 2)
})

test('a pull that waits for a layer goes on with its other files', async (t) => {
  const scene = await setUp(t, { 'components/zz-own.tar': 'its own component'.repeat(1000) })
  const [first, second] = await bothRunning(scene, { concurrency: 1 })
  await waitFor('every other file to be there', async () => {
    const { items } = await scene.system.queue.transfers(second.id, { size: 100 })
    return items.some((row) => row.title === 'components/zz-own.tar' && row.state === 'complete')
  })
  scene.proxy.cutAll()
  await succeeded(scene.system, first)
  await succeeded(scene.system, second)
  await assertTidy(scene, 2)
})

test('when the first of two pulls is canceled the second goes on where it stopped', async (t) => {
  const scene = await setUp(t)
  const [first, second] = await bothRunning(scene)
  await scene.system.queue.cancel(first.id, {})
  assert.equal((await scene.system.ended(first.id)).state, 'canceled')
  assertStreamInvariants(await scene.system.log(first.id))
  const ended = await succeeded(scene.system, second)
  assert.ok(ended.progress.bytesSkipped >= STOPS_AT - MIB, 'what the first brought stays skipped')
  assert.ok(scene.proxy.passed.down < LAYER + MIB, `${scene.proxy.passed.down} bytes came`)
  await assertTidy(scene, 1)
})

test('canceling the second of two pulls leaves the first running', async (t) => {
  const scene = await setUp(t)
  const [first, second] = await bothRunning(scene)
  await scene.system.queue.cancel(second.id, {})
  assert.equal((await scene.system.ended(second.id)).state, 'canceled')
  scene.proxy.cutAll()
  await succeeded(scene.system, first)
  assert.ok(scene.proxy.passed.down < LAYER + MIB, `${scene.proxy.passed.down} bytes came`)
  await assertTidy(scene, 1)
})

test('a registry that has stopped holds up nobody who pulls the same layer from another one', async (t) => {
  const scene = await setUp(t)
  const [first] = await bothRunning(scene)
  const other = await startFaultProxy(t, scene.registry.host)
  const third = await scene.system.pull(`oci://${other.host}/sample:2.0.0`)
  const ended = await succeeded(scene.system, third)
  assert.ok(ended.progress.bytesSent >= LAYER)
  assert.equal((await scene.system.queue.get(first.id))?.state, 'running')
  scene.proxy.cutAll()
  await succeeded(scene.system, first)
  await scene.system.assertNothingLeft()
})

test('a layer that came from another registry is sent once more, and told so', async (t) => {
  const scene = await setUp(t)
  const { system, proxy, registry } = scene
  await succeeded(system, await system.pull(`oci://${proxy.host}/sample:1.0.0`))
  const elsewhere = await succeeded(system, await system.pull(`oci://${registry.host}/sample:1.0.0`))
  assert.deepEqual([elsewhere.progress.bytesSkipped, elsewhere.progress.layers.skipped], [0, 0])
  assert.ok(elsewhere.progress.bytesSent >= LAYER && elsewhere.progress.wireBytes >= LAYER)
  const again = await succeeded(system, await system.pull(`oci://${registry.host}/sample:2.0.0`))
  assert.ok(again.progress.bytesSkipped >= LAYER && again.progress.wireBytes < MIB)
  await assertTidy(scene, 2)
})

test('a pull that may not read the manifest gets nothing of what another one brings', async (t) => {
  const scene = await setUp(t)
  const [first] = await bothRunning(scene)
  scene.registry.fail(
    { method: 'GET', path: /\/manifests\// },
    { kind: 'answer', status: 403, body: '{"errors":[{"code":"DENIED","message":"not yours"}]}' },
  )
  const third = await scene.system.pull(`oci://${scene.proxy.host}/sample:2.0.0`)
  const ended = await scene.system.ended(third.id)
  assert.equal(ended.error?.code, 'REGISTRY_DENIED')
  assert.equal(ended.progress.bytesDone, 0)
  scene.proxy.cutAll()
  await succeeded(scene.system, first)
  await scene.system.assertNothingLeft()
})
