import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Digest, digestHex, digestOf, parseDigest } from '../../src/content/digest.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { fillRegistry, pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { openTarget } from '../../src/files/opened-target.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
const DIGEST = digestOf(publishedManifest('nemo'))

/** An API whose store holds nemo, pulled as a worker would, and nemo's largest layer. */
async function withNemo(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  const started = await startApp(t)
  const reference = `${registry.host}/team/nemo:1.2.0`
  const pull = () => pullFrom(t, reference, { architecture: 'amd64', store: started.store })
  await pull()
  const { layers } = JSON.parse(publishedManifest('nemo').toString()) as {
    layers: Array<{ digest: string; size: number; annotations: Record<string, string> }>
  }
  const [largest, second] = layers.toSorted((a, b) => b.size - a.size)
  assert.ok(largest && second)
  const blob = (digest: Digest) => join(started.store.folder, 'blobs/sha256', digestHex(digest))
  /** One bit, somewhere in the middle. */
  const damage = async (digest: Digest) => {
    const bytes = await readFile(blob(digest))
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    await writeFile(blob(digest), bytes)
  }
  const title = largest.annotations['org.opencontainers.image.title'] ?? ''
  const layer = { title, digest: parseDigest(largest.digest) }
  const smaller = { digest: parseDigest(second.digest) }
  return { ...started, registry, reference, pull, damage, layer, smaller, url: `/v1/packages/${DIGEST}` }
}

test('a layer whose bytes are wrong is never served to its end; the package lacks it then, and a pull brings it anew', async (t) => {
  const { app, url, store, listen, registry, pull, damage, layer } = await withNemo(t)
  const { rawPayload: right } = await app.inject(`${url}/archive`)
  await damage(layer.digest)
  const base = await listen()
  const response = await fetch(`${base}${url}/archive`)
  assert.equal(response.status, 200)
  await assert.rejects(response.arrayBuffer(), 'the connection breaks before the end')
  await waitFor('the package to lack the layer', async () => (await store.packages.get(DIGEST))?.complete === false)
  const next = await fetch(`${base}${url}/archive`)
  const problem = (await next.json()) as Problem & { details: { missing: string[] } }
  assert.deepEqual([next.status, problem.code], [409, 'PACKAGE_INCOMPLETE'])
  assert.deepEqual(problem.details.missing, [layer.title])

  registry.requests.length = 0
  await pull()
  const fetched = registry.requests.filter(({ path }) => path.endsWith(layer.digest))
  assert.equal(fetched.length, 1)
  assert.ok((await app.inject(`${url}/archive`)).rawPayload.equals(right))
  assert.deepEqual((await store.check({ signal: new AbortController().signal })).findings, [])
})

test('a part of an archive that begins or ends inside a layer whose bytes are wrong is not served', async (t) => {
  const { app, url, store, registry, pull, damage, layer } = await withNemo(t)
  const { rawPayload: right } = await app.inject(`${url}/archive`)
  const stored = await readFile(join(store.folder, 'blobs/sha256', digestHex(layer.digest)))
  const start = right.indexOf(stored.subarray(0, 1000))
  const middle = start + (stored.length >> 1)
  const ranges = { begins: [middle + 1000, right.length], ends: [0, middle - 1000], lies: [start + 10, start + 20] }
  for (const [what, [from = 0, to = 0]] of Object.entries(ranges)) {
    const headers = { range: `bytes=${from}-${to - 1}` }
    const fresh = await app.inject({ url: `${url}/archive`, headers })
    assert.equal(fresh.statusCode, 206, what)
    assert.ok(fresh.rawPayload.equals(right.subarray(from, to)), what)
    await damage(layer.digest)
    const refused = await app.inject({ url: `${url}/archive`, headers })
    assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [500, 'STORE_CORRUPT'], what)
    for (const name of ['content-range', 'accept-ranges', 'content-disposition', 'etag']) {
      assert.equal(refused.headers[name], undefined, name)
    }
    const { complete } = (await store.packages.get(DIGEST)) ?? {}
    assert.equal(complete, false, what)
    registry.requests.length = 0
    await pull()
    assert.equal(registry.requests.filter(({ path }) => path.endsWith(layer.digest)).length, 1)
  }
})

test('damaged metadata, or a damaged manifest, is told as such, and a pull brings it anew', async (t) => {
  const { app, url, pull, damage } = await withNemo(t)
  const { rawPayload: right } = await app.inject(`${url}/definition`)
  for (const digest of [digestOf(right), DIGEST]) {
    await damage(digest)
    const refused = await app.inject(`${url}/definition`)
    assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [500, 'STORE_CORRUPT'])
    assert.match(refused.json<Problem>().hint ?? '', /^Pull the package again/)
    await pull()
    assert.ok((await app.inject(`${url}/definition`)).rawPayload.equals(right))
  }
})

test('a pull into a folder that finds stored layers damaged brings them anew and writes the right file', async (t) => {
  const { store, reference, registry, damage, layer, smaller } = await withNemo(t)
  await damage(layer.digest)
  await damage(smaller.digest)
  registry.requests.length = 0
  const folder = await tempDir(t)
  let asked = 0
  const { outcome, events } = await pullFrom(t, reference, {
    architecture: 'amd64',
    store,
    target: openTarget({ path: folder, roots: [folder] }),
    checkOwnership: async () => void (asked += 1),
  })
  assert.equal((await readPackage(outcome.path ?? '')).contents.manifest.digest, DIGEST)
  for (const { digest } of [layer, smaller]) {
    assert.equal(registry.requests.filter(({ path }) => path.endsWith(digest)).length, 1)
  }
  assert.equal(events.filter((event) => event.type === 'log' && event.message.endsWith('is pulled anew')).length, 2)
  assert.equal(asked, 3, 'before each attempt to write the file')
  const phases = events.flatMap((event) => (event.type === 'phase' ? [event.phase] : []))
  assert.deepEqual(phases.slice(1), ['transferring', 'committing', ...phases.slice(1, 3), ...phases.slice(1, 3)])
})
