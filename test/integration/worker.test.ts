import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const roots = [dirname(FIXTURES.nemoAmd64)]

test('a worker publishes a queued package and its stream keeps every promise', async (t) => {
  const registry = await startDockerRegistry(t)
  const system = await startJobSystem(t, { roots })
  const job = await system.publish(FIXTURES.fleet, registry.host)
  assert.equal(job.state, 'queued')
  await system.worker('one')
  const ended = await system.ended(job.id)
  assert.equal(ended.error, null)
  assert.equal(ended.state, 'succeeded')
  assert.equal(ended.result?.digest, digestOf(publishedManifest('fleet')))
  assert.equal(ended.result.reference, `oci://${registry.host}/fleet:0.0.1`)
  assert.equal(ended.result.layers, 484)
  const events = await system.log(job.id)
  assertStreamInvariants(events)
  const again = await system.publish(FIXTURES.fleet, registry.host)
  const skipped = await system.ended(again.id)
  assert.equal(skipped.progress.bytesSent, 0)
  assert.equal(skipped.progress.bytesSkipped, skipped.progress.bytesTotal)
  assertStreamInvariants(await system.log(again.id))
})

test('a job whose way to its worker broke off does not wait for the end of its lock', async (t) => {
  const registry = await startDockerRegistry(t)
  const system = await startJobSystem(t, { roots })
  const proxy = await startFaultProxy(t, system.redis.socketPath)
  // Its lock is longer than any wait here: what ends has not waited for that.
  const redis = { url: `redis://${proxy.host}` }
  const worker = await system.workerProcess('one', { redis, lockMs: 120_000 })
  const publish = async (path: string) => (await system.publish(path, registry.host)).id
  await system.ended(await publish(FIXTURES.nemoAmd64))
  // Its consumer waits for a sign, and the next question is what fetches the job, or one of its chores'.
  for (let round = 1; !worker.output().includes('jobs that got lost on their way here'); round += 1) {
    assert.ok(round <= 20, 'no answer that brings a job gets lost')
    const lost = proxy.fail({ answer: 1 })
    const id = await publish(FIXTURES.nemoArm64)
    await waitFor('an answer to be lost', () => lost.met)
    assert.equal((await system.ended(id)).state, 'succeeded')
  }
})

test('both architectures published at once by two workers stand under one tag', async (t) => {
  const registry = await startDockerRegistry(t)
  const system = await startJobSystem(t, { roots })
  await Promise.all([system.worker('one', { jobs: 1 }), system.worker('two', { jobs: 1 })])
  const jobs = await Promise.all([
    system.publish(FIXTURES.nemoAmd64, registry.host),
    system.publish(FIXTURES.nemoArm64, registry.host),
  ])
  const ended = await Promise.all(jobs.map((job) => system.ended(job.id)))
  assert.deepEqual(
    ended.map((job) => job.state),
    ['succeeded', 'succeeded'],
  )
  const headers = { accept: 'application/vnd.oci.image.index.v1+json' }
  const response = await fetch(`${registry.url}/v2/nemo/manifests/1.2.0`, { headers })
  const index = (await response.json()) as { manifests: Array<{ platform: { architecture: string } }> }
  assert.deepEqual(index.manifests.map((entry) => entry.platform.architecture).toSorted(), ['amd64', 'arm64'])
})

test('a worker whose Docker credentials are broken fails the jobs that need them, and lives', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots })
  const worker = await system.workerProcess('one', { dockerAuthConfig: '{"auths":' })
  for (let round = 1; round <= 2; round += 1) {
    const job = await system.publish(FIXTURES.logbook, registry.host)
    const { state, error } = await system.ended(job.id)
    assert.deepEqual([state, error?.code], ['failed', 'CREDENTIALS_INVALID'], JSON.stringify(error))
  }
  const own = await system.publish(FIXTURES.logbook, registry.host, {
    credentials: { registry: registry.host, username: 'me', password: 'mine' },
  })
  assert.equal((await system.ended(own.id)).state, 'succeeded')
  assert.ok(worker.isRunning())
})

