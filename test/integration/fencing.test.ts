import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import {
  type DockerRegistry,
  type RegistryProgram,
  registryPrograms,
  startDockerRegistry,
} from '../helpers/registries/docker-registry.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { untilServed } from '../helpers/redis/until-served.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import type { Fault, FaultMatch } from '../helpers/registries/kit/faults.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import type { RunningProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
/**
 * Of the worker that is to be stopped; its heir has the worker's own of 30 s. Who gets no processor for so long loses it
 * without being stopped.
 */
const LOCK_MS = 8000

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
  const job = await publishOnce(system, built.path, registry.host)
  await waitFor('the registry to hold back an answer', () => held(registry, match))
  zombie.signal('SIGSTOP')
  await system.worker('heir')
  const asked = () =>
    registry.requests
      .filter(({ headers }) => headers['user-agent'] === 'layerd/zombie')
      .map(({ method, path }) => `${method} ${path}`)
  return { system, registry, job, zombie, asked, answer: () => gate.resolve() }
}

/** One blob at a time: no other request may be under way when the worker is stopped, nor the answer to one. */
function publishOnce(system: JobSystem, path: string, host: string): Promise<Job> {
  const idempotency = { scope: randomUUID(), fingerprint: 'the same' }
  return untilServed(() => system.publish(path, host, { options: { concurrency: 1 }, idempotency }))
}

/** The job, and all that its stream tells. */
function told(system: JobSystem, { id }: Job) {
  return untilServed(async () => ({ log: await system.log(id), job: await system.queue.get(id) }))
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
    const before = { asked: asked(), ...(await told(system, job)) }
    answer()
    zombie.signal('SIGCONT')
    await zombie.waitForOutput(/"msg":"run ends: another run of this job has taken over"/)
    await zombie.stop()
    assert.deepEqual({ asked: asked(), ...(await told(system, job)) }, before)
    assertStreamInvariants(before.log)
    // It has left word of what it had open, as it may send nothing itself.
    await waitFor('all uploads to be given up', () => registry.openSessions === 0)
    await system.assertNothingLeft(registry)
  })
}

/** The requests of one worker in a registry's access log. */
function requestsOf(registry: DockerRegistry, name: string): string[] {
  return [...registry.logs().matchAll(/"((?:GET|HEAD|POST|PATCH|PUT|DELETE) \S+) HTTP\/1\.1" \d+ .*"layerd\/(\w+)"/g)]
    .filter(([, , agent]) => agent === name)
    .map(([, request = '']) => request)
}

/** A real registry behind a proxy, a package for it, and a system to publish that. */
async function behindProxy(t: TestContext, program: RegistryProgram) {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 10 * MIB, format: 'tar' })
  const registry = await startDockerRegistry(t, { program })
  const proxy = await startFaultProxy(t, registry.host)
  const system = await startJobSystem(t, { roots: [folder] })
  const publish = () => publishOnce(system, built.path, proxy.host)
  return { registry, proxy, system, publish }
}

/** Which answer, counted from the first one of all, is the tag's. */
async function answerOfTag(t: TestContext, program: RegistryProgram): Promise<number> {
  const { registry, proxy, system, publish } = await behindProxy(t, program)
  await system.worker('clean')
  assert.equal((await system.ended((await publish()).id)).state, 'succeeded')
  const log = await waitFor('the access log', () => {
    const requests = registry.logs().match(/"[A-Z]+ \S+ HTTP\/1\.1" .*"layerd\/test"/g) ?? []
    return requests.some((line) => line.includes('PUT /v2/sample/manifests/1.0.0')) ? requests : undefined
  })
  const after = log.length - log.findIndex((line) => line.includes('PUT /v2/sample/manifests/1.0.0')) - 1
  return proxy.calls - after
}

for (const [at, program] of registryPrograms().entries()) {
  // The tag's is much the same in both, and takes a run that finds its place.
  for (const where of at === 0 ? (['a layer', 'the tag'] as const) : (['a layer'] as const)) {
    test(`${program}: a worker stopped at ${where} past its lock sends nothing when it wakes up to a broken connection`, async (t) => {
      const point = where === 'a layer' ? { answerAfter: 4 * MIB } : { answer: await answerOfTag(t, program) }
      const { registry, proxy, system, publish } = await behindProxy(t, program)
      const fault = proxy.fail(point, 'silence')
      const zombie = await system.workerProcess('zombie', { lockMs: LOCK_MS })
      const job = await publish()
      await waitFor('an answer to be held back', () => fault.met)
      zombie.signal('SIGSTOP')
      await system.worker('heir')
      const ended = await system.ended(job.id)
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      assert.equal(ended.attempt, 2)
      const asked = requestsOf(registry, 'zombie')
      assert.ok(asked.length > 0)
      const before = await told(system, job)
      proxy.cutAll('close')
      zombie.signal('SIGCONT')
      await zombie.waitForOutput(/"msg":"run ends: another run of this job has taken over"/)
      await zombie.stop()
      assert.deepEqual(await told(system, job), before)
      assert.deepEqual(requestsOf(registry, 'zombie'), asked)
      assertStreamInvariants(before.log)
      await system.assertNothingLeft()
    })
  }
}
