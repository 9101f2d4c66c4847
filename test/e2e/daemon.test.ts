import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import {
  childrenOf,
  endedOver,
  jobOver,
  publishOver,
  readProcess,
  readyUrl,
  startLayerd,
  workersOf,
} from '../helpers/processes/layerd.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const never = new Promise<never>(() => {})

/** A package, and a registry that takes its first layer and lets the second one's bytes hang once. */
async function hangingPublish(t: TestContext) {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 3, layerBytes: 16 * MIB, format: 'tar.zst' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  registry.fail({ method: 'PATCH', nth: 2 }, { kind: 'hold', until: never })
  return { path: built.path, registry, env: { LAYERD_FILE_ROOTS: folder } }
}

const gone = (pid: number) => readProcess(pid) === undefined

/** The second large layer hangs at the registry, and the first one is told as done. */
function underWay(api: string, id: string, registry: MemoryRegistry) {
  const hangs = async () => {
    const { state, progress } = await jobOver(api, id)
    const sent = registry.requests.filter((request) => request.method === 'PATCH').length
    return state === 'running' && sent === 2 && progress.bytesDone > 16 * MIB
  }
  return waitFor('one layer to be done and the next to hang', hangs)
}

test('layerd alone serves, publishes, and Ctrl-C as npm hands it on leaves no process', async (t) => {
  const registry = await startDockerRegistry(t)
  const dataDir = await shortTempDir(t)
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: MIB })
  const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '2', LAYERD_FILE_ROOTS: folder } })
  const api = await readyUrl(layerd)
  const job = await publishOver(api, built.path, `${registry.host}/team`)
  const ended = await endedOver(api, job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))

  const own = childrenOf(layerd.pid)
  const workers = workersOf(layerd.pid)
  assert.equal(workers.length, 2)
  assert.equal(new Set(workers.map(({ args }) => args)).size, 2)
  assert.equal(readProcess(layerd.pid)?.args, 'layerd')
  for (const worker of workers) assert.equal(worker.session, readProcess(layerd.pid)?.session)
  const others = own.filter(({ pid }) => !workers.some((worker) => worker.pid === pid))
  assert.ok(others.some(({ args }) => args.includes('redis-server') || args.includes('valkey-server')))
  assert.deepEqual(
    others.filter(({ args }) => /\bworker\b/.test(args)),
    [],
  )

  for (const { pid } of workers) process.kill(pid, 'SIGINT')
  layerd.signal('SIGINT')
  layerd.signal('SIGINT')
  assert.deepEqual(await layerd.exit, { code: 0, signal: null })
  await waitFor('all its processes to be gone', () => own.every(({ pid }) => gone(pid)))
})

test('/metrics of the daemon has what its workers count, also of one that was killed', async (t) => {
  const registry = await startDockerRegistry(t)
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: 100_000 })
  const env = { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1' }
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env })
  const api = await readyUrl(layerd)
  const figures = async () => (await fetch(`${api}/metrics`)).text()
  const publish = async (namespace: string) =>
    endedOver(api, (await publishOver(api, built.path, `${registry.host}/${namespace}`)).id)
  const { progress } = await publish('a')
  const tells = (what: RegExp) => waitFor(`the figures to tell ${String(what)}`, async () => what.test(await figures()))
  const sent = `layerd_bytes_total\\{registry="${registry.host}",direction="push",outcome="sent"\\} ${progress.bytesSent}`
  // A worker that takes more than two seconds to answer is left out, for that time.
  await tells(new RegExp(`^${sent}$`, 'm'))
  const runs = (count: number) =>
    new RegExp(`^layerd_runs_total\\{kind="publish",.*state="succeeded"\\} ${count}$`, 'm')
  await tells(runs(1))
  const sessions = (text: string, event: string) =>
    new RegExp(`^layerd_upload_sessions_total\\{.*event="${event}"\\} ([1-9]\\d*)$`, 'm').exec(text)?.[1]
  await waitFor('as many sessions to be closed as were opened', async () => {
    const text = await figures()
    return sessions(text, 'opened') !== undefined && sessions(text, 'closed') === sessions(text, 'opened')
  })
  process.kill(workersOf(layerd.pid)[0]?.pid ?? 0, 'SIGKILL')
  await waitFor(
    'another worker',
    async () => /^layerd_fleet_workers [1-9]/m.test(await figures()) && workersOf(layerd.pid).length === 1,
  )
  await publish('b')
  await tells(runs(2))
})

