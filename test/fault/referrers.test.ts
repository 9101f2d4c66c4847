import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import { rawManifest } from '../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { addReferrer } from '../../src/oci/manifests/referrers-tag.ts'
import { referrersTag } from '../../src/oci/manifests/referrers.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { type ScriptEntry, startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'

const { signal } = new AbortController()
const subject = digestOf('what is referred to')
const SIGNATURE = 'application/vnd.example.signature'
const SBOM = 'application/vnd.example.sbom'
const API = `/v2/test/blobs/referrers/${subject}`
const TAG = `/v2/test/blobs/manifests/${referrersTag(subject)}`

const entry = (name: string, artifactType = SIGNATURE) => ({
  mediaType: OCI_MANIFEST,
  digest: digestOf(name),
  size: 7,
  artifactType,
  annotations: { name },
})
const index = (...manifests: ReturnType<typeof entry>[]) => JSON.stringify({ schemaVersion: 2, manifests })
const listed = (body: string, headers: Record<string, string> = {}): Partial<ScriptEntry> => ({
  body,
  answerHeaders: { 'content-type': OCI_INDEX, ...headers },
})
const get = (path: string, answer: Partial<ScriptEntry>): ScriptEntry => ({ method: 'GET', path, ...answer })
const names = (found: { referrers: readonly { digest: Digest }[] }) => found.referrers.map(({ digest }) => digest)

describe('a registry that keeps the list', () => {
  test('all pages count, each referrer once, and a last page that links on is the end', async (t) => {
    const registry = await startScriptedRegistry(t, [
      get(API, listed(index(entry('one'), entry('two')), { link: `<${API}?n=2&last=two>; rel="next"` })),
      get(`${API}?n=2&last=two`, listed(index(entry('two'), entry('three')), { link: `<${API}?last=3>; rel=next` })),
      get(`${API}?last=3`, listed(index(entry('three')), { link: `<${API}?last=4>; rel="next"` })),
    ])
    const repository = await openRepository(t, registry.host)
    const found = await repository.referrers(subject, { signal })
    registry.check()
    assert.equal(found.from, 'api')
    assert.deepEqual(names(found), ['one', 'two', 'three'].map(digestOf))
    assert.deepEqual(found.referrers[0], entry('one'))
  })

  for (const applied of [true, false]) {
    test(`one type is asked for and ${applied ? 'filtered there' : 'filtered here'}`, async (t) => {
      const all = applied ? [entry('one')] : [entry('one'), entry('two', SBOM)]
      const filters: Record<string, string> = applied ? { 'oci-filters-applied': 'artifactType' } : {}
      const path = `${API}?artifactType=${encodeURIComponent(SIGNATURE)}`
      const registry = await startScriptedRegistry(t, [get(path, listed(index(...all), filters))])
      const repository = await openRepository(t, registry.host)
      assert.deepEqual(names(await repository.referrers(subject, { artifactType: SIGNATURE, signal })), [
        digestOf('one'),
      ])
      registry.check()
    })
  }

  test('its answers are foreign: garbage, a page without end and a link elsewhere are errors', async (t) => {
    const cases: ReadonlyArray<readonly [string, Partial<ScriptEntry>, string]> = [
      ['no JSON', listed('<no>'), 'MANIFEST_INVALID'],
      [
        'no digest',
        listed(JSON.stringify({ manifests: [{ ...entry('one'), digest: '../../etc' }] })),
        'MANIFEST_INVALID',
      ],
      [
        'five megabytes',
        listed(`{"manifests":[],"x":"${'x'.repeat(5 * 1024 * 1024)}"}`),
        'REGISTRY_PROTOCOL_VIOLATION',
      ],
      [
        'a link to another host',
        listed(index(entry('one')), { link: '<http://elsewhere.example/v2/>; rel="next"' }),
        'REGISTRY_PROTOCOL_VIOLATION',
      ],
    ]
    for (const [what, answer, code] of cases) {
      const registry = await startScriptedRegistry(t, [get(API, answer)])
      const repository = await openRepository(t, registry.host)
      await assert.rejects(repository.referrers(subject, { signal }), { code }, what)
    }
  })

  test('one that fails is not one that keeps no list', async (t) => {
    const registry = await startScriptedRegistry(t, [get(API, { status: 403, repeat: true })])
    const repository = await openRepository(t, registry.host)
    await assert.rejects(repository.referrers(subject, { signal }), { code: 'REGISTRY_DENIED' })
    assert.ok(registry.requests.every(({ path }) => path === API))
  })
})

