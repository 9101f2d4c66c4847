import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestHex, digestOf, parseDigest } from '../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedConfig, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { NO_JOB } from '../helpers/streams/http-jobs.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { fillRegistry, pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
const DIGEST = digestOf(publishedManifest('nemo'))

/** An API whose store holds nemo, pulled as a worker would. */
async function withNemo(t: TestContext, chosen: { components?: readonly string[]; holder?: string } = {}) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  const started = await startApp(t)
  const reference = `${registry.host}/team/nemo:1.2.0`
  await pullFrom(t, reference, { architecture: 'amd64', store: started.store, ...chosen })
  return { ...started, registry, reference, url: `/v1/packages/${DIGEST}` }
}

test('the archive comes whole, and HEAD says how long it is', async (t) => {
  const { app, url } = await withNemo(t)
  const head = await app.inject({ method: 'HEAD', url: `${url}/archive` })
  const whole = await app.inject(`${url}/archive`)
  assert.deepEqual([head.statusCode, head.rawPayload.length, whole.statusCode], [200, 0, 200])
  for (const name of ['content-length', 'etag', 'accept-ranges', 'content-type', 'content-disposition']) {
    assert.equal(head.headers[name], whole.headers[name], name)
  }
  assert.equal(Number(head.headers['content-length']), whole.rawPayload.length)
  assert.equal(head.headers['etag'], `"${DIGEST}-1"`)
  assert.equal(head.headers['content-type'], 'application/zstd')
  const [, name = ''] = /^attachment; filename="([^"]+)"$/.exec(String(head.headers['content-disposition'])) ?? []
  assert.equal(name, 'zarf-package-nemo-amd64-1.2.0.tar.zst')
  const path = join(await tempDir(t), name)
  await writeFile(path, whole.rawPayload)
  const found = await readPackage(path)
  assert.equal(found.contents.manifest.digest, DIGEST)
  const expected = (await readPackage(FIXTURES.nemoAmd64)).files
  assert.deepEqual([...found.files.keys()].toSorted(), [...expected.keys()].toSorted())
})

test('any range is the same bytes, several at once too, and one past the end is told the size', async (t) => {
  const { app, url } = await withNemo(t)
  const whole = (await app.inject(`${url}/archive`)).rawPayload
  const size = whole.length
  const range = (value: string, more = {}) => app.inject({ url: `${url}/archive`, headers: { range: value, ...more } })
  const cases: Array<[string, number, number]> = [
    ['bytes=0-0', 0, 1],
    ['bytes=0-99', 0, 100],
    ['bytes=131070-131080', 131_070, 131_081],
    [`bytes=${size - 1}-`, size - 1, size],
    ['bytes=-7', size - 7, size],
    [`bytes=${size - 5}-${size + 100}`, size - 5, size],
    [`bytes=-${size + 1}`, 0, size],
  ]
  for (const [value, start, end] of cases) {
    const part = await range(value)
    assert.equal(part.statusCode, 206, value)
    assert.equal(part.headers['content-range'], `bytes ${start}-${end - 1}/${size}`)
    assert.equal(part.headers['content-length'], String(end - start))
    assert.ok(part.rawPayload.equals(whole.subarray(start, end)), value)
  }
  const step = Math.ceil(size / 5)
  const parts = await Promise.all([0, 1, 2, 3, 4].map((at) => range(`bytes=${at * step}-${(at + 1) * step - 1}`)))
  assert.ok(Buffer.concat(parts.map((part) => part.rawPayload)).equals(whole))

  const past = await range(`bytes=${size}-`)
  assert.equal(past.statusCode, 416)
  assert.equal(past.headers['content-range'], `bytes */${size}`)
  assert.equal(past.json<Problem>().code, 'RANGE_NOT_SATISFIABLE')
  for (const value of ['bytes=5-2', 'bytes=0-1,5-9', 'lines=0-1', 'bytes=-']) {
    const passed = await range(value)
    assert.deepEqual([passed.statusCode, passed.rawPayload.length], [200, size], value)
  }
})

test('If-Range gives the rest of the same archive and all of another; If-None-Match saves what is known', async (t) => {
  const { app, url } = await withNemo(t)
  const etag = `"${DIGEST}-1"`
  const get = (headers: Record<string, string>, query = '') => app.inject({ url: `${url}/archive${query}`, headers })
  assert.equal((await get({ range: 'bytes=9-', 'if-range': etag })).statusCode, 206)
  for (const other of ['"other"', `W/${etag}`, 'Wed, 21 Oct 2026 07:28:00 GMT']) {
    assert.equal((await get({ range: 'bytes=9-', 'if-range': other })).statusCode, 200, other)
  }
  const known = await get({ 'if-none-match': `"x", W/${etag}` })
  assert.deepEqual([known.statusCode, known.rawPayload.length, known.headers['etag']], [304, 0, etag])
  const partial = await get({ range: 'bytes=9-', 'if-range': etag }, '?components=library')
  assert.equal(partial.statusCode, 200, 'another selection is another archive')
  assert.notEqual(partial.headers['etag'], etag)
})

