import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { digestOf, parseDigest } from '../../src/content/digest.ts'
import { OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { Problem } from '../../src/http/schemas/types.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { bufferOpener } from '../../src/content/streams.ts'
import { dryRunBed } from '../helpers/packages/dry-runs.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { planPublishTo, publishTo } from '../helpers/packages/publishing.ts'
import { fillRegistry, putIndex } from '../helpers/packages/pulling.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { memorySessions, openRepository } from '../helpers/registries/oci-client.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { post } from '../helpers/streams/http-jobs.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
const NEMO_ARM = { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' }
const AMD64 = digestOf(publishedManifest('nemo'))
const MIB = 1024 * 1024
const KEY = readFileSync(FIXTURES.signedNemoKey, 'utf8')

const codes = (problems: ReadonlyArray<{ code: string }>) => problems.map(({ code }) => code)

for (const format of ['tar.zst', 'tar'] as const) {
  test(`a publish of a ${format} says what it would send, and then sends just that`, async (t) => {
    const { folder, registry, plan, run, system } = await dryRunBed(t)
    const there = await registry()
    const built = await buildPackage(folder, { layers: 3, layerBytes: 300_000, format })
    const [source, to] = [`file:${built.path}`, `oci://${there.host}/team`]
    const { job, plan: first } = await plan('publish', source, to)
    assert.deepEqual([first.blobsThere, first.blobsToMount, first.fits, first.problems], [0, 0, true, []])
    assert.deepEqual([job.result?.layers, job.result?.bytes], [built.files.length, first.bytes])
    const said = (await system.log(job.id)).flatMap((event) => (event.type === 'log' ? [event.message] : []))
    assert.deepEqual(said, [`dry run: publishing to oci://${there.host}/team/sample:1.0.0`])
    const published = await run('publish', source, to)
    assert.equal(published.state, 'succeeded')
    for (const name of ['reference', 'digest', 'architecture', 'layers', 'bytes'] as const) {
      assert.equal(job.result?.[name], published.result?.[name], name)
    }
    assert.equal(published.progress.bytesSent, first.bytesToMove)
    const { plan: again } = await plan('publish', source, to)
    assert.deepEqual([again.bytesToMove, again.bytesThere, again.blobsThere], [0, first.bytes, first.blobs])
  })
}

test('a bundle is planned as a package is, both ways, and a part of one is a problem of the request', async (t) => {
  const { folder, registry, plan, run } = await dryRunBed(t)
  const there = await registry()
  await copyFile(FIXTURES.armadaBundle, join(folder, basename(FIXTURES.armadaBundle)))
  const [source, to] = [`file:${join(folder, basename(FIXTURES.armadaBundle))}`, `oci://${there.host}/uds`]
  const { job, plan: first } = await plan('publish', source, to)
  assert.deepEqual([first.blobsThere, first.fits, first.problems], [0, true, []])
  const published = await run('publish', source, to)
  for (const name of ['reference', 'digest', 'architecture', 'name', 'packages', 'layers', 'bytes'] as const) {
    assert.deepEqual(job.result?.[name], published.result?.[name], name)
  }
  assert.equal(published.progress.bytesSent, first.bytesToMove)
  const { plan: pull } = await plan('pull', `${to}/armada:0.2.0`, 'store:')
  assert.deepEqual([pull.bytesToMove, pull.fits, pull.problems], [first.bytes, true, []])
  const part = await run('pull', `${to}/armada:0.2.0`, 'store:', { metadataOnly: true })
  assert.deepEqual([part.state, part.error?.code], ['failed', 'COMPONENTS_INVALID'])
})

test('a publish knows where its layers could be mounted from, and asks there whether they still are', async (t) => {
  const { folder, registry, plan, run, system } = await dryRunBed(t)
  const there = await registry()
  const built = await buildPackage(folder, { layers: 2, layerBytes: MIB })
  const source = `file:${built.path}`
  assert.equal((await run('publish', source, `oci://${there.host}/team`)).state, 'succeeded')
  const { plan: found } = await plan('publish', source, `oci://${there.host}/other`)
  assert.deepEqual([found.blobsToMount, found.bytesToMount, found.mountFrom], [2, 2 * MIB, ['team/sample']])
  const [layer = ''] = built.files.flatMap(({ size, digest }) => (size === MIB ? [digest] : []))
  there.deleteBlob('team/sample', layer)
  const { plan: less } = await plan('publish', source, `oci://${there.host}/other`)
  assert.deepEqual([less.blobsToMount, less.bytesToMount], [1, MIB])
  // The place is one that a publish may still try.
  const places = await system.places.find(there.host, [parseDigest(layer)])
  assert.deepEqual([...places.values()].flat(), ['team/sample'])
})

test('what would fail a publish is told as problems beside the plan', async (t) => {
  const { folder, registry, plan } = await dryRunBed(t)
  const there = await registry()
  const built = await buildPackage(folder, { layers: 1, layerBytes: 100_000 })
  const source = `file:${built.path}`
  there.manifests.put('team/sample', '1.0.0', OCI_MANIFEST, publishedManifest('nemo'))
  const { plan: taken } = await plan('publish', source, `oci://${there.host}/team`)
  assert.deepEqual(codes(taken.problems), ['TAG_NOT_INDEX'])
  assert.match(taken.problems[0]?.hint ?? '', /Choose another tag/)
  assert.ok(taken.bytesToMove > 100_000)
  const { plan: nowhere } = await plan('publish', source, `oci://${there.host}/team`, { tag: 'x', subject: 'gone' })
  assert.deepEqual(codes(nowhere.problems), ['MANIFEST_NOT_FOUND'])
  const closed = await registry({ basic: { username: 'ann', password: 'secret' } })
  const wide = await buildPackage(folder, { name: 'wide', layers: 40, layerBytes: 100 })
  const { plan: denied } = await plan('publish', `file:${wide.path}`, `oci://${closed.host}/team`)
  assert.deepEqual([codes(denied.problems), denied.blobsToMove], [['REGISTRY_UNAUTHORIZED'], denied.blobs])
  const asked = closed.requests.filter(({ path }) => path.includes('/blobs/'))
  assert.ok(asked.length < 20, 'who may not look is not asked again and again')
  const { plan: unsigned } = await plan('publish', source, `oci://${there.host}/else`, { verify: { key: KEY } })
  assert.deepEqual(codes(unsigned.problems), ['SIGNATURE_MISSING'])
})

test('a package without a version is planned all the same, and a manifest that is too large does not fit', async (t) => {
  const { folder, registry, plan } = await dryRunBed(t)
  const there = await registry()
  const bare = await buildPackage(join(folder), {
    name: 'bare',
    version: '',
    layers: 1,
    layerBytes: 1000,
    format: 'tar',
  })
  const { plan: found, job } = await plan('publish', `file:${bare.path}`, `oci://${there.host}/team`)
  assert.deepEqual(
    [codes(found.problems), job.result?.reference],
    [['PACKAGE_VERSION_MISSING'], `oci://${there.host}/team/bare`],
  )
  const long = Array.from({ length: 1100 }, (_, at) => [`images/${'a'.repeat(3900)}${at}`, `${at}`])
  const many = await buildPackage(folder, { name: 'many', layers: 0, files: Object.fromEntries(long) })
  const { plan: large } = await plan('publish', `file:${many.path}`, `oci://${there.host}/team`)
  assert.deepEqual([large.fits, codes(large.problems)], [false, ['MANIFEST_TOO_LARGE']])
})

test('an upload that another run has begun is left to it, though the blob is there by now', async (t) => {
  await using registry = await startMemoryRegistry()
  const built = await buildPackage(await tempDir(t), { layers: 1, layerBytes: 3 * MIB, format: 'directory' })
  const layer = built.files.find(({ size }) => size === 3 * MIB)
  assert.ok(layer)
  registry.putBlob('team/sample', await readFile(join(built.path, layer.path)))
  const sessions = memorySessions()
  const key = { registry: registry.host, repository: 'team/sample', digest: parseDigest(layer.digest) }
  const location = `http://${registry.host}/v2/team/sample/blobs/uploads/begun`
  await sessions.save(key, { location, offset: MIB, size: layer.size, startedAt: 1 })
  const client = { repository: (host: string, repository: string) => openRepository(t, host, { repository, sessions }) }
  const to = parseDestination(`${registry.host}/team`)
  const { outcome } = await planPublishTo(t, built.path, to, { client })
  assert.deepEqual([outcome.plan.blobsThere, sessions.saved.size], [1, 1])
  assert.ok(registry.requests.every(({ method }) => method === 'HEAD' || method === 'GET'))
  await publishTo(t, built.path, to, { client })
  assert.ok(registry.requests.some(({ method, path }) => method === 'DELETE' && path.endsWith('/begun')))
})

test('a pull says what the store has, what would come, and whether it fits', async (t) => {
  const { registry, plan, run, folder } = await dryRunBed(t, { storeMaxBytes: 60_000 })
  const from = await registry()
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO, NEMO_ARM])
  const source = `oci://${from.host}/team/nemo:1.2.0`
  const { plan: whole, job } = await plan('pull', source, 'store:', { architecture: 'amd64' })
  assert.deepEqual([job.result?.digest, job.result?.archive, job.result?.path], [AMD64, undefined, undefined])
  assert.deepEqual([whole.fits, codes(whole.problems)], [false, ['STORE_FULL']])
  const options = { architecture: 'amd64', metadataOnly: true }
  const { plan: part } = await plan('pull', source, 'store:', options)
  assert.deepEqual([part.fits, part.blobsThere, part.problems], [true, 0, []])
  const pulled = await run('pull', source, 'store:', options)
  assert.deepEqual([pulled.state, pulled.progress.bytesTotal], ['succeeded', part.bytesToMove])
  const { plan: rest } = await plan('pull', source, 'store:', { architecture: 'amd64' })
  assert.deepEqual([rest.bytesThere, rest.blobsThere], [part.bytes, part.blobs])
  const { plan: again } = await plan('pull', source, 'store:', options)
  assert.deepEqual([again.bytesToMove, again.fits], [0, true])
  const { plan: archived } = await plan('pull', source, `file:${join(folder, 'new', 'deep')}/`, options)
  assert.deepEqual([archived.bytesThere, archived.fits], [part.bytes, true])
})

