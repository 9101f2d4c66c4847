import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createDispatcher, type Dispatch } from '../../src/jobs/dispatch/dispatch.ts'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { connectRedis } from '../../src/jobs/redis/redis.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { createConsumers } from '../../src/worker/consumers.ts'
import type { RunEnd } from '../../src/worker/run-job.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOST = 'registry.example'

interface Scene {
  add(id: string): Promise<void>
  /** Opens the host's consumer in each of the processes: who is first asks first. */
  open(): void
}

/** So many processes that take a job each, of a registry that takes `registryJobs` of all. */
async function setUp(
  t: TestContext,
  options: { processes: number; registryJobs: number; run: (dispatch: Dispatch, process: number) => Promise<RunEnd> },
): Promise<Scene> {
  const { socketPath } = await startRedis(t)
  const keys = createKeys()
  const api = connectRedis({ socketPath }, { role: 'starting' })
  const dispatcher = createDispatcher({ redis: api, keys, registryJobs: options.registryJobs })
  defer(t, async () => {
    await dispatcher.close()
    api.disconnect()
  })
  const all = Array.from({ length: options.processes }, (_, at) => {
    const redis = connectRedis({ socketPath }, { role: 'worker' })
    const consumers = createConsumers({
      redis,
      bullPrefix: keys.bullPrefix,
      workerName: `process-${at}`,
      limit: 1,
      run: (dispatch) => options.run(dispatch, at),
      onLost: () => {},
      logger: silentLogger,
    })
    defer(t, async () => {
      await consumers.pause()
      await consumers.shutdown()
      redis.disconnect()
    })
    return consumers
  })
  return {
    add: (id) => dispatcher.add(HOST, { id, round: 1 }),
    open: () => all.forEach((consumers) => consumers.open(HOST)),
  }
}

test('who waits because the registry has all the jobs it may have begins as soon as one of them ends', async (t) => {
  const ran: string[] = []
  const gates = new Map(['one', 'two', 'three', 'four', 'five'].map((id) => [id, Promise.withResolvers<RunEnd>()]))
  const scene = await setUp(t, {
    processes: 2,
    registryJobs: 1,
    run({ id }) {
      ran.push(id)
      return gates.get(id)?.promise ?? Promise.reject(new Error(id))
    },
  })
  defer(t, () => gates.forEach(({ resolve }) => resolve({ next: 'done' })))
  scene.open()
  const ids = [...gates.keys()]
  for (const id of ids) await scene.add(id)
  // A second each would do for a consumer that looks by itself every five.
  await waitFor('all to have run', () => {
    gates.get(ran.at(-1) ?? '')?.resolve({ next: 'done' })
    return ran.length === ids.length
  })
  assert.deepEqual(ran, ids)
})
