import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Limits } from '../../src/access/limits.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface Setting {
  system: JobSystem
  registry: MemoryRegistry
  folder: string
  /** Limits to repositories of the registry. */
  to: (...repositories: string[]) => { limits: Limits }
}

async function setUp(t: TestContext, options: Parameters<typeof startMemoryRegistry>[0] = {}): Promise<Setting> {
  const folder = await tempDir(t)
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  const roots = [folder, dirname(FIXTURES.nemoAmd64), dirname(FIXTURES.armadaBundle)]
  const system = await startJobSystem(t, { roots })
  await system.worker('one')
  const to = (...repositories: string[]) => ({
    limits: { repositories: repositories.map((repository) => `${registry.host}/${repository}`) },
  })
  return { system, registry, folder, to }
}

/** Fails with TOKEN_LIMITED; its paths are those that the registry was asked for meanwhile. */
async function refused({ system, registry }: Setting, started: Promise<Job>): Promise<string[]> {
  const before = registry.requests.length
  const { state, error } = await system.ended((await started).id)
  assert.deepEqual([state, error?.code, error?.retryable], ['failed', 'TOKEN_LIMITED', false], JSON.stringify(error))
  assert.equal(JSON.stringify(error).includes('**'), false, 'whoever sees the job is not told what a token may')
  return registry.requests.slice(before).map(({ path }) => path)
}

async function succeeded(system: JobSystem, started: Promise<Job>): Promise<Job> {
  const job = await system.ended((await started).id)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  return job
}

test('a package whose own name makes another repository than the limits let is not published, nor is a bundle', async (t) => {
  const setting = await setUp(t)
  const { system, registry, to } = setting
  const place = `oci://${registry.host}/team`
  for (const [path, options] of [
    [FIXTURES.nemoAmd64, {}],
    [FIXTURES.nemoAmd64, { scan: true }],
    [FIXTURES.nemoAmd64, { dryRun: true }],
    [FIXTURES.armadaBundle, {}],
    [FIXTURES.armadaBundle, { dryRun: true }],
  ] as const) {
    const paths = await refused(setting, system.publish(path, place, { options, ...to('team/dory', 'other/**') }))
    assert.deepEqual(paths, [], 'the registry hears nothing of it')
  }
  await succeeded(system, system.publish(FIXTURES.nemoAmd64, place, to('team/nemo')))
  await succeeded(system, system.publish(FIXTURES.armadaBundle, place, to('team/*')))
})

test('a file with the name of another package leads nowhere that its own name may not', async (t) => {
  const setting = await setUp(t)
  const { system, registry, folder, to } = setting
  const path = join(folder, 'zarf-package-dory-amd64-1.2.0.tar.zst')
  await copyFile(FIXTURES.nemoAmd64, path)
  const paths = await refused(setting, system.publish(path, `oci://${registry.host}/team`, to('team/dory')))
  assert.deepEqual(
    paths.filter((asked) => asked.includes('nemo')),
    [],
  )
  assert.deepEqual(paths.filter((asked) => asked.includes('/manifests/')).length, 1, 'one look at the tag')
  assert.equal(
    registry.requests.some(({ method, path: asked }) => method === 'PUT' && asked.includes('/manifests/')),
    false,
  )
})

test('pulls, verifications and copies stay within the limits on both sides', async (t) => {
  const setting = await setUp(t)
  const { system, registry, to } = setting
  const from = `oci://${registry.host}/team/nemo:1.2.0`
  await succeeded(system, system.publish(FIXTURES.nemoAmd64, `oci://${registry.host}/team`))
  assert.deepEqual(await refused(setting, system.pull(from, to('other/**'))), [])
  const verify = { kind: 'verify' as const, destination: null, options: { verify: { mode: 'if-possible' as const } } }
  assert.deepEqual(await refused(setting, system.pull(from, { ...verify, ...to('other/**') })), [])
  const other = `oci://${registry.host}/other`
  assert.deepEqual(await refused(setting, system.copy(from, other, to('other/**'))), [])
  const paths = await refused(setting, system.copy(from, other, to('team/**')))
  assert.ok(
    paths.every((path) => !path.includes('/other/')),
    paths.join(' '),
  )
  await succeeded(system, system.copy(from, other, to('team/nemo', 'other/nemo')))
})