test('a pull counts as room what nobody refers to any more, and leaves it', async (t) => {
  const { registry, plan, system } = await dryRunBed(t, { storeMaxBytes: 6 * MIB })
  const from = await registry()
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  const lost = Buffer.alloc(5 * MIB, 'x')
  const blob = { mediaType: 'x/y', digest: digestOf(lost), size: lost.length }
  await system.store.push(blob, bufferOpener(lost), { signal: new AbortController().signal })
  const { plan: found } = await plan('pull', `oci://${from.host}/team/nemo:1.2.0`, 'store:', { architecture: 'amd64' })
  assert.ok(found.bytes > MIB)
  assert.deepEqual([found.fits, codes(found.problems)], [true, []])
  const lease = await system.store.lease([blob])
  const { plan: held } = await plan('pull', `oci://${from.host}/team/nemo:1.2.0`, 'store:', { architecture: 'amd64' })
  assert.deepEqual([held.fits, held.problems[0]?.retryable], [false, true])
  await lease[Symbol.asyncDispose]()
})

test('a pull into a folder meets the file that is there', async (t) => {
  const { registry, plan, folder } = await dryRunBed(t)
  const from = await registry()
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  await mkdir(join(folder, 'out'))
  await writeFile(join(folder, 'out', basename(FIXTURES.nemoAmd64)), 'mine')
  const source = `oci://${from.host}/team/nemo:1.2.0`
  const to = `file:${folder}/out/`
  const { plan: found } = await plan('pull', source, to, { architecture: 'amd64' })
  assert.deepEqual([codes(found.problems), found.fits], [['PACKAGE_EXISTS'], true])
  const { plan: replaced } = await plan('pull', source, to, { architecture: 'amd64', overwrite: true })
  assert.deepEqual(replaced.problems, [])
  const { plan: unsigned } = await plan('pull', source, 'store:', {
    architecture: 'amd64',
    verify: { key: KEY },
  })
  assert.deepEqual(codes(unsigned.problems), ['SIGNATURE_MISSING'])
})

