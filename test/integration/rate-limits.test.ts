import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** A worker, and a registry that refuses all requests for now until it is told to let them in. */
async function setUp(t: TestContext, retryAfter: string) {
  let open = false
  const refused = { status: 429, headers: { 'retry-after': retryAfter } }
  const registry = await startMemoryRegistry({
    authorize: ({ url }) => (open || url === '/v2/' ? undefined : refused),
  })
  t.after(() => registry.close())
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 3, layerBytes: 1000, format: 'tar' })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const job = await system.publish(built.path, registry.host)
  const limited = new RegExp(`^${RegExp.escape(registry.host)} limits requests \\(429\\); next at [\\d:]+`)
  const waiting = await waitFor('the job to say what it waits for', async () => {
    const found = await system.queue.get(job.id)
    return found && limited.test(found.reason ?? '') ? found : undefined
  })
  const letIn = (): void => {
    open = true
  }
  return { registry, system, job, waiting, letIn }
}

test('a job that waits for a limit of its registry says so and until when, and it costs no run', async (t) => {
  const { system, job, waiting, letIn } = await setUp(t, '1')
  assert.equal(waiting.state, 'running')
  assert.notEqual(waiting.progress.retryAt, null)
  letIn()
  const ended = await system.ended(job.id)
  assert.deepEqual([ended.state, ended.attempt, ended.reason], ['succeeded', 1, null])
  const events = await system.log(job.id)
  assertStreamInvariants(events)
  const said = events.filter((event) => event.type === 'log' && event.message.includes('limits requests'))
  assert.equal(said.length, 1)
})

test('a job that waits for a limit is canceled at once', async (t) => {
  const { system, registry, job } = await setUp(t, '500')
  await system.queue.cancel(job.id, { reason: 'enough' })
  assert.equal((await system.ended(job.id)).state, 'canceled')
  assert.equal(registry.requests.filter(({ status }) => status !== 429 && status !== 200).length, 0)
})