test('a failing job says what failed and where, and leaves no tag', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'myuser', password: 'mypass' } })
  const system = await startJobSystem(t, { roots })
  await system.worker('one')
  const job = await system.publish(FIXTURES.logbook, registry.host, {
    credentials: { registry: registry.host, username: 'myuser', password: 'wrong' },
  })
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'failed')
  assert.equal(ended.error?.code, 'REGISTRY_UNAUTHORIZED')
  assert.equal(ended.error.upstream?.registry, registry.host)
  assert.equal(ended.error.upstream.status, 401)
  assert.ok(ended.error.hint)
  assertStreamInvariants(await system.log(job.id))
  const right = await system.publish(FIXTURES.logbook, registry.host, {
    credentials: { registry: registry.host, username: 'myuser', password: 'mypass' },
  })
  const done = await system.ended(right.id)
  assert.equal(done.state, 'succeeded', JSON.stringify(done.error))
})

test('a cancel in the middle of a layer ends the job and leaves no tag', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 64 * 1024 * 1024, format: 'tar' })
  await using registry = await startMemoryRegistry()
  registry.fail({ method: 'PATCH' }, { kind: 'hold', until: new Promise(() => {}) })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const job = await system.publish(built.path, registry.host)
  await waitFor('bytes to move', async () => ((await system.queue.get(job.id))?.progress.bytesSent ?? 0) > 0)
  const canceling = await system.queue.cancel(job.id, { reason: 'changed my mind' })
  assert.equal(canceling.state, 'canceling')
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'canceled')
  assert.match(ended.reason ?? '', /^changed my mind/)
  assertStreamInvariants(await system.log(job.id))
  assert.equal(
    registry.requests.some((request) => request.method === 'PUT' && request.path.includes('/manifests/')),
    false,
  )
})

test('a worker that stops hands its job back, and another one finishes it', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 3, layerBytes: 16 * 1024 * 1024, format: 'tar.zst' })
  await using registry = await startMemoryRegistry()
  registry.fail({ method: 'PATCH' }, { kind: 'hold', until: new Promise(() => {}) })
  const system = await startJobSystem(t, { roots: [folder] })
  const first = await system.worker('one')
  const job = await system.publish(built.path, registry.host)
  await waitFor(
    'a layer to be under way',
    async () => ((await system.queue.get(job.id))?.progress.bytesSent ?? 0) > 1e6,
  )
  assert.deepEqual(await first.stop(10_000), { drained: true })
  assert.equal((await system.queue.get(job.id))?.state, 'queued')
  await system.worker('two')
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'succeeded')
  assert.equal(ended.attempt, 2)
  assertStreamInvariants(await system.log(job.id))
})

test('a worker looks for itself: paths that lead out of the roots since their jobs were accepted are left alone', async (t) => {
  const [folder, outside] = [await tempDir(t), await tempDir(t)]
  await using registry = await startMemoryRegistry()
  const system = await startJobSystem(t, { roots: [folder] })
  const [archive, pulled] = [join(folder, basename(FIXTURES.logbook)), join(folder, 'pulled')]
  await copyFile(FIXTURES.logbook, archive)
  await mkdir(pulled)
  const destination = `file:${pulled}/`
  const jobs = [
    await system.publish(archive, registry.host),
    await system.pull(`oci://${registry.host}/logbook:0.1.0`, { destination }),
  ]
  await copyFile(FIXTURES.logbook, join(outside, 'p'))
  for (const [path, target] of [
    [archive, join(outside, 'p')],
    [pulled, outside],
  ] as const) {
    await rm(path, { recursive: true })
    await symlink(target, path)
  }
  await system.worker('one')
  for (const { id } of jobs) {
    const { state, error } = await system.ended(id)
    assert.deepEqual([state, error?.code], ['failed', 'PACKAGE_OUTSIDE_ROOTS'], JSON.stringify(error))
  }
  assert.deepEqual([await readdir(outside), registry.requests.length], [['p'], 0])
})
