import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { createScripts } from '../../src/jobs/redis/scripts.ts'
import { allWorkers, type KeptWorker } from '../../src/jobs/system/worker-records.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
/** More than the 2 s between two signs of a worker that works, and less than a test should wait. */
const SILENCE_MS = 4500

/** Reads what Redis keeps of workers as the API does, which waits longer before it takes one for lost. */
function reader(t: TestContext, { redis }: JobSystem): (id: string) => Promise<KeptWorker | undefined> {
  const raw = new Redis(redis.clientOptions)
  raw.on('error', () => {})
  t.after(() => raw.disconnect())
  const keeper = { keys: createKeys(), scripts: createScripts(raw), silenceMs: SILENCE_MS }
  return async (id) => (await allWorkers(keeper)).find((worker) => worker.id === id)
}

async function startScene(t: TestContext) {
  const folder = await tempDir(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [folder] })
  return { folder, registry, system, worker: reader(t, system) }
}

describe('what workers tell of themselves', () => {
  test('is true of a publish and of a pull: which job, since when, bytes out and in', async (t) => {
    const { folder, registry, system, worker } = await startScene(t)
    const built = await buildPackage(folder, { layers: 6, layerBytes: 8 * MIB, format: 'tar' })
    const child = await system.workerProcess('one', { jobs: 3 })
    const idle = await worker('one')
    assert.deepEqual(
      [idle?.host, idle?.pid, idle?.places, idle?.jobs, idle?.state],
      [hostname(), child.pid, 3, [], 'running'],
    )
    assert.deepEqual(idle?.bytesPerSecond, { in: 0, out: 0 })
    assert.ok(idle.memory.rssBytes > idle.memory.heapBytes && idle.memory.heapBytes > MIB, JSON.stringify(idle.memory))

    // Half of the layers go out, and the job stays.
    const held = Promise.withResolvers<void>()
    registry.fail({ method: 'PUT', path: /\/manifests\// }, { kind: 'hold', until: held.promise })
    const job = await system.publish(built.path, registry.host)
    let out = 0
    const publishing = await waitFor('the bytes of the publish', async () => {
      const told = await worker('one')
      out = Math.max(out, told?.bytesPerSecond.out ?? 0)
      return out > MIB && told?.jobs.length === 1 ? told : undefined
    })
    const [running] = publishing.jobs
    assert.deepEqual([running?.id, running?.kind], [job.id, 'publish'])
    assert.ok((running?.since ?? 0) >= publishing.since && (running?.since ?? 0) <= publishing.lastSeen, 'since when')
    held.resolve()
    assert.equal((await system.ended(job.id)).state, 'succeeded')
    await waitFor('it to rest', async () => {
      const told = await worker('one')
      return told?.jobs.length === 0 && told.bytesPerSecond.out === 0
    })

    await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [
      { path: FIXTURES.nemoAmd64, published: 'nemo' },
    ])
    const last = Promise.withResolvers<void>()
    registry.fail({ method: 'GET', path: /\/blobs\// }, { kind: 'hold', until: last.promise })
    const pulled = await system.pull(`oci://${registry.host}/team/nemo:1.2.0`, { options: { architecture: 'amd64' } })
    await waitFor('the bytes of the pull', async () => {
      const told = await worker('one')
      return told?.jobs[0]?.kind === 'pull' && told.bytesPerSecond.in > 0 && told.bytesPerSecond.out === 0
    })
    last.resolve()
    assert.equal((await system.ended(pulled.id)).state, 'succeeded')
  })

  test('ends with a frozen or killed one as lost, with what it ran; a frozen one comes back', async (t) => {
    const { folder, registry, system, worker } = await startScene(t)
    const built = await buildPackage(folder, { layers: 1, layerBytes: MIB, format: 'tar' })
    registry.fail({ method: 'PUT', path: /\/manifests\// }, { kind: 'hold', until: new Promise(() => {}) })
    const child = await system.workerProcess('one')
    const job = await system.publish(built.path, registry.host)
    const seen = (what: string, is: (told: KeptWorker) => boolean) =>
      waitFor(what, async () => {
        const told = await worker('one')
        return told && is(told) ? told : undefined
      })
    await seen('the job to run', ({ jobs }) => jobs.length === 1)
    process.kill(child.pid, 'SIGSTOP')
    const frozen = await seen('a frozen worker to be lost', ({ state }) => state === 'lost')
    assert.deepEqual(
      frozen.jobs.map(({ id }) => id),
      [job.id],
    )
    process.kill(child.pid, 'SIGCONT')
    const back = await seen('it to come back', ({ state }) => state === 'running')
    assert.ok(back.lastSeen > frozen.lastSeen)
    process.kill(child.pid, 'SIGKILL')
    const killed = await seen('a killed worker to be lost', ({ state }) => state === 'lost')
    assert.deepEqual(
      killed.jobs.map(({ id }) => id),
      [job.id],
    )
  })

  test('is nothing any more once one has ended in order', async (t) => {
    const { system, worker } = await startScene(t)
    const child = await system.workerProcess('one')
    assert.equal((await worker('one'))?.state, 'running')
    process.kill(child.pid, 'SIGTERM')
    await waitFor('it to be gone', async () => (await worker('one')) === undefined)
  })
})
