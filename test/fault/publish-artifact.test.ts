import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { descriptorTitle } from '../../src/content/descriptor.ts'
import { digestOf } from '../../src/content/digest.ts'
import { type ImageManifest, type ManifestKind, parseManifest, successors } from '../../src/content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_MANIFEST, ZARF_PACKAGE } from '../../src/content/media-types.ts'
import { parseDestination, parseReference } from '../../src/content/reference.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { inspectPackage } from '../../src/transfer/inspect/overview.ts'
import { createLedger } from '../../src/worker/ledger.ts'
import { FIXTURES, publishedConfig, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { EMPTY } from '../helpers/streams/ledger-jobs.ts'

const { signal } = new AbortController()
const IMAGE = digestOf(publishedManifest('nemo'))
const CONFIG = digestOf(publishedConfig('nemo'))

interface Bed {
  registry: MemoryRegistry
  reference: string
  publish: (manifest?: ManifestKind, path?: string) => ReturnType<typeof publishTo>
  /** Media types of the manifests that were put by digest. */
  puts: () => (string | undefined)[]
  /** Of the tag's index, each entry. */
  entries: () => Record<string, unknown>[]
}

async function bed(t: TestContext, options: MemoryRegistryOptions): Promise<Bed> {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  const client = registryClient(t)
  return {
    registry,
    reference: `${registry.host}/team/nemo:1.2.0`,
    publish: (manifest, path = FIXTURES.nemoAmd64) =>
      publishTo(t, path, parseDestination(`${registry.host}/team`), { client, ...(manifest ? { manifest } : {}) }),
    puts: () =>
      registry.requests
        .filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/sha256:'))
        .map(({ headers }) => headers['content-type']),
    entries: () => {
      const index = registry.manifests.get('team/nemo', '1.2.0')
      return (JSON.parse(index?.bytes.toString() ?? '{"manifests":[]}') as { manifests: Record<string, unknown>[] })
        .manifests
    },
  }
}

function storedManifest({ registry }: Bed, digest: string): ImageManifest {
  const raw = registry.manifests.get('team/nemo', digest)
  assert.ok(raw)
  const parsed = parseManifest({ ...raw, digest: digestOf(raw.bytes) }, 'stored')
  assert.equal(parsed.kind, 'manifest')
  return parsed
}

const texts = (events: readonly EngineEvent[]) =>
  events.flatMap((event) => (event.type === 'log' ? [event.message] : [])).filter((text) => text.includes('artifact'))

/** What the job's progress is at the end. */
function folded(events: readonly EngineEvent[]) {
  const now = Date.now()
  const ledger = createLedger({ progress: EMPTY, transfers: [], describe: () => null, now })
  for (const event of events) ledger.apply(event)
  return ledger.progress(now)
}

function assertDone(events: readonly EngineEvent[], bytes: number): void {
  const { bytesDone, bytesTotal, layers } = folded(events)
  assert.deepEqual([bytesDone, bytesTotal], [bytes, bytes])
  assert.equal(layers.done, layers.total)
  assert.equal(events.filter(({ type }) => type === 'plan').length, 1)
}

for (const manifest of [undefined, 'image'] as const) {
  test(`${manifest ?? 'without the option'}: manifest and index are byte for byte what zarf publishes`, async (t) => {
    const scene = await bed(t, { artifactManifests: true })
    await scene.publish(undefined, FIXTURES.nemoArm64)
    const { outcome } = await scene.publish(manifest)
    assert.equal(outcome.digest, IMAGE)
    assert.equal(outcome.manifest, manifest)
    assert.deepEqual(scene.puts(), [OCI_MANIFEST, OCI_MANIFEST])
    const { registry } = scene
    assert.equal(registry.manifests.get('team/nemo', IMAGE)?.bytes.toString(), publishedManifest('nemo').toString())
    const found = new Set(scene.entries().map((entry) => JSON.stringify(entry)))
    const wanted = JSON.parse(publishedIndex('nemo').toString()) as { manifests: unknown[] }
    assert.deepEqual(found, new Set(wanted.manifests.map((entry) => JSON.stringify(entry))))
  })
}

describe('artifact', () => {
  test('the layers are the blobs of a manifest without a config, with the annotations that zarf v0.25 set', async (t) => {
    const scene = await bed(t, { artifactManifests: true })
    const { outcome, events } = await scene.publish('artifact')
    const { contents } = await readPackage(FIXTURES.nemoAmd64)
    const bytes = scene.registry.manifests.get('team/nemo', outcome.digest)?.bytes ?? Buffer.alloc(0)
    const image = JSON.parse(publishedManifest('nemo').toString()) as {
      layers: unknown[]
      annotations: Record<string, string>
    }
    const created = image.annotations['org.opencontainers.image.created']
    assert.deepEqual(JSON.parse(bytes.toString()), {
      mediaType: OCI_ARTIFACT_MANIFEST,
      artifactType: ZARF_PACKAGE,
      blobs: image.layers,
      annotations: { ...image.annotations, 'org.opencontainers.artifact.created': created },
    })
    assert.deepEqual(Object.keys(JSON.parse(bytes.toString()) as object), [
      'mediaType',
      'artifactType',
      'blobs',
      'annotations',
    ])
    assert.equal(outcome.digest, digestOf(bytes))
    assert.equal(outcome.manifest, 'artifact')
    assert.equal(scene.registry.blob('team/nemo', CONFIG), undefined, 'a config that nothing names is not sent')
    assert.deepEqual(scene.puts(), [OCI_ARTIFACT_MANIFEST])
    assert.equal(
      outcome.bytes,
      contents.files.reduce((sum, { size }) => sum + size, 0),
    )
    assertDone(events, outcome.bytes)
    assert.deepEqual(scene.entries(), [
      {
        mediaType: OCI_ARTIFACT_MANIFEST,
        digest: outcome.digest,
        size: bytes.length,
        platform: { architecture: 'amd64', os: 'multi' },
        artifactType: ZARF_PACKAGE,
      },
    ])
  })

  test('publishing again moves nothing and changes nothing', async (t) => {
    const { publish } = await bed(t, { artifactManifests: true })
    const first = await publish('artifact')
    const second = await publish('artifact')
    assert.deepEqual(second.outcome, first.outcome)
    assert.equal(second.events.filter(({ type }) => type === 'complete').length, 0)
  })

  test('a registry that takes none fails the job in plain words, and no tag is made', async (t) => {
    const { publish, registry, puts } = await bed(t, {})
    await assert.rejects(publish('artifact'), { code: 'MANIFEST_UNSUPPORTED', message: /takes no artifact manifests/ })
    assert.equal(registry.manifests.get('team/nemo', '1.2.0'), undefined)
    assert.deepEqual(puts(), [OCI_ARTIFACT_MANIFEST])
    assert.equal(registry.openSessions, 0)
  })

  test('blobs that are gone by the time of the manifest are sent once more', async (t) => {
    const { publish, registry } = await bed(t, { artifactManifests: true })
    const { contents } = await readPackage(FIXTURES.nemoAmd64)
    const [lost] = contents.layers
    assert.ok(lost)
    const unknown = { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown', detail: { digest: lost.digest } }
    registry.fail(
      { method: 'PUT', path: /manifests\/sha256/ },
      { kind: 'answer', status: 400, body: JSON.stringify({ errors: [unknown] }) },
    )
    const { outcome, events } = await publish('artifact')
    assert.equal(outcome.manifest, 'artifact')
    assert.ok(events.some((event) => event.type === 'log' && /misses blobs/.test(event.message)))
  })
})

describe('auto', () => {
  test('an artifact manifest where the registry takes it', async (t) => {
    const { publish, puts } = await bed(t, { artifactManifests: true })
    const { outcome, events } = await publish('auto')
    assert.equal(outcome.manifest, 'artifact')
    assert.deepEqual(puts(), [OCI_ARTIFACT_MANIFEST])
    assert.deepEqual(texts(events), [])
    assertDone(events, outcome.bytes)
  })

  test('an image manifest where it does not: tried once, said each time', async (t) => {
    const { publish, puts, registry } = await bed(t, {})
    const { outcome, events } = await publish('auto')
    assert.equal(outcome.digest, IMAGE)
    assert.equal(outcome.manifest, 'image')
    assertDone(events, outcome.bytes)
    assert.match(
      texts(events).join(),
      /^127\.0\.0\.1:\d+ takes no artifact manifests: push manifest: .* answered 400 MANIFEST_INVALID.*; publishing an image manifest$/,
    )
    assert.equal(registry.manifests.get('team/nemo', '1.2.0')?.mediaType.includes('index'), true)
    const again = await publish('auto', FIXTURES.nemoArm64)
    assert.equal(again.outcome.manifest, 'image')
    assert.match(texts(again.events).join(), /is known to take no artifact manifests; publishing an image manifest$/)
    assert.deepEqual(puts(), [OCI_ARTIFACT_MANIFEST, OCI_MANIFEST, OCI_MANIFEST])
  })
})

describe('a tag with both kinds', () => {
  test('each kind takes the place of the other in its architecture, and leaves the other architecture alone', async (t) => {
    const { publish, entries } = await bed(t, { artifactManifests: true })
    const kinds = () => entries().map(({ mediaType, artifactType }) => [mediaType, artifactType])
    const artifact = [OCI_ARTIFACT_MANIFEST, ZARF_PACKAGE]
    const image = [OCI_MANIFEST, undefined]
    await publish('artifact')
    await publish('image', FIXTURES.nemoArm64)
    assert.deepEqual(kinds(), [artifact, image])
    const back = await publish('image')
    assert.deepEqual(kinds(), [image, image])
    assert.equal(back.outcome.indexDigest, digestOf(publishedIndex('nemo')), 'as if it had never been another')
    await publish('auto', FIXTURES.nemoArm64)
    assert.deepEqual(kinds(), [image, artifact])
  })

  test('what was published is inspected and pulled, file by file', async (t) => {
    const scene = await bed(t, { artifactManifests: true })
    const { outcome } = await scene.publish('artifact')
    await scene.publish('image', FIXTURES.nemoArm64)
    const { registry, reference } = scene
    const repository = await openRepository(t, registry.host, { repository: 'team/nemo' })
    const look = { reference: parseReference(reference), architecture: 'amd64' }
    const inspected = await inspectPackage(look, { repository, signal })
    assert.equal(inspected.digest, outcome.digest)
    assert.deepEqual(inspected.architectures, ['amd64', 'arm64'])
    const { files } = await readPackage(FIXTURES.nemoAmd64)
    assert.deepEqual(inspected.layers.map(({ title }) => title).toSorted(), [...files.keys()].toSorted())
    const pulled = await pullFrom(t, reference, { architecture: 'amd64' })
    assert.equal(pulled.outcome.digest, outcome.digest)
    assert.equal(pulled.outcome.bytes, outcome.bytes)
    for (const layer of successors(storedManifest(scene, outcome.digest))) {
      const bytes = await pulled.store.read(layer, { signal })
      assert.ok(files.get(descriptorTitle(layer) ?? '')?.equals(bytes), descriptorTitle(layer))
    }
  })
})