test('a transient package goes once the last byte of its archive was fetched, by whatever ranges', async (t) => {
  const { app, store, url, listen } = await withNemo(t, { holder: NO_JOB })
  const base = await listen()
  assert.equal((await app.inject(url)).json<{ transient: boolean }>().transient, true)
  const archive = `${base}${url}/archive?forJob=${NO_JOB}`
  const size = Number((await fetch(archive, { method: 'HEAD' })).headers.get('content-length'))
  const fetched = async (range?: string) => {
    const response = await fetch(archive, { headers: range === undefined ? {} : { range } })
    return (await response.arrayBuffer()).byteLength
  }
  assert.equal(await fetched('bytes=0-99'), 100)
  assert.equal(await fetched(`bytes=0-${size - 2}`), size - 1)
  const cut = await fetch(archive)
  await cut.body?.cancel()
  assert.equal((await fetch(`${base}${url}/archive`)).status, 200, 'asked for by somebody else')
  assert.equal((await store.packages.list()).length, 1)
  assert.equal(await fetched('bytes=100-'), size - 100)
  await waitFor('the package to go', async () => (await store.packages.list()).length === 0)
  assert.equal((await app.inject(url)).statusCode, 404)
})

test('a package tells its definition, checksums and images, and goes when it is deleted', async (t) => {
  const { app, url, store, reference } = await withNemo(t)
  const list = (await app.inject('/v1/packages')).json<{ items: Array<Record<string, unknown>> }>()
  assert.equal(list.items.length, 1)
  const one = (await app.inject(url)).json<Record<string, unknown>>()
  assert.deepEqual(list.items[0], one)
  assert.deepEqual(
    [one['name'], one['version'], one['architecture'], one['complete'], one['references'], one['archive']],
    ['nemo', '1.2.0', 'amd64', true, [`oci://${reference}`], `${url}/archive`],
  )
  const files = (await readPackage(FIXTURES.nemoAmd64)).files
  const yaml = await app.inject(`${url}/definition`)
  assert.match(String(yaml.headers['content-type']), /^application\/yaml/)
  assert.ok(yaml.rawPayload.equals(files.get('zarf.yaml') as Buffer))
  const json = await app.inject({ url: `${url}/definition`, headers: { accept: 'application/json' } })
  assert.deepEqual(json.json(), JSON.parse(publishedConfig('nemo').toString()))
  assert.ok((await app.inject(`${url}/checksums`)).rawPayload.equals(files.get('checksums.txt') as Buffer))
  assert.equal((await app.inject(`${url}/images`)).json<{ images: string[] }>().images.length, 3)

  assert.equal((await app.inject({ method: 'DELETE', url })).statusCode, 204)
  for (const path of ['', '/archive', '/definition', '/checksums', '/images']) {
    const gone = await app.inject(`${url}${path}`)
    assert.deepEqual([gone.statusCode, gone.json<Problem>().code], [404, 'PACKAGE_NOT_STORED'], path)
  }
  assert.equal((await app.inject({ method: 'DELETE', url })).statusCode, 404)
  assert.equal((await store.space()).usedBytes, 0)
})

test('the whole archive of a partial pull is a conflict that lists what is missing', async (t) => {
  const { app, url } = await withNemo(t, { components: ['library'] })
  const whole = await app.inject(`${url}/archive`)
  const problem = whole.json<Problem & { details: { missing: string[] } }>()
  assert.deepEqual([whole.statusCode, problem.code], [409, 'PACKAGE_INCOMPLETE'])
  assert.ok(problem.details.missing.includes('components/instruments.tar'))
  assert.equal((await app.inject(`${url}/archive?components=library`)).statusCode, 200)
  const unknown = await app.inject(`${url}/archive?components=nope`)
  assert.deepEqual([unknown.statusCode, unknown.json<Problem>().code], [422, 'COMPONENTS_INVALID'])
})

