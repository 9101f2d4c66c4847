import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_INDEX } from '../../src/content/media-types.ts'
import { parseReference } from '../../src/content/reference.ts'
import { inspectPackage } from '../../src/transfer/inspect/overview.ts'
import { openStoredPackage } from '../../src/transfer/stored-package.ts'
import { packageFiles, pullFrom, readPackage, type SyntheticLayer } from '../helpers/packages/pulling.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes } from '../helpers/registries/oci-client.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()
const REPOSITORY = 'team/sample'
const component = someBytes(5000)
const layers = packageFiles({ 'components/one.tar': component })
const TYPES: Readonly<Record<string, string>> = { yaml: 'yaml', txt: 'txt', json: 'json' }

/** Byte for byte as zarf v0.25 made it with oras-go v2.0: types by extension, no config, and its own media type as artifact type. */
function artifactOf(registry: MemoryRegistry, files: readonly SyntheticLayer[]): Buffer {
  const blobs = files.map(({ title, bytes }) => {
    registry.putBlob(REPOSITORY, bytes)
    const type = TYPES[title.split('.').at(-1) ?? ''] ?? 'unknown'
    return {
      mediaType: `application/vnd.zarf.layer.v1.${type}`,
      digest: digestOf(bytes),
      size: bytes.length,
      annotations: { 'org.opencontainers.image.title': title },
    }
  })
  const annotations = {
    'org.opencontainers.artifact.created': '2023-04-01T10:00:00Z',
    'org.opencontainers.image.description': 'a sample',
    'org.opencontainers.image.title': 'sample',
  }
  const artifactType = OCI_ARTIFACT_MANIFEST
  return Buffer.from(JSON.stringify({ mediaType: OCI_ARTIFACT_MANIFEST, artifactType, blobs, annotations }))
}

async function bed(t: TestContext, files: readonly SyntheticLayer[] = layers) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const manifest = artifactOf(registry, files)
  registry.manifests.put(REPOSITORY, '1.0.0-amd64', OCI_ARTIFACT_MANIFEST, manifest)
  const entry = { mediaType: OCI_ARTIFACT_MANIFEST, digest: digestOf(manifest), size: manifest.length }
  const manifests = [{ ...entry, platform: { architecture: 'amd64', os: 'multi' } }]
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  registry.manifests.put(REPOSITORY, '1.0.0', OCI_INDEX, index)
  const inspect = async (tag: string) => {
    const repository = await openRepository(t, registry.host, { repository: REPOSITORY })
    const reference = parseReference(`${registry.host}/${REPOSITORY}:${tag}`)
    return inspectPackage({ reference, architecture: 'amd64' }, { repository, signal })
  }
  return { registry, manifest, inspect, reference: (tag: string) => `${registry.host}/${REPOSITORY}:${tag}` }
}

const size = layers.reduce((sum, { bytes }) => sum + bytes.length, 0)
const cases = { 'under a tag of its own': '1.0.0-amd64', 'as an entry of an index': '1.0.0' }

for (const [where, tag] of Object.entries(cases)) {
  test(`an artifact manifest ${where} is pulled into the store, whole, and served as an archive`, async (t) => {
    const { manifest, reference } = await bed(t)
    const { outcome, store } = await pullFrom(t, reference(tag), { architecture: 'amd64' })
    assert.equal(outcome.digest, digestOf(manifest))
    assert.deepEqual([outcome.layers, outcome.bytes], [3, size])
    const stored = await openStoredPackage(store, outcome.digest, signal)
    const { complete, manifestMediaType, size: recorded } = stored.record
    assert.deepEqual([complete, manifestMediaType, recorded], [true, OCI_ARTIFACT_MANIFEST, size])
    const archive = await stored.archive()
    const path = join(await tempDir(t), archive.fileName)
    await writeFile(path, archive.open({ signal }))
    const expected = new Map(layers.map(({ title, bytes }) => [title, bytes]))
    assert.deepEqual((await readPackage(path)).files, expected)
    const report = await store.check({ repair: false, signal })
    assert.deepEqual(report.findings, [])
  })

  test(`an artifact manifest ${where} is inspected`, async (t) => {
    const { manifest, inspect } = await bed(t)
    const found = await inspect(tag)
    assert.deepEqual([found.name, found.version, found.architecture], ['sample', '1.0.0', 'amd64'])
    assert.equal(found.digest, digestOf(manifest))
    assert.equal(found.size, size)
    assert.deepEqual(found.layers.map(({ title }) => title).toSorted(), layers.map(({ title }) => title).toSorted())
  })
}

test('chosen components of an artifact manifest come alone', async (t) => {
  const two = packageFiles(
    { 'components/one.tar': component, 'components/two.tar': someBytes(3000, 2) },
    'components:\n- name: one\n  required: true\n- name: two',
  )
  const { reference, registry } = await bed(t, two)
  const { outcome } = await pullFrom(t, reference('1.0.0'), { architecture: 'amd64', components: [] })
  assert.equal(outcome.layers, 3)
  const asked = registry.requests.map(({ path }) => path)
  assert.ok(!asked.some((path) => path.endsWith(digestOf(someBytes(3000, 2)))))
})

test('what zarf v0.25.0 published has no checksums.txt, and the refusal says so', async (t) => {
  const { reference, inspect } = await bed(
    t,
    layers.filter(({ title }) => title !== 'checksums.txt'),
  )
  const refused = { code: 'PACKAGE_INVALID', hint: /v0\.25\.0 .* create the package again/ }
  await assert.rejects(pullFrom(t, reference('1.0.0-amd64')), refused)
  await assert.rejects(inspect('1.0.0-amd64'), refused)
})

test('an artifact manifest that is no package is refused as one', async (t) => {
  const { reference } = await bed(t, [{ title: 'readme.txt', bytes: Buffer.from('hello') }])
  await assert.rejects(pullFrom(t, reference('1.0.0-amd64')), {
    code: 'PACKAGE_FORMAT_UNSUPPORTED',
    details: { mediaType: OCI_ARTIFACT_MANIFEST },
  })
})
