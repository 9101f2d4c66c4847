import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '../../../../src/content/digest.ts'
import { digestOf } from '../../../../src/content/digest.ts'
import { type ImageIndex, parseManifest, rawManifest } from '../../../../src/content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_INDEX, OCI_MANIFEST, ZARF_PACKAGE } from '../../../../src/content/media-types.ts'
import { goJson } from '../../../../src/oci/manifests/go-json.ts'
import { mergedIndex } from '../../../../src/oci/manifests/index-manifest.ts'
import type { TagContent } from '../../../../src/oci/manifests/tag-index.ts'
import { PUBLISHED, publishedIndex, type PublishedName } from '../../../helpers/packages/fixtures.ts'

const under = (bytes: Buffer): TagContent => {
  const raw = rawManifest(OCI_INDEX, bytes)
  return { kind: 'index', raw, index: parseManifest(raw, 'test') as ImageIndex }
}
const entry = (digest: Digest, architecture: string, size = 7) => ({
  descriptor: { mediaType: OCI_MANIFEST, digest, size },
  architecture,
})

for (const name of Object.keys(PUBLISHED) as PublishedName[]) {
  test(`the index of ${name} is built byte for byte as it was published`, () => {
    const published = under(publishedIndex(name))
    assert.equal(published.kind, 'index')
    let current: TagContent = { kind: 'absent' }
    for (const { digest, size, platform } of published.kind === 'index' ? published.index.manifests : []) {
      current = under(mergedIndex(current, entry(digest, platform?.architecture ?? '', size), 'test').bytes)
    }
    assert.equal(current.kind === 'index' && current.raw.bytes.toString(), publishedIndex(name).toString())
  })
}

test('the first entry of the architecture is replaced in its place and keeps what else it holds', () => {
  const old = digestOf('old')
  const before = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      {
        mediaType: OCI_MANIFEST,
        digest: digestOf('skeleton'),
        size: 1,
        platform: { architecture: 'skeleton', os: 'multi' },
      },
      {
        mediaType: OCI_MANIFEST,
        digest: old,
        size: 1,
        annotations: { 'a<b': 'c&d' },
        platform: { architecture: 'amd64', os: 'linux', variant: 'v2' },
        artifactType: 'application/x',
      },
      { mediaType: OCI_MANIFEST, digest: old, size: 1, platform: { architecture: 'amd64', os: 'multi' } },
      { mediaType: OCI_MANIFEST, digest: old, size: 1 },
    ],
    annotations: { made: 'elsewhere' },
    'x-unknown': [1],
  }
  const fresh = digestOf('fresh')
  const after = mergedIndex(under(Buffer.from(JSON.stringify(before))), entry(fresh, 'amd64'), 'test')
  const expected = structuredClone(before)
  Object.assign(expected.manifests[1] ?? {}, {
    digest: fresh,
    size: 7,
    platform: { architecture: 'amd64', os: 'multi' },
  })
  assert.equal(after.bytes.toString(), goJson(expected).toString())
  assert.deepEqual(JSON.parse(after.bytes.toString()), expected)
})

const artifact = (digest: Digest, architecture: string) => ({
  descriptor: { mediaType: OCI_ARTIFACT_MANIFEST, digest, size: 9, artifactType: ZARF_PACKAGE },
  architecture,
})
const entriesOf = (bytes: Buffer): unknown[] => (JSON.parse(bytes.toString()) as { manifests: unknown[] }).manifests

test('an artifact manifest stands in the index as what it is, beside image manifests', () => {
  const first = mergedIndex({ kind: 'absent' }, artifact(digestOf('one'), 'amd64'), 'test')
  assert.equal(
    first.bytes.toString(),
    `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[{"mediaType":"${OCI_ARTIFACT_MANIFEST}",` +
      `"digest":"${digestOf('one')}","size":9,"platform":{"architecture":"amd64","os":"multi"},` +
      `"artifactType":"${ZARF_PACKAGE}"}]}`,
  )
  const both = mergedIndex(under(first.bytes), entry(digestOf('two'), 'arm64'), 'test')
  const arm64 = { mediaType: OCI_MANIFEST, digest: digestOf('two'), size: 7 }
  assert.deepEqual(entriesOf(both.bytes), [
    ...entriesOf(first.bytes),
    { ...arm64, platform: { architecture: 'arm64', os: 'multi' } },
  ])
})

test('a kind of manifest takes the place of the other in its architecture, and leaves nothing of what that was', () => {
  const fresh = mergedIndex({ kind: 'absent' }, entry(digestOf('image'), 'amd64'), 'test')
  const replaced = mergedIndex(under(fresh.bytes), artifact(digestOf('artifact'), 'amd64'), 'test')
  assert.deepEqual(entriesOf(replaced.bytes), [
    {
      mediaType: OCI_ARTIFACT_MANIFEST,
      digest: digestOf('artifact'),
      size: 9,
      platform: { architecture: 'amd64', os: 'multi' },
      artifactType: ZARF_PACKAGE,
    },
  ])
  const again = mergedIndex(under(replaced.bytes), artifact(digestOf('other'), 'amd64'), 'test')
  assert.equal(again.bytes.toString(), replaced.bytes.toString().replace(digestOf('artifact'), digestOf('other')))
  const back = mergedIndex(under(again.bytes), entry(digestOf('image'), 'amd64'), 'test')
  assert.equal(back.bytes.toString(), fresh.bytes.toString())
})

test('an index with null in place of its list takes the entry', () => {
  const empty = under(Buffer.from(`{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":null}`))
  const merged = mergedIndex(empty, entry(digestOf('x'), 'amd64'), 'test')
  assert.equal((parseManifest(merged, 'test') as ImageIndex).manifests.length, 1)
})

test('JSON is written as Go writes it', () => {
  assert.equal(goJson({ text: '<a> & b\u2028\u2029' }).toString(), '{"text":"\\u003ca\\u003e \\u0026 b\\u2028\\u2029"}')
})
