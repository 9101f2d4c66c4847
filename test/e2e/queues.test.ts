import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queue } from '../../src/http/schemas/system/queue.ts'
import { freePort } from '../helpers/network/ports.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import {
  apiOf,
  endedOver,
  jobOver,
  publishOver,
  readProcess,
  readyUrl,
  startLayerd,
  workersOf,
} from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

test('a paused queue stays so over the death of a worker, of the API and of all of layerd, and then goes on', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: 1000 })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const held = Promise.withResolvers<void>()
  registry.fail({ method: 'PUT', path: /\/blobs\/uploads\//, times: 1 }, { kind: 'hold', until: held.promise })
  const listen = `127.0.0.1:${await freePort()}`
  const settings = {
    dataDir: await shortTempDir(t),
    env: { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '2', LAYERD_LISTEN: listen },
  }
  const first = await startLayerd(t, settings)
  const api = await readyUrl(first)
  const queue = async (what = '') => {
    const url = `${api}/v1/queues/${registry.host}${what}`
    const body = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"reason":"its disk"}' }
    return (await (await fetch(url, what === '/pause' ? body : what === '' ? {} : { method: 'POST' })).json()) as Queue
  }
  const running = await publishOver(api, built.path, `${registry.host}/team`)
  await waitFor('a layer to be under way', () => registry.requests.some(({ method }) => method === 'PUT'))
  const { pause } = await queue('/pause')
  assert.ok(pause)
  const waiting = await publishOver(api, built.path, `${registry.host}/other`)
  assert.match(waiting.reason ?? '', /is paused by anonymous since .*: its disk$/)

  // Whichever runs it.
  for (const { pid } of workersOf(first.pid)) process.kill(pid, 'SIGKILL')
  const lost = await waitFor('the job of the lost worker to wait', async () => {
    const job = await jobOver(api, running.id)
    return job.state === 'queued' ? job : undefined
  })
  assert.match(lost.reason ?? '', /is paused by anonymous since .*: its disk$/)
  held.resolve()

  const { pid } = apiOf(first.pid)
  process.kill(pid, 'SIGKILL')
  await waitFor('the API to be back', async () => {
    if (readProcess(pid) !== undefined) return false
    return (await fetch(`${api}/readyz`).catch(() => undefined))?.ok
  })
  assert.deepEqual((await queue()).pause, pause)
  await first.kill()
  const second = await startLayerd(t, settings)
  await readyUrl(second)
  const found = await queue()
  assert.deepEqual(found.pause, pause)
  assert.deepEqual(found.jobs, { waiting: 2, running: 0, retrying: 0, paused: 0 })

  assert.equal((await queue('/resume')).pause, null)
  for (const { id } of [running, waiting]) {
    const job = await endedOver(api, id)
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  }
  assert.equal((await jobOver(api, running.id)).attempt, 2)
  assert.equal((await jobOver(api, waiting.id)).attempt, 1)
})
