import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { redisSocketPath } from '../../src/daemon/redis-socket.ts'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { endedOver, jobOver, publishOver, readyUrl, startLayerd, workersOf } from '../helpers/processes/layerd.ts'
import { assertDaemonTidy } from '../helpers/processes/leftovers.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import type { RunningProcess } from '../helpers/processes/processes.ts'
import { killAll, killAllAt } from '../helpers/sweeps/kill-all.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const ARRIVED = 2 * MIB
const JOBS_AT_ONCE = 4

/** A package, and a registry that, where asked to, takes a part of its first layer and then nothing. */
async function setUp(t: TestContext, { stalls = true, layers = 1, layerBytes = 10 * MIB } = {}) {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers, layerBytes, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  if (stalls) registry.fail({ method: 'PATCH' }, { kind: 'stall-request', afterBytes: ARRIVED })
  const dataDir = await shortTempDir(t)
  const env = { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1', LAYERD_JOBS_PER_WORKER: String(JOBS_AT_ONCE) }
  const start = () => startLayerd(t, { dataDir, env })
  const halfWay = () =>
    waitFor('a part of the layer to be there', () =>
      registry.requests.some(({ method, bodyBytes }) => method === 'PATCH' && bodyBytes === ARRIVED),
    )
  const tidy = (daemon: RunningProcess) => assertDaemonTidy(daemon, { dataDir, registry, farEnds: [registry.host] })
  return { path: built.path, registry, dataDir, start, halfWay, tidy }
}

function post(url: string) {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' } })
}

test('a shutdown tells the streams when to come back, and the next start goes on with stream and layer', async (t) => {
  const { path, registry, start, halfWay, tidy } = await setUp(t)
  const first = await start()
  const api = await readyUrl(first)
  const job = await publishOver(api, path, registry.host)
  await halfWay()
  const stream = await fetch(`${api}/v1/jobs/${job.id}/events`, { headers: { accept: 'text/event-stream' } })
  const told = stream.text()
  assert.deepEqual(await first.stop(), { code: 0, signal: null })
  const text = await told
  assert.match(text, /retry: \d{4}\n\n$/)
  assert.doesNotMatch(text, /event: end/)
  const lastId = /[^]*^id: (\S+)$/m.exec(text)?.[1] ?? ''

  const second = await start()
  const next = await readyUrl(second)
  const rest = await fetch(`${next}/v1/jobs/${job.id}/events`, {
    headers: { accept: 'text/event-stream', 'last-event-id': lastId },
  })
  assert.match(await rest.text(), /event: end/)
  const ended = await jobOver(next, job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.ok(ended.progress.bytesResumed >= ARRIVED)
  await tidy(second)
})

test('a kill of daemon, workers and Redis at once loses no accepted job', async (t) => {
  await killAllAt(t, 0)
})

test('after a kill of everything the uploads that stood open are given up, those of small layers too', async (t) => {
  const atOnce = 3
  const { path, registry, dataDir, start } = await setUp(t, { layers: 6, layerBytes: 10_000, stalls: false })
  const lift = registry.fail(
    { method: 'PUT', path: /\/blobs\/uploads\//, times: atOnce },
    { kind: 'stall-request', afterBytes: 0 },
  )
  const first = await start()
  const api = await readyUrl(first)
  const job = await publishOver(api, path, registry.host, { concurrency: atOnce })
  const redis = new Redis({ path: redisSocketPath(dataDir) })
  t.after(() => redis.disconnect())
  redis.on('error', () => undefined)
  const stalled = () =>
    registry.requests.filter(({ method, path: at }) => method === 'PUT' && /uploads/.test(at)).length
  await waitFor('every layer under way to stand still and its upload to be noted', async () => {
    const noted = await redis.hlen(createKeys().openSessions(job.id))
    return stalled() === atOnce && noted === registry.openSessions
  })
  redis.disconnect()
  assert.ok(registry.openSessions >= atOnce)
  await killAll(first)
  lift()

  const next = await readyUrl(await start())
  const ended = await endedOver(next, job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  await waitFor('all uploads to be given up', () => registry.openSessions === 0)
})

test('a cancel ends also when the worker stands still and is killed then, and leaves no upload', async (t) => {
  const { path, registry, start, halfWay, tidy } = await setUp(t)
  const layerd = await start()
  const api = await readyUrl(layerd)
  const job = await publishOver(api, path, registry.host)
  await halfWay()
  const [worker] = workersOf(layerd.pid)
  assert.ok(worker)
  process.kill(worker.pid, 'SIGSTOP')
  assert.equal((await post(`${api}/v1/jobs/${job.id}/cancel`)).status, 202)
  assert.equal((await jobOver(api, job.id)).state, 'canceling')
  process.kill(worker.pid, 'SIGKILL')
  assert.equal((await endedOver(api, job.id)).state, 'canceled')
  await waitFor('the upload to be given up', () => registry.openSessions === 0)
  await tidy(layerd)
})