test('what another repository of the registry gave is there for a pull, and nothing is noted of that', async (t) => {
  const { registry, plan, run } = await dryRunBed(t)
  const from = await registry()
  for (const repository of ['team/nemo', 'other/nemo']) await fillRegistry(from, { repository, tag: '1.2.0' }, [NEMO])
  assert.equal((await run('pull', `oci://${from.host}/team/nemo:1.2.0`, 'store:', {})).state, 'succeeded')
  const { plan: found } = await plan('pull', `oci://${from.host}/other/nemo:1.2.0`, 'store:')
  assert.deepEqual([found.blobsThere, found.bytesToMove], [found.blobs, 0])
})

test('a copy says what would go, and of one inside a registry that it may be mounted', async (t) => {
  const { registry, plan, run } = await dryRunBed(t)
  const [from, there] = [await registry(), await registry()]
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO, NEMO_ARM])
  const source = `oci://${from.host}/team/nemo:1.2.0`
  const { plan: all, job } = await plan('copy', source, `oci://${there.host}/copies`)
  assert.deepEqual([all.fits, all.problems, all.blobsThere], [null, [], 0])
  assert.deepEqual(
    [job.result?.digest, job.result?.architectures],
    [digestOf(publishedIndex('nemo')), ['amd64', 'arm64']],
  )
  assert.deepEqual(job.result?.plan?.bytes, job.result?.bytes)
  await run('copy', source, `oci://${there.host}/copies`, { architectures: ['amd64'] })
  const { plan: rest } = await plan('copy', source, `oci://${there.host}/copies`)
  assert.ok(rest.blobsThere > 0 && rest.blobsToMove > 0)
  const { plan: inside } = await plan('copy', source, `oci://${from.host}/copies`)
  assert.deepEqual([inside.bytesToMount, inside.mountFrom], [inside.bytes, ['team/nemo']])
})

