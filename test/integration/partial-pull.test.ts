import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Problem } from '../../src/http/schemas/types.ts'
import type { JobOptions } from '../../src/jobs/model/job-options.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, readPackage } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { post } from '../helpers/streams/http-jobs.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
const SIGNED = { path: FIXTURES.signedNemo, published: 'signedNemo', architecture: 'amd64' } as const
const DIGEST = digestOf(publishedManifest('nemo'))
const [ANCHOR, DIVER, COMPASS] = ['anchor', 'diver', 'compass'].map((name) => `localhost:5601/apps/${name}:1.0`)
const READ_BY = ['checksums.txt', 'zarf.yaml']
const INDEXED_BY = ['images/index.json', 'images/oci-layout']

/** A worker, an API over the same store, and a registry with nemo. */
async function bed(t: TestContext) {
  await using stack = new AsyncDisposableStack()
  const registry = stack.use(await startMemoryRegistry())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  await fillRegistry(registry, { repository: 'signed/nemo', tag: '1.2.0' }, [SIGNED])
  const folder = await tempDir(t, 'pulled')
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const server = await startApp(t, { store: system.store, kinds: new Set(['pull']) })
  const { app } = server
  const kept = stack.move()
  t.after(() => kept.disposeAsync())
  const pull = async (options: JobOptions, { destination = 'store:', from = 'team/nemo' } = {}) => {
    const source = `oci://${registry.host}/${from}:1.2.0`
    const { id } = await system.pull(source, { destination, options: { architecture: 'amd64', ...options } })
    return await system.ended(id)
  }
  const pulled = async (...call: Parameters<typeof pull>) => {
    const job = await pull(...call)
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    return job
  }
  const stored = async () => {
    const { items } = (await app.inject('/v1/packages')).json<{ items: StoredAnswer[] }>()
    return items
  }
  /** Titles of the archive's files. */
  const archive = async (query: string) => {
    const answer = await app.inject(`/v1/packages/${DIGEST}/archive${query}`)
    if (answer.statusCode !== 200) return answer.json<Problem & { details: { missing: string[] } }>()
    const path = join(await tempDir(t), 'zarf-package-nemo-amd64-1.2.0.tar.zst')
    await writeFile(path, answer.rawPayload)
    return titlesOf(path)
  }
  return { registry, system, app, server, folder, pull, pulled, stored, archive }
}

interface StoredAnswer {
  digest: string
  complete: boolean
  components: string[]
  images?: string[]
}

/** Of a part, which is no package that could be opened as one. */
function titlesOf(path: string): string[] {
  return execFileSync('tar', ['--zstd', '-tf', path], { encoding: 'utf8' }).trim().split('\n').toSorted()
}

test('images alone come with what reads the package; the archive of a part is served, that of the whole is not', async (t) => {
  const { pulled, stored, archive, system, registry } = await bed(t)
  const job = await pulled({ images: ['*/apps/compass:*'] })
  assert.equal(job.result?.layers, 8)
  assert.deepEqual(await stored().then(shown), [{ complete: false, components: [], images: [COMPASS] }])
  const titles = await archive('?images=localhost:5601/apps/compass:1.0')
  assert.ok(Array.isArray(titles))
  assert.deepEqual(
    titles.filter((title) => !title.startsWith('images/blobs/')),
    [...READ_BY, ...INDEXED_BY].toSorted(),
  )
  assert.equal(titles.length, 8)
  for (const query of ['', '?components=', `?images=${DIVER}`, `?images=${COMPASS},${DIVER}`]) {
    const refused = await archive(query)
    assert.ok(!Array.isArray(refused))
    assert.deepEqual([refused.code, refused.details.missing.length > 0], ['PACKAGE_INCOMPLETE', true], query)
  }
  const there = await system.publish('', `oci://${registry.host}/copies`, { source: `store:${DIGEST}` })
  assert.equal((await system.ended(there.id)).error?.code, 'PACKAGE_INCOMPLETE')
})

