import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, jobOver, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { shortTempDir } from '../helpers/temp-dir.ts'

const root = join(FIXTURES.nemoAmd64, '..')

/** Publishes a package, pulls it into the store, and pauses a job: all that a backup has to bring back. */
async function work(api: string, registry: DockerRegistry) {
  const published = await endedOver(api, (await publishOver(api, FIXTURES.nemoAmd64, `${registry.host}/team`)).id)
  const pull = JSON.stringify({
    kind: 'pull',
    source: `oci://${registry.host}/team/nemo:1.2.0`,
    options: { architecture: 'amd64' },
  })
  const headers = { 'content-type': 'application/json' }
  const made = (await (await fetch(`${api}/v1/jobs`, { method: 'POST', headers, body: pull })).json()) as Job
  const pulled = await endedOver(api, made.id)
  assert.deepEqual([published.state, pulled.state], ['succeeded', 'succeeded'])
  const later = await publishOver(api, FIXTURES.logbook, `${registry.host}/later`)
  await fetch(`${api}/v1/jobs/${later.id}/pause`, { method: 'POST' })
  return { published, pulled, laterId: later.id }
}

type Done = Awaited<ReturnType<typeof work>>

async function assertBack(api: string, { published, pulled, laterId }: Done): Promise<void> {
  assert.deepEqual((await jobOver(api, published.id)).result, published.result)
  const archive = await fetch(`${api}${pulled.result?.archive}`)
  assert.equal(archive.status, 200)
  assert.ok((await archive.arrayBuffer()).byteLength > 0)
  const later = await jobOver(api, laterId)
  if (later.state === 'paused') await fetch(`${api}/v1/jobs/${laterId}/resume`, { method: 'POST' })
  assert.equal((await endedOver(api, laterId)).state, 'succeeded', 'what rested goes on')
}

async function start(t: TestContext, dataDir: string, env: Record<string, string> = {}) {
  const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root, ...env } })
  return { layerd, api: await readyUrl(layerd) }
}

test('a copy of the data directory of a stopped daemon is a backup, and starts in another place', async (t) => {
  const registry = await startDockerRegistry(t)
  const dataDir = await shortTempDir(t)
  const first = await start(t, dataDir)
  const done = await work(first.api, registry)
  await first.layerd.stop()
  const restored = join(await shortTempDir(t), 'd')
  await cp(dataDir, restored, { recursive: true, preserveTimestamps: true })
  const second = await start(t, restored)
  await assertBack(second.api, done)
  const check = await startLayerd(t, { args: ['store', 'check'], dataDir: restored })
  assert.deepEqual(await check.exit, { code: 0, signal: null }, check.output())
})

test('with a Redis of one’s own its save and the data directory, taken while layerd is stopped, are a backup', async (t) => {
  const registry = await startDockerRegistry(t)
  const redis = await startRedis(t, { tcp: true })
  const dataDir = await shortTempDir(t)
  const first = await start(t, dataDir, { LAYERD_REDIS_URL: redis.url })
  const done = await work(first.api, registry)
  await first.layerd.stop()
  const dump = join(await shortTempDir(t), 'dump.rdb')
  const saved = await runProcess(t, 'redis-cli', ['-u', redis.url, '--rdb', dump])
  assert.equal(saved.code, 0, saved.output)
  const restored = join(await shortTempDir(t), 'd')
  await cp(dataDir, restored, { recursive: true, preserveTimestamps: true })
  await redis.kill()
  const folder = join(dump, '..')
  const args = ['--appendonly', 'no', '--dir', folder, '--dbfilename', 'dump.rdb']
  const other = await startRedis(t, { tcp: true, args })
  const second = await start(t, restored, { LAYERD_REDIS_URL: other.url })
  await assertBack(second.api, done)
})

test('an upgrade stops the old daemon and starts the new one on the same directory: nothing is lost, what ran goes on', async (t) => {
  const registry = await startDockerRegistry(t)
  const dataDir = await shortTempDir(t)
  const first = await start(t, dataDir)
  const done = await work(first.api, registry)
  assert.deepEqual(await first.layerd.stop(), { code: 0, signal: null })
  const second = await start(t, dataDir)
  await assertBack(second.api, done)
})