test('a blob that was cut by hand is told as missing before a byte of the archive is sent', async (t) => {
  const { url, store, listen } = await withNemo(t)
  const manifest = JSON.parse(publishedManifest('nemo').toString()) as {
    layers: Array<{ digest: string; size: number }>
  }
  const largest = manifest.layers.toSorted((a, b) => b.size - a.size)[0]
  assert.ok(largest)
  await truncate(join(store.folder, 'blobs/sha256', digestHex(parseDigest(largest.digest))), 10)
  const base = await listen()
  const response = await fetch(`${base}${url}/archive`)
  const problem = (await response.json()) as Problem & { details: { missing: string[] } }
  assert.deepEqual([response.status, problem.code], [409, 'PACKAGE_INCOMPLETE'])
  assert.equal(problem.details.missing.length, 1)
})

test('remote-packages looks at a package in its registry, with the caller’s credentials, and fetches no layer', async (t) => {
  const registry = await startMemoryRegistry({ basic: { username: 'me', password: 'secret' } })
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [
    NEMO,
    { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' },
  ])
  const { app } = await startApp(t)
  const query = `ref=${encodeURIComponent(`oci://${registry.host}/team/nemo:1.2.0`)}&architecture=amd64`
  const url = `/v1/remote-packages?${query}`
  const secret = JSON.stringify({ username: 'me', password: 'secret', serveraddress: registry.host })
  const headers = { 'x-registry-auth': Buffer.from(secret).toString('base64url') }
  const found = (await app.inject({ url, headers })).json<Record<string, unknown>>()
  assert.deepEqual(
    [found['digest'], found['indexDigest'], found['architectures'], found['tags'], found['fileName']],
    [DIGEST, digestOf(publishedIndex('nemo')), ['amd64', 'arm64'], ['1.2.0'], 'zarf-package-nemo-amd64-1.2.0.tar.zst'],
  )
  assert.equal(registry.requests.filter(({ path, status }) => path.includes('/blobs/') && status === 200).length, 1)
  const refused = await app.inject(url)
  assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [502, 'REGISTRY_UNAUTHORIZED'])
  const moved = await app.inject(`/v1/packages?${query}`)
  assert.deepEqual([moved.statusCode, moved.headers.location], [308, url])
  const repository = `oci://${registry.host}/team/nemo`
  const tags = (ref: string) => app.inject({ url: `/v1/remote-packages?ref=${encodeURIComponent(ref)}`, headers })
  const held = (await tags(repository)).json<{ reference: string; tags: string[] }>()
  assert.deepEqual([held.reference, held.tags], [repository, ['1.2.0']])
  const none = (await tags(`${repository}-not`)).json<{ reference: string; tags: string[] }>()
  assert.deepEqual([none.reference, none.tags], [`${repository}-not`, []])
  assert.equal((await tags('oci://')).statusCode, 400)
})

test('what refers to a manifest is listed, and only of a reference that names one', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  const referrer = { mediaType: OCI_MANIFEST, digest: DIGEST, size: 7, artifactType: 'text/x', annotations: { a: 'b' } }
  const index = digestOf(registry.manifests.get('team/nemo', '1.2.0')?.bytes ?? Buffer.alloc(0))
  const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [referrer] }))
  registry.manifests.put('team/nemo', index.replace(':', '-'), OCI_INDEX, list)
  const { app } = await startApp(t)
  const ask = (reference: string, rest = '') =>
    app.inject(`/v1/remote-packages/referrers?ref=${encodeURIComponent(`oci://${registry.host}/${reference}`)}${rest}`)
  assert.deepEqual((await ask('team/nemo:1.2.0')).json(), {
    reference: `oci://${registry.host}/team/nemo:1.2.0`,
    digest: index,
    from: 'tag',
    referrers: [referrer],
  })
  assert.deepEqual((await ask('team/nemo:1.2.0', '&artifactType=text/y')).json<{ referrers: [] }>().referrers, [])
  const ofPackage = (await ask('team/nemo:1.2.0', '&architecture=amd64')).json<Record<string, unknown>>()
  assert.deepEqual([ofPackage['digest'], ofPackage['referrers']], [DIGEST, []])
  const wrong: ReadonlyArray<readonly [string, string, number, string]> = [
    ['team/nemo', '', 400, 'REFERENCE_INVALID'],
    ['team/nemo:9', '', 422, 'MANIFEST_NOT_FOUND'],
    ['team/nemo:1.2.0', '&architecture=s390x', 422, 'ARCHITECTURE_NOT_FOUND'],
    ['team/nemo:1.2.0', '&artifacttype=x', 400, 'REQUEST_INVALID'],
  ]
  for (const [reference, rest, status, code] of wrong) {
    const answer = await ask(reference, rest)
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [status, code])
  }
})
