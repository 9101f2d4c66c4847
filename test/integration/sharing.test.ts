import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { type BuiltPackage, buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 24 * MIB

interface Scene {
  registry: MemoryRegistry
  system: JobSystem
  /** Two versions of one package that have their one layer in common. */
  packages: BuiltPackage[]
  /** Lets the registry take in what it holds back. */
  open(): void
}

/** Two workers and a registry that holds back the first upload of a large layer. */
async function setUp(t: TestContext, format: 'tar' | 'tar.zst', extra?: Record<string, string>): Promise<Scene> {
  const folder = await tempDir(t)
  const build = (version: string) =>
    buildPackage(folder, {
      version,
      layers: 1,
      layerBytes: LAYER,
      format,
      ...(version === '2.0.0' && extra ? { files: extra } : {}),
    })
  const packages = [await build('1.0.0'), await build('2.0.0')]
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const gate = Promise.withResolvers<void>()
  registry.fail({ method: 'PATCH' }, { kind: 'hold', until: gate.promise })
  t.after(() => gate.resolve())
  const system = await startJobSystem(t, { roots: [folder] })
  await Promise.all([system.worker('one', { jobs: 1 }), system.worker('two', { jobs: 1 })])
  return { registry, system, packages, open: () => gate.resolve() }
}

/** Starts both jobs: when it resolves the first is sending and the second watches it. */
async function bothRunning({ system, registry, packages }: Scene, options = {}): Promise<[Job, Job]> {
  const [one, two] = packages as [BuiltPackage, BuiltPackage]
  const first = await system.publish(one.path, registry.host)
  await waitFor('the first to send', async () => ((await system.queue.get(first.id))?.progress.bytesSent ?? 0) > 0)
  const second = await system.publish(two.path, registry.host, { options })
  await waitFor('the second to watch', async () => {
    const { items } = await system.queue.transfers(second.id, { size: 100 })
    return items.some((row) => row.size === LAYER && (row.bytesSkipped ?? 0) > 0)
  })
  return [first, second]
}

function patched({ registry }: Scene): number {
  return registry.requests.filter(({ method }) => method === 'PATCH').reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)
}

async function succeeded(system: JobSystem, job: Job): Promise<Job> {
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assertStreamInvariants(await system.log(job.id))
  return ended
}

for (const format of ['tar', 'tar.zst'] as const) {
  test(`two jobs that need one layer of a ${format} share its upload`, async (t) => {
    const scene = await setUp(t, format)
    const jobs = await bothRunning(scene)
    scene.open()
    const [first, second] = [await succeeded(scene.system, jobs[0]), await succeeded(scene.system, jobs[1])]
    assert.equal(patched(scene), LAYER)
    assert.ok(first.progress.bytesSent >= LAYER)
    assert.ok(second.progress.bytesSkipped >= LAYER)
    assert.ok(second.progress.wireBytes < MIB, `${second.progress.wireBytes} bytes on the wire`)
    await scene.system.assertNothingLeft(scene.registry)
  })

  test(`who waits for a layer of a ${format} goes on with its other files`, async (t) => {
    const scene = await setUp(t, format, { 'components/zz-own.tar': 'its own component'.repeat(1000) })
    const [first, second] = await bothRunning(scene, { concurrency: 1 })
    await waitFor('every other file to be there', async () => {
      const { items } = await scene.system.queue.transfers(second.id, { size: 100 })
      const own = items.find((row) => row.title === 'components/zz-own.tar')
      return own?.state === 'complete'
    })
    scene.open()
    await succeeded(scene.system, first)
    await succeeded(scene.system, second)
    await scene.system.assertNothingLeft(scene.registry)
  })

  test(`when the first of two jobs is canceled the second goes on with its upload of a ${format}`, async (t) => {
    const scene = await setUp(t, format)
    const [first, second] = await bothRunning(scene)
    await scene.system.queue.cancel(first.id, {})
    assert.equal((await scene.system.ended(first.id)).state, 'canceled')
    const ended = await succeeded(scene.system, second)
    assert.ok(ended.progress.bytesSkipped > 0, 'what the first sent stays skipped')
    scene.open()
    await scene.system.assertNothingLeft(scene.registry)
  })
}

test('canceling the second of two jobs leaves the first running', async (t) => {
  const scene = await setUp(t, 'tar')
  const [first, second] = await bothRunning(scene)
  await scene.system.queue.cancel(second.id, {})
  assert.equal((await scene.system.ended(second.id)).state, 'canceled')
  scene.open()
  await succeeded(scene.system, first)
  assert.equal(patched(scene), LAYER)
})
