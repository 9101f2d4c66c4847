import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/definitions.ts'
import { type JobSystem, startJobSystem } from '../helpers/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/memory-registry.ts'
import type { Fault, FaultMatch } from '../helpers/memory-registry-faults.ts'
import { buildPackage } from '../helpers/package-builder.ts'
import { assertStreamInvariants } from '../helpers/progress-invariants.ts'
import type { RunningProcess } from '../helpers/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
/** The worker's own is 30 s. */
const LOCK_MS = 2000

interface Scene {
  system: JobSystem
  registry: MemoryRegistry
  job: Job
  zombie: RunningProcess
  /** What the worker that was stopped has asked the registry for. */
  asked: () => string[]
  /** Lets the registry answer the request at which it was stopped. */
  answer: () => void
}

/** A worker process that was stopped while it waits for the answer to `match`, and a second worker that has done its job. */
async function takenOver(t: TestContext, match: FaultMatch, layerBytes: number): Promise<Scene> {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const gate = Promise.withResolvers<void>()
  t.after(() => gate.resolve())
  const fault: Fault =
    layerBytes < MIB ? { kind: 'stall-request', afterBytes: 0 } : { kind: 'hold', until: gate.promise }
  registry.fail(match, fault)
  const system = await startJobSystem(t, { roots: [folder] })
  const zombie = await system.workerProcess('zombie', { lockMs: LOCK_MS })
  // One blob at a time: no other request may be under way when it is stopped, nor the answer to one.
  const job = await system.publish(built.path, registry.host, { options: { concurrency: 1 } })
  await waitFor('the registry to hold back an answer', () => held(registry, match))
  zombie.signal('SIGSTOP')
  await system.worker('heir', { lockMs: LOCK_MS })
  const asked = () =>
    registry.requests
      .filter(({ headers }) => headers['user-agent'] === 'layerd/zombie')
      .map(({ method, path }) => `${method} ${path}`)
  return { system, registry, job, zombie, asked, answer: () => gate.resolve() }
}

function held({ requests }: MemoryRegistry, { method, path = /./ }: FaultMatch): boolean {
  return requests.some(
    (request) => request.method === method && path.test(request.path) && request.status === undefined,
  )
}

const BLOBS: FaultMatch = { method: 'PATCH' }
const SMALL: FaultMatch = { method: 'PUT', path: /\/blobs\/uploads\// }
const TAG: FaultMatch = { method: 'PUT', path: /\/manifests\/(?!sha256:)/ }

for (const [where, match, layerBytes] of [
  ['a layer', BLOBS, 10 * MIB],
  ['a small layer', SMALL, 10_000],
  ['the tag', TAG, 10 * MIB],
] as const) {
  test(`a worker stopped at ${where} past its lock sends nothing and changes nothing when it wakes up`, async (t) => {
    const { system, registry, job, zombie, asked, answer } = await takenOver(t, match, layerBytes)
    const ended = await system.ended(job.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    assert.equal(ended.attempt, 2)
    const before = { asked: asked(), log: await system.log(job.id), job: await system.queue.get(job.id) }
    answer()
    zombie.signal('SIGCONT')
    await zombie.waitForOutput(/"msg":"run ends: another run of this job has taken over"/)
    await zombie.stop()
    assert.deepEqual({ asked: asked(), log: await system.log(job.id), job: await system.queue.get(job.id) }, before)
    assertStreamInvariants(before.log)
    // It has left word of what it had open, as it may send nothing itself.
    await waitFor('all uploads to be given up', () => registry.openSessions === 0, { timeoutMs: 20_000 })
  })
}