test('parts come together, and a whole pull makes the package whole', async (t) => {
  const { pulled, stored, archive, registry } = await bed(t)
  await pulled({ metadataOnly: true })
  assert.deepEqual(await stored().then(shown), [{ complete: false, components: [], images: [] }])
  assert.deepEqual(await archive('?metadataOnly=true'), READ_BY)
  await pulled({ components: ['instruments'], images: [] })
  const without = await archive('?components=instruments&images=')
  assert.deepEqual(without, [...READ_BY, 'components/instruments.tar', 'components/vessel.tar'].toSorted())
  for (const image of [DIVER, COMPASS]) await pulled({ images: [image ?? ''] })
  assert.deepEqual(await stored().then(shown), [
    { complete: false, components: ['vessel', 'instruments'], images: [DIVER, COMPASS] },
  ])
  registry.requests.length = 0
  const { progress } = await pulled({})
  const fetched = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
  // The two that are read for the plan, and what no part has brought.
  const { total, skipped } = progress.layers
  assert.equal(fetched.length, 2 + (total ?? 0) - skipped)
  assert.ok(skipped > 8)
  const [whole] = await stored()
  assert.deepEqual([whole?.complete, whole?.images?.toSorted()], [true, [ANCHOR, COMPASS, DIVER]])
  assert.deepEqual(await archive(''), [...(await readPackage(FIXTURES.nemoAmd64)).files.keys()].toSorted())
})

test('metadata of a signed package bring its signature, and no layer beside', async (t) => {
  const { pulled, registry, folder } = await bed(t)
  registry.requests.length = 0
  await pulled({ metadataOnly: true }, { from: 'signed/nemo', destination: `file:${folder}/` })
  const fetched = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
  assert.equal(fetched.length, 4, 'with the config')
  const [name = '', ...others] = await readdir(folder)
  assert.deepEqual([name, others], ['zarf-package-nemo-amd64-1.2.0.tar.zst', []])
  assert.deepEqual(titlesOf(join(folder, name)), ['checksums.txt', 'zarf.bundle.sig', 'zarf.yaml'])
})

test('images go into a folder as well, and leave nothing in the store', async (t) => {
  const { pulled, folder, stored, system } = await bed(t)
  const job = await pulled({ images: [ANCHOR ?? ''] }, { destination: `file:${folder}/` })
  assert.equal(titlesOf(job.result?.path ?? '').length, job.result?.layers)
  assert.deepEqual([await stored(), (await system.store.space()).usedBytes], [[], 0])
})

test('an unknown image fails the job with those there are, and nothing of the package is fetched for it', async (t) => {
  const { pull, stored, registry } = await bed(t)
  registry.requests.length = 0
  const job = await pull({ images: ['nginx'] })
  assert.deepEqual([job.state, job.error?.code], ['failed', 'IMAGES_INVALID'])
  assert.match(job.error?.hint ?? '', /^Choose from: localhost:5601\/apps\/anchor:1\.0, /)
  assert.equal(registry.requests.filter(({ path }) => path.includes('/blobs/')).length, 2)
  assert.deepEqual(await stored(), [])
})

test('metadata alone and a choice exclude each other, in a job and in an archive', async (t) => {
  const { app, server, registry } = await bed(t)
  for (const [name, value] of [
    ['images', ['nginx']],
    ['components', []],
  ] as const) {
    const source = `oci://${registry.host}/team/nemo:1.2.0`
    const refused = await post(server, { kind: 'pull', source, options: { metadataOnly: true, [name]: value } })
    const problem = refused.json<Problem & { errors: Array<{ pointer: string }> }>()
    assert.deepEqual(
      [refused.statusCode, problem.code, problem.errors[0]?.pointer],
      [400, 'BODY_INVALID', `/options/${name}`],
    )
  }
  const archive = await app.inject(`/v1/packages/${DIGEST}/archive?metadataOnly=true&images=nginx`)
  assert.equal(archive.json<Problem>().code, 'REQUEST_INVALID')
})

function shown(items: readonly StoredAnswer[]) {
  return items.map(({ complete, components, images }) => ({ complete, components, images }))
}
