import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { endedOver, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startRedis, type TestRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 24 * MIB

/** The process stands still; or it takes connections and commands, and answers none until after the last question. */
const WAYS = {
  SIGSTOP: async (redis: TestRedis) => redis.pause(),
  'CLIENT PAUSE': async (redis: TestRedis, ms: number) => redis.pauseClients(ms + 5000),
}
const CASES = Object.entries(WAYS).flatMap(([way, pause]) => [5, 30, 90].map((seconds) => ({ way, pause, seconds })))

for (const { way, pause, seconds } of CASES) {
  test(`Redis that stands still for ${seconds} s (${way}): 503 meanwhile, then every accepted job, restarted once at most`, {
    timeout: 300_000,
  }, async (t) => {
    const folder = await tempDir(t)
    const built = await buildPackage(folder, { layers: 2, layerBytes: LAYER, format: 'tar' })
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const line = await startFaultProxy(t, registry.host, { bytesPerSecond: 2 * MIB })
    const redis = await startRedis(t, { tcp: true })
    const env = { LAYERD_REDIS_URL: redis.url, LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1' }
    const api = await readyUrl(await startLayerd(t, { dataDir: await tempDir(t), env }))
    const jobs: Job[] = [await publishOver(api, built.path, line.host), await publishOver(api, built.path, line.host)]
    await waitFor('bytes to move', () => line.passed.up > MIB)

    const end = performance.now() + seconds * 1000
    await pause(redis, seconds * 1000)
    while (performance.now() < end) {
      const answers = await Promise.all([
        fetch(`${api}/v1/jobs/${jobs[0]?.id}`, { signal: AbortSignal.timeout(10_000) }),
        fetch(`${api}/v1/jobs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ kind: 'publish', source: `file:${built.path}`, destination: line.host }),
          signal: AbortSignal.timeout(10_000),
        }),
      ])
      for (const answer of answers) {
        assert.equal(answer.status, 503)
        assert.ok(Number(answer.headers.get('retry-after')) > 0)
        await answer.body?.cancel()
      }
      await delay(500)
    }
    redis.resume()
    for (const { id } of jobs) {
      const ended = await endedOver(api, id)
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      assert.ok(ended.attempt <= 2, `${ended.attempt} runs`)
    }
    await waitFor('all uploads to be finished or given up', () => registry.openSessions === 0)
  })
}