test('the job of a killed worker is finished by another one, without the layers that are there', async (t) => {
  const { path, registry, env } = await hangingPublish(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { ...env, LAYERD_WORKERS: '2' } })
  const api = await readyUrl(layerd)
  const job = await publishOver(api, path, registry.host)
  await underWay(api, job.id, registry)
  const [, name = ''] = /"worker":"([^"]+)"[^\n]*"msg":"run begins"/.exec(layerd.output()) ?? []
  const victim = workersOf(layerd.pid).find(({ args }) => args.endsWith(` ${name}`))
  assert.ok(victim, `no worker named ${name}`)
  process.kill(victim.pid, 'SIGKILL')
  const ended = await endedOver(api, job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.equal(ended.attempt, 2)
  assert.equal(ended.progress.bytesDone, ended.progress.bytesTotal)
  await waitFor('another worker in its place', () => workersOf(layerd.pid).length === 2)
  assert.ok(workersOf(layerd.pid).every(({ args }) => !args.endsWith(` ${name}`)))
})

test('a killed daemon takes its workers and its Redis along, and the next one goes on', async (t) => {
  const { path, registry, env } = await hangingPublish(t)
  const dataDir = await shortTempDir(t)
  const first = await startLayerd(t, { dataDir, env: { ...env, LAYERD_WORKERS: '1' } })
  const api = await readyUrl(first)
  const job = await publishOver(api, path, registry.host)
  await underWay(api, job.id, registry)
  const own = childrenOf(first.pid)
  assert.ok(own.length >= 3)
  await first.kill()
  await waitFor('all its processes to be gone', () => own.every(({ pid }) => gone(pid)))

  const second = await startLayerd(t, { dataDir, env: { ...env, LAYERD_WORKERS: '1' } })
  const ended = await endedOver(await readyUrl(second), job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.equal(ended.attempt, 2)
})

test('a shutdown hands a running job back, and the next start finishes it', async (t) => {
  const { path, registry, env } = await hangingPublish(t)
  const dataDir = await shortTempDir(t)
  const first = await startLayerd(t, { dataDir, env: { ...env, LAYERD_WORKERS: '1' } })
  const api = await readyUrl(first)
  const job = await publishOver(api, path, registry.host)
  await underWay(api, job.id, registry)
  assert.deepEqual(await first.stop(), { code: 0, signal: null })
  assert.match(first.output(), /"state":"queued"[^\n]*"run ends"/)
  assert.doesNotMatch(first.output(), /without having handed back/)

  const second = await startLayerd(t, { dataDir, env: { ...env, LAYERD_WORKERS: '1' } })
  const ended = await endedOver(await readyUrl(second), job.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.equal(ended.attempt, 2)
})

test('a private Redis that dies is started again with all it knew', async (t) => {
  const { path, registry, env } = await hangingPublish(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { ...env, LAYERD_WORKERS: '1' } })
  const api = await readyUrl(layerd)
  const job = await publishOver(api, path, registry.host)
  await underWay(api, job.id, registry)
  const server = childrenOf(layerd.pid).find(({ args }) => /^\S*(?:redis|valkey)-server /.test(args))
  assert.ok(server)
  process.kill(server.pid, 'SIGKILL')
  await waitFor('layerd to be ready again', async () => gone(server.pid) && (await fetch(`${api}/readyz`)).ok)
  await waitFor('the job to be there as it was', async () => (await jobOver(api, job.id)).state === 'running')
  await waitFor('the cancel to be accepted', async () => {
    const headers = { 'content-type': 'application/json' }
    const { status } = await fetch(`${api}/v1/jobs/${job.id}/cancel`, { method: 'POST', headers })
    // 409: a call before, whose answer was a 503, has canceled it.
    return status === 202 || status === 409
  })
  assert.equal((await endedOver(api, job.id)).state, 'canceled')
})

test('a second daemon on the data directory refuses to start and names the first', async (t) => {
  const dataDir = await shortTempDir(t)
  const first = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '0' } })
  await readyUrl(first)
  const second = await startLayerd(t, { dataDir })
  assert.deepEqual(await second.exit, { code: 1, signal: null })
  assert.match(second.stderr(), new RegExp(`^layerd: LAYERD_DATA_DIR: another layerd \\(process ${first.pid}\\)`))
  assert.ok(first.isRunning())
})