test('a copy of many tags says which it would bring, and what would fail it', async (t) => {
  const { registry, plan, run } = await dryRunBed(t)
  const [from, there] = [await registry(), await registry()]
  for (const tag of ['1.2.0', '1.3.0', '2.0.0'])
    await fillRegistry(from, { repository: 'team/nemo', tag }, [NEMO, NEMO_ARM])
  await run('copy', `oci://${from.host}/team/nemo:1.2.0`, `oci://${there.host}/copies`)
  const source = `oci://${from.host}/team/nemo`
  const { job, plan: found } = await plan('copy', source, `oci://${there.host}/copies`, { tags: ['1.*'] })
  assert.deepEqual([job.result?.tags, job.result?.tagsThere], [['1.3.0'], 1])
  assert.equal(found.bytesToMove, 0)
  putBare(there)
  const { plan: taken } = await plan('copy', `${source}:2.0.0`, `oci://${there.host}/copies`)
  assert.deepEqual(codes(taken.problems), ['TAG_NOT_INDEX'])
})

test('what nobody can plan fails the job: a package, a reference or an architecture that is not there', async (t) => {
  const { registry, run, folder } = await dryRunBed(t)
  const from = await registry()
  putIndex(from, { repository: 'team/nemo', tag: '1' }, [{ digest: AMD64, size: 10, architecture: 'amd64' }])
  const ended = async (...call: Parameters<typeof run>) => (await run(...call)).error?.code
  const to = `oci://${from.host}/copies`
  const options = { dryRun: true }
  assert.equal(await ended('copy', `oci://${from.host}/team/nope:1`, to, options), 'MANIFEST_NOT_FOUND')
  assert.equal(
    await ended('pull', `oci://${from.host}/team/nemo:1`, 'store:', { ...options, architecture: 'arm64' }),
    'ARCHITECTURE_NOT_FOUND',
  )
  const path = join(folder, 'zarf-package-broken-amd64-1.0.0.tar.zst')
  await copyFile(FIXTURES.nemoAmd64, path)
  await writeFile(path, 'no zstd', { flag: 'r+' })
  assert.match((await ended('publish', `file:${path}`, to, options)) ?? '', /^PACKAGE_/)
  await rm(path)
})

function putBare(registry: MemoryRegistry): void {
  registry.manifests.put('copies/nemo', '2.0.0', OCI_MANIFEST, publishedManifest('nemo'))
}

test('a dry run makes no signature, and says so before there is a job', async (t) => {
  const server = await startApp(t, { kinds: new Set(['copy']) })
  const body = { kind: 'copy', source: 'oci://a.example/team/nemo:1', destination: 'oci://b.example/team' }
  const refused = await post(server, { ...body, options: { dryRun: true, sign: { keyRef: 'release' } } })
  const { code, errors } = refused.json<Problem & { errors: Array<{ pointer: string }> }>()
  assert.deepEqual([refused.statusCode, code, errors[0]?.pointer], [400, 'BODY_INVALID', '/options/sign'])
})
