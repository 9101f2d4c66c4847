import assert from 'node:assert/strict'
import { glob, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { parseDigest } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { type DockerRegistry, registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { buildPackage, type BuiltPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { startTokenServer, type TokenServer } from '../helpers/registries/token-server.ts'
import { startZot } from '../helpers/registries/zot.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const LAYERS = 3
/** Layers and everything else that is large enough to be known of. */
const LARGE = LAYERS * MIB

const build = (folder: string, options: Parameters<typeof buildPackage>[1] = {}) =>
  buildPackage(folder, { layers: LAYERS, layerBytes: MIB, ...options })

async function setUp(t: TestContext, options: Parameters<typeof build>[1] = {}) {
  const folder = await tempDir(t)
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  return { system, built: await build(folder, options) }
}

async function succeeded(system: JobSystem, started: Promise<Job>): Promise<Job> {
  const job = await system.ended((await started).id)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assertStreamInvariants(await system.log(job.id))
  return job
}

const ann = (registry: string) => ({ registry, username: 'ann', password: 'secret of ann' })

interface Asked {
  mount: string | null
  from: string | null
  status: number
}

/** The POSTs of a registry's access log that ask for a mount. */
function mounts(registry: DockerRegistry): Asked[] {
  const lines = registry.logs().matchAll(/"POST (\S+\?\S*mount=\S*) HTTP\/1\.1" (\d+)/g)
  return [...lines].map(([, target = '', status]) => {
    const { searchParams } = new URL(target, 'http://registry')
    return { mount: searchParams.get('mount'), from: searchParams.get('from'), status: Number(status) }
  })
}

for (const program of registryPrograms()) {
  describe(`mounting in ${program}`, () => {
    for (const format of ['tar', 'tar.zst'] as const) {
      test(`what an earlier job published elsewhere, a ${format} does not send again`, async (t) => {
        const { system, built } = await setUp(t, { format })
        const tokens = await startTokenServer(t, { users: { ann: 'secret of ann' } })
        const registry = await startDockerRegistry(t, { program, token: tokens })
        const credentials = ann(registry.host)
        const first = await succeeded(system, system.publish(built.path, `${registry.host}/one`, { credentials }))
        assert.equal(first.progress.bytesMounted, 0)
        const second = await succeeded(system, system.publish(built.path, `${registry.host}/two`, { credentials }))
        assert.equal(second.progress.bytesMounted, LARGE)
        assert.equal(second.progress.layers.mounted, LAYERS)
        assert.ok(second.progress.wireBytes < 64 * 1024, `${second.progress.wireBytes} bytes on the wire`)
        const { items } = await system.queue.transfers(second.id, { size: 100 })
        const large = items.filter(({ size }) => size === MIB)
        assert.deepEqual(
          large.map(({ state, bytesDone }) => [state, bytesDone]),
          large.map(() => ['mounted', MIB]),
        )
        assert.equal(second.result?.digest, first.result?.digest)
        const both = ['repository:two/sample:pull,push', 'repository:one/sample:pull']
        assert.equal(scopesAsked(tokens).filter((scopes) => scopes === both.join(' ')).length, 1)
      })
    }

    test('a blob that is gone there costs one refused request, its session is used, and it is forgotten', async (t) => {
      const { system, built } = await setUp(t)
      const registry = await startDockerRegistry(t, { program })
      await succeeded(system, system.publish(built.path, `${registry.host}/one`))
      await rm(join(registry.storage, 'docker/registry/v2/repositories/one'), { recursive: true })
      await registry.restart()
      const second = await succeeded(system, system.publish(built.path, `${registry.host}/two`))
      assert.equal(second.progress.bytesMounted, 0)
      assert.deepEqual(
        mounts(registry)
          .filter(({ from }) => from === 'one/sample')
          .map(({ status }) => status),
        Array.from({ length: LAYERS }, () => 202),
      )
      const layer = asDigest(built, MIB)
      assert.deepEqual((await system.places.find(registry.host, [layer])).get(layer), ['two/sample'])
      assert.deepEqual(await openSessions(registry), [])
    })

    test('from a repository that the credentials may not read nothing is mounted, and it is asked once', async (t) => {
      const { system, built } = await setUp(t)
      const tokens = await startTokenServer(t, {
        users: { ann: 'secret of ann', bob: 'secret of bob' },
        rights: (user, repository) => user === 'ann' || (user === 'bob' && !repository.startsWith('one/')),
      })
      const registry = await startDockerRegistry(t, { program, token: tokens })
      await succeeded(system, system.publish(built.path, `${registry.host}/one`, { credentials: ann(registry.host) }))
      const credentials = { registry: registry.host, username: 'bob', password: 'secret of bob' }
      const options = { concurrency: 1 }
      const second = await succeeded(
        system,
        system.publish(built.path, `${registry.host}/two`, { credentials, options }),
      )
      assert.equal(second.progress.bytesMounted, 0)
      assert.ok(second.progress.bytesSent >= LARGE)
      const refused = mounts(registry).filter(({ status }) => status === 401)
      assert.equal(new Set(refused.map(({ mount }) => mount)).size, 1)
      assert.equal((await system.places.find(registry.host, [asDigest(built, MIB)])).size, 1, 'it is not stale')
    })

    for (const format of ['tar', 'tar.zst'] as const) {
      test(`of many small layers in a ${format}, one request tells what is there and opens the session`, async (t) => {
        const layers = 60
        const { system, built } = await setUp(t, { format, layers, layerBytes: 2048 })
        const registry = await startDockerRegistry(t, { program })
        // The first one shows what the registry makes of it.
        await succeeded(system, system.publish(built.path, `${registry.host}/one`))
        const count = () => ({
          asked: [...registry.logs().matchAll(/"HEAD \/v2\/two\/\S+\/blobs\/\S+ HTTP/g)].length,
          mounts: mounts(registry).filter(({ from, status }) => from === 'two/sample' && status === 202).length,
          commits: [...registry.logs().matchAll(/"PUT \S+digest=\S+ HTTP/g)].length,
        })
        const first = await succeeded(system, system.publish(built.path, `${registry.host}/two`))
        const sent = count()
        assert.deepEqual(await openSessions(registry), [])
        assert.equal(first.progress.bytesSent, first.progress.bytesTotal)
        assert.ok(sent.asked + sent.mounts >= layers && sent.mounts > layers / 2, JSON.stringify(sent))
        const second = await succeeded(system, system.publish(built.path, `${registry.host}/two`))
        assert.equal(second.progress.bytesSkipped, second.progress.bytesTotal)
        assert.equal(count().commits, sent.commits)
        assert.equal(second.result?.digest, first.result?.digest)
      })
    }

    test('a pull teaches where blobs are', async (t) => {
      const { system, built } = await setUp(t)
      const registry = await startDockerRegistry(t, { program })
      await publishTo(t, built.path, parseDestination(`${registry.host}/one`))
      await succeeded(system, system.pull(`oci://${registry.host}/one/sample:1.0.0`))
      const second = await succeeded(system, system.publish(built.path, `${registry.host}/two`))
      assert.equal(second.progress.bytesMounted, LARGE)
    })

    test('the same package in another namespace is asked for what is known nowhere', async (t) => {
      const { system, built } = await setUp(t)
      const registry = await startDockerRegistry(t, { program })
      await publishTo(t, built.path, parseDestination(`${registry.host}/staging`))
      await system.places.learn({ registry: registry.host, repository: 'production/unrelated' }, [])
      await system.places.learn({ registry: registry.host, repository: 'staging/sample' }, [])
      const job = await succeeded(system, system.publish(built.path, `${registry.host}/production`))
      assert.equal(job.progress.bytesMounted, LARGE)
      assert.ok(mounts(registry).every(({ from, status }) => from === 'staging/sample' && status === 201))
    })
  })
}

test('a registry that finds blobs by itself is asked to, without a word of where (zot)', async (t) => {
  const { system, built } = await setUp(t)
  await using registry = await startMemoryRegistry({ mount: 'anywhere' })
  await publishTo(t, built.path, parseDestination(`${registry.host}/never-heard-of/other`))
  const job = await succeeded(system, system.publish(built.path, `${registry.host}/two`))
  assert.equal(job.progress.bytesMounted, LARGE)
  const asked = registry.requests.filter(({ query }) => query.has('mount'))
  assert.ok(asked.every(({ query, status }) => query.get('from') === null && status === 201))
})

test('zot links what it has anywhere, at the question whether a blob is there already', async (t) => {
  if (skipWithout(t, 'zot')) return
  const { system, built } = await setUp(t)
  const zot = await startZot(t)
  await publishTo(t, built.path, parseDestination(`${zot.host}/never-heard-of/other`))
  const job = await succeeded(system, system.publish(built.path, `${zot.host}/two`))
  assert.equal(job.progress.wireBytes, 0)
  const blob = testBlob(someBytes(2 * MIB))
  const [from, to] = [await openRepository(t, zot.host), await openRepository(t, zot.host, { repository: 'test/to' })]
  await from.push(blob.descriptor, blob.open, { signal })
  const told = recorder()
  const mountFrom = [{ repository: undefined }]
  await to.push(blob.descriptor, () => assert.fail('no byte is needed'), { signal, mountFrom, onEvent: told.onEvent })
  assert.deepEqual(told.events, [{ type: 'mounted', from: undefined }])
})

test('many small layers that are known nowhere cost no request for a mount from elsewhere', async (t) => {
  const folder = await tempDir(t)
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const built = await buildPackage(folder, { layers: 300, layerBytes: 2048 })
  await using registry = await startMemoryRegistry()
  await system.places.learn({ registry: registry.host, repository: 'other/sample' }, [])
  await succeeded(system, system.publish(built.path, `${registry.host}/two`))
  const asked = registry.requests.flatMap(({ query }) => (query.has('mount') ? [query.get('from')] : []))
  assert.deepEqual([...new Set(asked)], ['two/sample'])
})

test('when all guesses are wrong they cost no request more than sending does', async (t) => {
  const { system, built } = await setUp(t, { layers: 12 })
  await using registry = await startMemoryRegistry()
  for (const name of ['other/sample', 'two/first', 'two/second']) {
    await system.places.learn({ registry: registry.host, repository: name }, [])
  }
  const job = await succeeded(
    system,
    system.publish(built.path, `${registry.host}/two`, { options: { concurrency: 1 } }),
  )
  assert.equal(job.progress.bytesMounted, 0)
  const posts = registry.requests.filter(({ method }) => method === 'POST')
  const sent = registry.requests.filter(({ method, bodyBytes }) => method === 'PUT' && bodyBytes > 0)
  const blobs = sent.length - 2
  // The session that proves the right to push may be one more than is used.
  assert.ok(posts.length <= blobs + 1, `${posts.length} POSTs for ${blobs} blobs`)
  const froms = new Set(posts.flatMap(({ query }) => (query.has('mount') ? [query.get('from')] : [])))
  assert.deepEqual([...froms], ['other/sample', 'two/second', null])
  assert.equal(registry.openSessions, 0)
})

function scopesAsked({ requests }: TokenServer): string[] {
  return requests.map(({ scopes }) => scopes.join(' '))
}

function asDigest({ files }: BuiltPackage, size: number) {
  const found = files.find((file) => file.size === size)
  assert.ok(found)
  return parseDigest(found.digest)
}

/** Upload sessions that lie in a registry's storage. */
async function openSessions(registry: DockerRegistry): Promise<string[]> {
  return Array.fromAsync(glob('docker/registry/v2/repositories/**/_uploads/*', { cwd: registry.storage }))
}
