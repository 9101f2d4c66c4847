import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { NO_JOB, post, withPackage } from '../helpers/streams/http-jobs.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
/** Nobody frees the lock of a worker that was killed. */
const LOCK_MS = 3000

test('a publish that was handed over, lost its worker, failed, rested and was canceled and retried tells all of it', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 12, layerBytes: 2 * MIB, compressible: 0, format: 'tar' })
  const proxy = await startFaultProxy(t, registry.host)
  const slow = { bytesPerSecond: MIB }
  proxy.link = slow
  const system = await startJobSystem(t, { roots: [folder] })
  const worker = (name: string) => system.workerProcess(name, { lockMs: LOCK_MS })
  const first = await worker('first')
  const { id } = await system.publish(built.path, `oci://${proxy.host}/team`, { options: { concurrency: 1 } })
  let sent = 0
  const moves = () =>
    waitFor('bytes to be sent', async () => {
      const job = await system.queue.get(id)
      if (job?.state !== 'running' || job.progress.wireBytes <= sent) return false
      sent = job.progress.wireBytes
      return true
    })
  const reaches = (state: string) => waitFor(state, async () => (await system.queue.get(id))?.state === state)
  await moves()
  await first.stop()
  const second = await worker('second')
  await moves()
  await second.kill()
  const third = await worker('third')
  await moves()
  await system.queue.pause(id, { by: 'ann', reason: 'the line is needed' })
  await reaches('paused')
  await system.queue.resume(id, { by: 'bob' })
  await moves()
  await system.queue.cancel(id, { by: 'eve' })
  await reaches('canceled')
  const busy = { kind: 'answer', status: 503, headers: { 'retry-after': '3600' } } as const
  registry.fail({ method: 'GET', path: /\/manifests\// }, busy)
  await system.queue.retry(id, { by: 'ann' })
  await reaches('retrying')
  const refused = (await system.queue.runs(id)).items.at(-1)?.ended
  assert.equal(refused?.problem?.upstream?.status, 503)
  assert.ok(Date.parse(refused?.retryAt ?? '') > Date.now() + 3_000_000)
  await system.queue.cancel(id)
  proxy.link = {}
  await system.queue.retry(id, { by: 'ann' })
  const ended = await system.ended(id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  const { items, leftOut } = await system.queue.runs(id)
  const told = items.map(({ worker: on, began, ended: end, attempt }) => [
    `${attempt} on ${on.id}`,
    `${began.cause} by ${began.by}`,
    `${end?.outcome} by ${end?.by}`,
  ])
  assert.deepEqual(told, [
    ['1 on first', 'first by null', 'handed-over by null'],
    ['2 on second', 'handover by null', 'lost by null'],
    ['3 on third', 'takeover by null', 'paused by ann'],
    ['4 on third', 'resume by bob', 'canceled by eve'],
    ['5 on third', 'retry by ann', 'failed by null'],
    ['6 on third', 'retry by ann', 'succeeded by null'],
  ])
  assert.equal(leftOut, 0)
  for (const { worker: on } of items) assert.equal(on.host, hostname())
  assert.deepEqual([...new Set(items.map(({ worker: on }) => on.pid))], [first.pid, second.pid, third.pid])
  const bytes = items.reduce((sum, { bytesMoved }) => sum + bytesMoved, 0)
  assert.equal(bytes, ended.progress.wireBytes)
  const layers = items.reduce((sum, { layersDone }) => sum + layersDone, 0)
  assert.equal(layers, ended.progress.layers.done)
  const times = items.flatMap(({ began, startedAt, endedAt }) => [began.waitedSince, startedAt, endedAt].map(String))
  assert.deepEqual(
    times,
    times.toSorted((a, b) => (a < b ? -1 : 1)),
  )
  await system.assertNothingLeft()
})

test('a run that failed is followed by another one, of itself, when it was to', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1 })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const { id } = await system.publish(built.path, 'oci://127.0.0.1:1/team')
  const [first, second] = await waitFor('a second run', async () => {
    const { items } = await system.queue.runs(id)
    return items.length > 1 && items
  })
  assert.deepEqual([first?.ended?.outcome, first?.ended?.state], ['failed', 'retrying'])
  assert.equal(first?.ended?.problem?.code, 'REGISTRY_UNREACHABLE')
  assert.equal(second?.began.cause, 'failure')
  assert.ok((second?.startedAt ?? '') >= (first?.ended?.retryAt ?? 'none'))
  await system.queue.cancel(id)
})

test('GET /v1/jobs/{id}/runs answers what there is, and 404 for a job that is not', async (t) => {
  const server = await withPackage(t)
  const { id } = (await post(server, server.body)).json<{ id: string }>()
  const runs = async (job: string) => await server.app.inject({ url: `/v1/jobs/${job}/runs` })
  assert.deepEqual((await runs(id)).json(), { items: [], leftOut: 0 })
  assert.equal((await runs(NO_JOB)).statusCode, 404)
})
