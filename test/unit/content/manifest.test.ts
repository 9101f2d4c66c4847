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

test('an artifact manifest without a mediaType, served as JSON, is told by its shape', () => {
  const manifest = parse({ artifactType: 'a/b', blobs: [entry] }, 'application/json')
  assert.equal(manifest.mediaType, OCI_ARTIFACT_MANIFEST)
  assert.equal(successors(manifest).length, 1)
})

const refused: ReadonlyArray<[string, unknown, string?]> = [
  ['HTML', '<html></html>'],
  ['a list', []],
  ['a bad digest', { layers: [{ ...entry, digest: 'sha256:zz' }] }],
  ['a negative size', { layers: [{ ...entry, size: -1 }] }],
  ['a size that cannot be counted', { layers: [{ ...entry, size: 1e308 }] }],
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

test('refuses what would take long to parse and to look at, small as it is', () => {
  const many = <T>(count: number, item: (at: number) => T) => Array.from({ length: count }, (_, at) => item(at))
  const refused: ReadonlyArray<[body: unknown, says: RegExp]> = [
    [{ layers: many(150_000, () => 1) }, /holds more than 150000 values/],
    [{ annotations: Object.fromEntries(many(20_000, (at) => [`a${at}`, ''])) }, /holds more than 10000 different keys/],
    [`${'['.repeat(20_000)}${']'.repeat(20_000)}`, /nests more than 32 deep/],
  ]
  for (const [body, message] of refused) {
    assert.throws(() => parse(body), { code: 'MANIFEST_TOO_LARGE', message })
  }
  const title = (at: number) => ({ 'org.opencontainers.image.title': `components/layer-${at}.tar` })
  const layers = many(14_000, (at) => ({ ...entry, annotations: title(at) }))
  assert.equal(successors(parse({ schemaVersion: 2, config: entry, layers })).length, 14_001)
})

test('the first of many mistakes is told, and where it is', () => {
  const bad = { ...entry, size: -1 }
  const refused: ReadonlyArray<[body: unknown, says: RegExp]> = [
    [{ layers: [entry, bad, ...Array.from({ length: 100_000 }, () => 1)] }, / valid: \/layers\/1\/size must be >= 0$/],
    [{ manifests: [1] }, / valid: \/manifests\/0 must be object$/],
    [{ config: 1, layers: [entry] }, / valid: \/config must /],
    [{ schemaVersion: 1 }, / valid: \/schemaVersion must /],
    [[1], / valid: must be object$/],
    ['null', / valid: must be object$/],
  ]
  for (const [body, message] of refused) assert.throws(() => parse(body), { code: 'MANIFEST_INVALID', message })
})
