import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { createDispatcher, type Dispatch } from '../../src/jobs/dispatch/dispatch.ts'
import { createKeys, queueName } from '../../src/jobs/redis/keys.ts'
import { connectRedis } from '../../src/jobs/redis/redis.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { createConsumers } from '../../src/worker/consumers.ts'
import type { RunEnd } from '../../src/worker/run-job.ts'
import { defer } from '../helpers/cleanup.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOST = 'registry.example'

interface Scene {
  add(id: string): Promise<void>
  /** Whether BullMQ has a lock of the job. */
  locked(id: string): Promise<boolean>
  /** Opens the host's consumer in each of the processes: who is first asks first. */
  open(): void
}

interface SceneOptions {
  processes: number
  registryJobs: number
  /** Jobs at once in a process. Default 1. */
  limit?: number
  /** Of what goes between a process and Redis, each way. Default none. */
  latencyMs?: number
  run: (dispatch: Dispatch, process: number) => Promise<RunEnd>
}

/** So many processes that take jobs of a registry that takes `registryJobs` of all. */
async function setUp(t: TestContext, options: SceneOptions): Promise<Scene> {
  const { socketPath } = await startRedis(t)
  const { limit = 1, latencyMs } = options
  const way = latencyMs === undefined ? undefined : await startFaultProxy(t, socketPath, { latencyMs })
  const keys = createKeys()
  const api = connectRedis({ socketPath }, { role: 'starting' })
  const dispatcher = createDispatcher({ redis: api, keys })
  // As queue-state.lua sets it.
  await api.hset(`${keys.bullPrefix}:${queueName(HOST)}:meta`, 'concurrency', options.registryJobs)
  defer(t, async () => {
    await dispatcher.close()
    api.disconnect()
  })
  const all = Array.from({ length: options.processes }, (_, at) => {
    const redis = connectRedis(way ? { url: `redis://${way.host}` } : { socketPath }, { role: 'worker' })
    const consumers = createConsumers({
      redis,
      bullPrefix: keys.bullPrefix,
      workerName: `process-${at}`,
      limit,
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
    locked: async (id) => (await api.exists(`${keys.bullPrefix}:${queueName(HOST)}:${id}:lock`)) === 1,
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

test('a job that was fetched and has not begun is not held to have got lost on its way', async (t) => {
  const jobs = Array.from({ length: 100 }, (_, at) => `job-${at}`)
  const begun = new Set<string>()
  const gate = Promise.withResolvers<RunEnd>()
  // BullMQ fetches all that it may run before the first of them begins: four seconds here. One after the connection was
  // made the process looks for what got lost.
  const scene = await setUp(t, {
    processes: 1,
    registryJobs: jobs.length,
    limit: jobs.length,
    latencyMs: 20,
    run({ id }) {
      begun.add(id)
      return gate.promise
    },
  })
  defer(t, () => gate.resolve({ next: 'done' }))
  for (const id of jobs) await scene.add(id)
  scene.open()
  await waitFor('all to have begun', () => begun.size === jobs.length)
  for (const id of jobs) assert.ok(await scene.locked(id), `${id} has lost its lock`)
})

test('a consumer that is closed while Redis is away ends all the same, and its hosts are let go', async (t) => {
  const server = await startRedis(t)
  const src = new URL('../../src/', import.meta.url).href
  // A process of its own: timers of a consumer whose connection never ends stay behind.
  const script = join(await tempDir(t), 'closing.ts')
  await writeFile(
    script,
    `import { createConsumers } from '${src}worker/consumers.ts'
     import { connectRedis } from '${src}jobs/redis/redis.ts'
     import { createKeys } from '${src}jobs/redis/keys.ts'
     import { silentLogger } from '${src}lib/logger.ts'
     const redis = connectRedis({ socketPath: '${server.socketPath}' }, { role: 'worker' })
     redis.on('error', () => undefined)
     const consumers = createConsumers({
       redis, bullPrefix: createKeys().bullPrefix, workerName: 'one', limit: 1, logger: silentLogger,
       run: async () => ({ next: 'done' }), onLost: () => undefined })
     consumers.open('${HOST}')
     let times = 0
     redis.on('reconnecting', async () => {
       times += 1
       if (times !== 4) return
       await consumers.close(['${HOST}'])
       await consumers.shutdown()
       console.log('ended with', consumers.hosts.size)
       process.exit(0)
     })`,
  )
  const process = await startProcess(t, execPath, [script])
  const raw = new Redis(server.clientOptions)
  await waitFor('it to ask for a job', async () => String(await raw.client('LIST')).includes('cmd=bzpopmin'))
  raw.disconnect()
  await server.kill()
  await process.waitForOutput(/^ended with 0$/m)
})