test('serve and worker share Redis and the directory; one with another directory is refused', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const registry = await startDockerRegistry(t)
  const dataDir = await tempDir(t)
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 1000 })
  const env = { LAYERD_REDIS_URL: redis.url, LAYERD_FILE_ROOTS: folder }
  const serve = await startLayerd(t, { args: ['serve'], dataDir, env })
  const api = await readyUrl(serve)
  const job = await publishOver(api, built.path, registry.host)
  const listening = { ...env, LAYERD_WORKER_LISTEN: '127.0.0.1:0' }
  const worker = await startLayerd(t, { args: ['worker', '--name', 'mine'], dataDir, env: listening })
  assert.equal((await endedOver(api, job.id)).state, 'succeeded')
  const [, port = ''] = await worker.waitForOutput(/"port":(\d+)\}[^\n]*"the worker answers probes"/)
  const probe = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  for (const path of ['/livez', '/readyz']) assert.equal((await probe(path)).status, 200, path)
  assert.match(await (await probe('/metrics')).text(), /^layerd_runs_total\{kind="publish",.*state="succeeded"\} 1$/m)
  assert.equal((await probe('/v1/jobs')).status, 404)
  const figures = await (await fetch(`${api}/metrics`)).text()
  assert.match(figures, /^layerd_fleet_jobs\{state="succeeded"\} 1$/m)
  assert.match(
    figures,
    /^layerd_http_request_duration_seconds_count\{route="\/v1\/jobs",method="POST",status="2xx"\} 1$/m,
  )
  assert.doesNotMatch(figures, /layerd_runs_total\{/, 'a worker that was started alone has its own')
  assert.match(readProcess(worker.pid)?.args ?? '', /^layerd worker --name mine-/)

  const stranger = await startLayerd(t, { args: ['worker'], dataDir: await tempDir(t), env })
  assert.deepEqual(await stranger.exit, { code: 1, signal: null })
  const ids = /Redis belongs to the layerd with id (\S+), and \S+ to the one with id (\S+)\./.exec(stranger.stderr())
  assert.ok(ids, stranger.stderr())
  assert.notEqual(ids[1], ids[2])
  assert.deepEqual(await worker.stop(), { code: 0, signal: null })
  assert.deepEqual(await serve.stop(), { code: 0, signal: null })
})

test('a daemon that waits for Redis answers probes, says so once, and obeys a signal', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  await redis.stop()
  const env = { LAYERD_REDIS_URL: redis.url }
  const waiting = await startLayerd(t, { args: ['serve'], dataDir: await tempDir(t), env })
  const [, url = ''] = await waiting.waitForOutput(/listening at (http:[^"]+)"/)
  await waiting.waitForOutput(/"msg":"waiting for Redis"/)
  const status = async (path: string) => (await fetch(`${url}${path}`)).status
  assert.deepEqual([await status('/livez'), await status('/version'), await status('/docs/errors')], [200, 200, 200])
  assert.deepEqual([await status('/readyz'), await status('/v1/jobs')], [503, 503])
  assert.ok(!waiting.output().includes('does not answer'), waiting.output())
  await redis.start()
  await readyUrl(waiting)
  assert.equal(await status('/v1/jobs'), 200)
  assert.deepEqual(await waiting.stop(), { code: 0, signal: null })
  await redis.stop()
  const told = await startLayerd(t, { args: ['serve'], dataDir: await tempDir(t), env })
  await told.waitForOutput(/"msg":"waiting for Redis"/)
  assert.deepEqual(await told.stop(), { code: 0, signal: null })
})

test('a second signal after a second ends everything at once', async (t) => {
  const { path, registry, env } = await hangingPublish(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { ...env, LAYERD_WORKERS: '1' } })
  const api = await readyUrl(layerd)
  const job = await publishOver(api, path, registry.host)
  await underWay(api, job.id, registry)
  const own = childrenOf(layerd.pid)
  // A worker that cannot hand anything back keeps the shutdown waiting.
  for (const { pid } of workersOf(layerd.pid)) process.kill(pid, 'SIGSTOP')
  layerd.signal('SIGINT')
  // A second is counted from when the first one was heard.
  await layerd.waitForOutput(/"layerd is shutting down"/)
  await delay(1100)
  assert.ok(layerd.isRunning())
  layerd.signal('SIGINT')
  await waitFor('layerd to end', () => !layerd.isRunning())
  for (const { pid } of own) if (!gone(pid)) process.kill(pid, 'SIGCONT')
  assert.deepEqual(await layerd.exit, { code: 130, signal: null })
  await waitFor('all its processes to be gone', () => own.every(({ pid }) => gone(pid)))
})
