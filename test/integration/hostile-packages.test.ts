import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_MANIFEST, ZARF_CONFIG } from '../../src/content/media-types.ts'
import { bufferOpener } from '../../src/content/streams.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { ContentStore } from '../../src/store/content-store.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { packageFiles, pullFrom, putPackage, type SyntheticLayer } from '../helpers/packages/pulling.ts'
import { blobOf } from '../helpers/packages/store-packages.ts'

const PLACE = { repository: 'team/sample', tag: '1.0.0' }
const { signal } = new AbortController()
const text = 'y'.repeat(2 ** 20)

/** What follows in zarf.yaml; each is small and stands for gigabytes, or for itself. */
const HOSTILE: ReadonlyArray<[what: string, definition: string, code: string]> = [
  [
    'a long text, 3,000 aliases in a list of images',
    `x: &a ${text}\ncomponents:\n- name: one\n  images: [${'*a,'.repeat(3000)}]`,
    'PACKAGE_TOO_LARGE',
  ],
  [
    'a long text, 3,000 aliases in a description',
    `x: &a ${text}\nvariables: [${'{name: *a, description: *a},'.repeat(1500)}]`,
    'PACKAGE_TOO_LARGE',
  ],
  ['hundreds of thousands of documents', `components: []\n${'---\n'.repeat(500_000)}`, 'PACKAGE_TOO_LARGE'],
  ['a list that holds itself', 'components: &a\n- name: one\n  images: *a', 'PACKAGE_INVALID'],
]

for (const [what, definition, code] of HOSTILE) {
  test(`${what}: refused when it is looked at, and when it is pulled`, async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const layers = packageFiles({ 'components/one.tar': randomBytes(10) }, definition)
    putPackage(registry, PLACE, layers)
    const reference = `${registry.host}/${PLACE.repository}:${PLACE.tag}`
    const { app, store } = await startApp(t)
    const looked = await app.inject(
      `/v1/remote-packages?ref=${encodeURIComponent(`oci://${reference}`)}&architecture=amd64`,
    )
    assert.deepEqual([looked.statusCode, looked.json<Problem>().code], [422, code])
    await assert.rejects(pullFrom(t, reference, { architecture: 'amd64', store }), { code })
    assert.deepEqual(await store.packages.list(), [])
  })

  test(`${what}: refused when an earlier version stored it`, async (t) => {
    const { app, store } = await startApp(t)
    const digest = await storeUnseen(store, packageFiles({ 'components/one.tar': randomBytes(10) }, definition))
    for (const path of ['/definition', '/checksums', '/images', '/archive', '/archive?components=one']) {
      const headers = path === '/definition' ? { accept: 'application/json' } : {}
      const answer = await app.inject({ url: `/v1/packages/${digest}${path}`, headers })
      assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [422, code], path)
    }
    assert.equal((await app.inject(`/v1/packages/${digest}`)).statusCode, 200)
    assert.equal((await app.inject({ method: 'DELETE', url: `/v1/packages/${digest}` })).statusCode, 204)
  })
}

for (const pattern of ['{1..100000000}', '+(a|aa|aaa)'.repeat(8), '['.repeat(100), '['.repeat(60_000)]) {
  test(`components=${pattern.slice(0, 30)} costs nothing`, async (t) => {
    const { app, store } = await startApp(t)
    const digest = await storeUnseen(store, packageFiles({ 'components/one.tar': randomBytes(10) }))
    const answer = await app.inject(`/v1/packages/${digest}/archive?components=${encodeURIComponent(pattern)}`)
    const { code } = answer.json<Problem>()
    assert.ok(['COMPONENTS_INVALID', 'REQUEST_INVALID'].includes(code), code)
  })
}

/** As a pull stores it, without a look at it. Returns the manifest's digest. */
async function storeUnseen(store: ContentStore, layers: readonly SyntheticLayer[]): Promise<string> {
  const config = blobOf(Buffer.from('{}'), undefined, ZARF_CONFIG)
  const blobs = layers.map(({ title, bytes }) => blobOf(bytes, title))
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: blobs }))
  for (const bytes of [Buffer.from('{}'), manifest, ...layers.map((layer) => layer.bytes)]) {
    await store.push(blobOf(bytes), bufferOpener(bytes), { signal })
  }
  const digest = digestOf(manifest)
  await store.packages.put({
    digest,
    manifestMediaType: OCI_MANIFEST,
    manifestSize: manifest.length,
    name: 'sample',
    version: '1.0.0',
    flavor: null,
    architecture: 'amd64',
    references: ['oci://registry.example/team/sample:1.0.0'],
    size: blobs.reduce((sum, { size }) => sum + size, config.size),
    layers: blobs.length,
    signed: false,
    components: ['one'],
  })
  return digest
}
