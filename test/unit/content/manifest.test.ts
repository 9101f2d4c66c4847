import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../src/content/digest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { MAX_MANIFEST_BYTES, parseManifest, rawManifest, successors } from '../../../src/content/manifest.ts'

const digest = digestOf('x')
const entry = { mediaType: 'a/b', digest, size: 1 }
const parse = (body: unknown, mediaType = OCI_MANIFEST) =>
  parseManifest(rawManifest(mediaType, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))), 'r/a:1')

test('successors of a manifest are its config and its layers', () => {
  const manifest = parse({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: entry, layers: [entry, entry] })
  assert.equal(manifest.kind, 'manifest')
  assert.equal(successors(manifest).length, 3)
})

test('an index without a mediaType is told by its shape', () => {
  const index = parse(
    { schemaVersion: 2, manifests: [{ ...entry, platform: { architecture: 'arm64', os: 'multi' } }] },
    '',
  )
  assert.equal(index.kind, 'index')
  assert.deepEqual(successors(index)[0]?.platform, { architecture: 'arm64', os: 'multi' })
})

test('an index may be empty or hold null', () => {
  assert.deepEqual(successors(parse({ schemaVersion: 2, manifests: null }, OCI_INDEX)), [])
})

for (const platform of [null, {}, { architecture: '', os: '' }, { architecture: null, os: null }, { os: 'linux' }]) {
  test(`an entry whose platform is ${JSON.stringify(platform)} has none`, () => {
    const index = parse({ schemaVersion: 2, manifests: [{ ...entry, annotations: null, platform }] }, OCI_INDEX)
    assert.deepEqual(successors(index), [entry])
  })
}

test('null is the same as nothing, wherever a field may be left out', () => {
  const nothing = { artifactType: null, config: null, layers: null, blobs: null, annotations: null, mediaType: null }
  assert.deepEqual(parse({ schemaVersion: 2, ...nothing }), parse({ schemaVersion: 2 }))
  assert.deepEqual(parse({ schemaVersion: null, mediaType: '', artifactType: '' }), parse({}))
})

test('the blobs of a withdrawn artifact manifest are its layers', () => {
  const manifest = parse({ mediaType: OCI_ARTIFACT_MANIFEST, blobs: [entry] }, OCI_ARTIFACT_MANIFEST)
  assert.equal(manifest.kind === 'manifest' && manifest.config, undefined)
  assert.equal(successors(manifest).length, 1)
})

const refused: ReadonlyArray<[string, unknown, string?]> = [
  ['HTML', '<html></html>'],
  ['a list', []],
  ['a bad digest', { layers: [{ ...entry, digest: 'sha256:zz' }] }],
  ['a negative size', { layers: [{ ...entry, size: -1 }] }],
  ['a body that calls itself something else', { mediaType: OCI_INDEX, manifests: [] }, OCI_MANIFEST],
]
for (const [what, body, mediaType] of refused) {
  test(`refuses ${what}`, () => {
    assert.throws(() => parse(body, mediaType), { code: 'MANIFEST_INVALID' })
  })
}

test('refuses what is larger than registries take', () => {
  assert.throws(() => parse(' '.repeat(MAX_MANIFEST_BYTES + 1)), { code: 'MANIFEST_TOO_LARGE' })
})