const json = (code: string) => JSON.stringify({ errors: [{ code, message: 'no' }] })
/** oci-client.md F2. */
const KEEPS_NONE: Readonly<Record<string, Partial<ScriptEntry>>> = {
  '404 in plain text (distribution)': { status: 404, body: '404 page not found' },
  '404 METHOD_UNKNOWN (crane)': { status: 404, body: json('METHOD_UNKNOWN') },
  '404 with a web page (Pulp)': { status: 404, body: '<html>', answerHeaders: { 'content-type': 'text/html' } },
  '404 that calls itself an index': { status: 404, body: '{}', answerHeaders: { 'content-type': OCI_INDEX } },
  '404 NAME_UNKNOWN': { status: 404, body: json('NAME_UNKNOWN') },
  '400': { status: 400, body: json('UNSUPPORTED') },
  '405': { status: 405 },
  '406': { status: 406 },
  '501': { status: 501 },
  '303 to a web page (GHCR)': { status: 303, answerHeaders: { location: 'https://elsewhere.example/page' } },
  '200 with a web page': { status: 200, body: '<html>', answerHeaders: { 'content-type': 'text/html' } },
  '200 with JSON that is no index': { status: 200, body: '{}', answerHeaders: { 'content-type': 'application/json' } },
}

describe('a registry that keeps no list', () => {
  for (const [name, answer] of Object.entries(KEEPS_NONE)) {
    test(`${name}: what clients keep under the tag counts`, async (t) => {
      const both = index(entry('one'), entry('two', SBOM))
      const registry = await startScriptedRegistry(t, [
        get(API, answer),
        get(TAG, listed(both)),
        get(`${API}?artifactType=${encodeURIComponent(SBOM)}`, answer),
        get(TAG, listed(both)),
      ])
      const repository = await openRepository(t, registry.host)
      const found = await repository.referrers(subject, { signal })
      assert.deepEqual([found.from, names(found)], ['tag', [digestOf('one'), digestOf('two')]])
      assert.deepEqual(names(await repository.referrers(subject, { artifactType: SBOM, signal })), [digestOf('two')])
      registry.check()
    })
  }

  test('nothing under the tag is no referrers, and a bare manifest there is an error that names it', async (t) => {
    const none = await startScriptedRegistry(t, [get(API, { status: 404 }), get(TAG, { status: 404 })])
    const found = await (await openRepository(t, none.host)).referrers(subject, { signal })
    assert.deepEqual(found, { referrers: [], from: 'tag' })
    const bare = await startScriptedRegistry(t, [
      get(API, { status: 404 }),
      get(TAG, { body: '{"schemaVersion":2}', answerHeaders: { 'content-type': OCI_MANIFEST } }),
    ])
    const asked = (await openRepository(t, bare.host)).referrers(subject, { signal })
    await assert.rejects(asked, { code: 'TAG_NOT_INDEX', message: new RegExp(referrersTag(subject)) })
  })

  test('the tag holds at most 64 digits of a longer digest', () => {
    const hex = 'ab'.repeat(64)
    assert.equal(referrersTag(`sha512:${hex}` as Digest), `sha512-${hex.slice(0, 64)}`)
    assert.equal(referrersTag(subject), subject.replace(':', '-'))
  })
})

describe('adding to the list under the tag', () => {
  const descriptor = (bytes: string) => {
    const { digest } = rawManifest(OCI_MANIFEST, Buffer.from(bytes))
    return { mediaType: OCI_MANIFEST, digest, size: bytes.length, artifactType: SIGNATURE, annotations: { a: 'b' } }
  }
  const bed = async () => {
    const registry = await startMemoryRegistry()
    const put = (text: string) => registry.manifests.put('test/blobs', digestOf(text), OCI_MANIFEST, Buffer.from(text))
    const under = () => {
      const stored = registry.manifests.get('test/blobs', referrersTag(subject))
      return stored && (JSON.parse(stored.bytes.toString()) as { manifests: { digest: string }[] })
    }
    return { registry, put, under }
  }

  test('the first makes it, the second is appended, and one that is there is not written again', async (t) => {
    const { registry, put, under } = await bed()
    t.after(() => registry.close())
    const repository = await openRepository(t, registry.host)
    const guard = async () => undefined
    for (const text of ['{"one":1}', '{"two":2}', '{"one":1}']) {
      put(text)
      await addReferrer({ repository, subject, entry: descriptor(text), guard, signal })
    }
    assert.deepEqual(under(), {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [descriptor('{"one":1}'), descriptor('{"two":2}')],
    })
    assert.equal(registry.requests.filter(({ method }) => method === 'PUT').length, 2)
    const found = await repository.referrers(subject, { signal })
    assert.deepEqual([found.from, found.referrers], ['tag', [descriptor('{"one":1}'), descriptor('{"two":2}')]])
  })

  test('what another client adds between reading and writing stays', async (t) => {
    const { registry, put, under } = await bed()
    t.after(() => registry.close())
    const repository = await openRepository(t, registry.host)
    const texts = ['{"ours":1}', '{"theirs":1}']
    for (const text of texts) put(text)
    let written = false
    const guard = async () => {
      const theirs = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor('{"theirs":1}')] }
      const bytes = Buffer.from(JSON.stringify(theirs))
      if (!written) registry.manifests.put('test/blobs', referrersTag(subject), OCI_INDEX, bytes)
      written = true
    }
    await addReferrer({ repository, subject, entry: descriptor('{"ours":1}'), guard, signal })
    assert.deepEqual(
      under()?.manifests.map(({ digest }) => digest),
      [descriptor('{"theirs":1}').digest, descriptor('{"ours":1}').digest],
    )
  })
})