test('a job that goes on is held to its own limits, and to those of who let it', async (t) => {
  const setting = await setUp(t)
  const { system, registry, to } = setting
  const job = await system.publish(FIXTURES.nemoAmd64, `oci://${registry.host}/team`, to('team/dory'))
  const again = async (limits: Limits) => {
    await system.queue.retry(job.id, { limits })
    return await system.ended(job.id)
  }
  await refused(setting, Promise.resolve(job))
  assert.equal((await again({})).error?.code, 'TOKEN_LIMITED', 'nobody widens what its owner may')

  const wide = await system.publish(FIXTURES.fleet, `oci://${registry.host}/other`, {
    ...to('other/**'),
    options: { manifest: 'artifact' },
  })
  assert.equal((await system.ended(wide.id)).state, 'failed', 'this registry takes no such manifests')
  await system.queue.retry(wide.id, to('team/**'))
  assert.equal((await system.ended(wide.id)).error?.code, 'TOKEN_LIMITED')
  await system.queue.retry(wide.id)
  assert.notEqual((await system.ended(wide.id)).error?.code, 'TOKEN_LIMITED', 'who has no limits takes them away')
})

for (const mount of [true, 'anywhere'] as const) {
  test(`nothing is linked from where the limits do not lead (${mount})`, async (t) => {
    const setting = await setUp(t, { mount })
    const { system, registry, folder, to } = setting
    const { path } = await buildPackage(folder, { layers: 2, layerBytes: 2 * 1024 * 1024 })
    const into = (namespace: string, more = {}) =>
      succeeded(system, system.publish(path, `oci://${registry.host}/${namespace}`, more))
    const asked = () =>
      registry.requests.filter(({ query }) => query.has('mount')).map(({ query }) => query.get('from'))
    await into('one')
    const plan = async (more: object) =>
      (await into('two', { options: { dryRun: true }, ...more })).result?.plan?.mountFrom
    assert.deepEqual(await plan({}), ['one/sample'], 'it is there to be linked')
    assert.deepEqual(await plan(to('two/**')), [])
    const before = asked().length
    const limited = await into('two', to('two/**'))
    assert.equal(limited.progress.bytesMounted, 0)
    const own = asked()
      .slice(before)
      .filter((from) => from !== 'two/sample')
    assert.deepEqual(own, [], 'neither from there nor from wherever')
    const allowed = await into('three', to('one/*', 'three/*'))
    assert.ok(allowed.progress.bytesMounted > 0)
  })
}

test('the trace of a job has no request for a token that others needed for theirs', async (t) => {
  const tokens = await startTokenServer(t, { users: { ann: 'opensesame' } })
  const challenge = { 'www-authenticate': `Bearer realm="${tokens.realm}",service="${tokens.service}"` }
  const { system, registry } = await setUp(t, {
    authorize: ({ headers, url = '' }) => {
      const repository = /^\/v2\/(.+?)\/(?:blobs|manifests)\//.exec(url)?.[1] ?? ''
      return tokens.allows(headers.authorization, repository, 'pull') ? undefined : { status: 401, headers: challenge }
    },
  })
  const shared = {
    credentials: { username: 'ann', password: 'opensesame', registry: registry.host },
    options: { trace: true },
  }
  const other = Promise.withResolvers<void>()
  registry.fail({ method: 'PUT', path: /^\/v2\/team\/nemo\/manifests\// }, { kind: 'hold', until: other.promise })
  const { id } = await system.publish(FIXTURES.nemoAmd64, `oci://${registry.host}/team`, shared)
  await waitFor('its manifest to be on its way', () =>
    registry.requests.some(({ method, path }) => method === 'PUT' && path.includes('/manifests/')),
  )
  const hidden = await succeeded(system, system.publish(FIXTURES.fleet, `oci://${registry.host}/secret`, shared))
  other.resolve()
  await succeeded(system, system.queue.get(id) as Promise<Job>)
  const askedFor = async (job: string) => {
    const { requests } = await system.queue.trace(job)
    return requests
      .filter(({ op }) => op === 'get a token')
      .map(({ url }) => new URL(url).searchParams.get('scope') ?? '')
  }
  const [own, theirs] = [await askedFor(id), await askedFor(hidden.id)]
  assert.ok(own.length > 0 && own.every((scope) => scope.startsWith('repository:team/nemo:')), own.join(' '))
  assert.ok(
    theirs.length > 0 && theirs.every((scope) => scope.startsWith('repository:secret/fleet:')),
    theirs.join(' '),
  )
})
