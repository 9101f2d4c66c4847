import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { type ManifestKind, rawManifest } from '../../src/content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_MANIFEST, ZARF_PACKAGE } from '../../src/content/media-types.ts'
import { parseDestination, parseReference } from '../../src/content/reference.ts'
import { readAll } from '../../src/content/streams.ts'
import { inspectPackage } from '../../src/transfer/inspect/overview.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startCraneRegistry } from '../helpers/registries/crane-registry.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, testBlob } from '../helpers/registries/oci-client.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()

describe("crane's registry takes artifact manifests", () => {
  for (const manifest of ['artifact', 'auto'] as const) {
    test(`${manifest}: published, read by crane, inspected and pulled byte for byte, beside an image manifest`, async (t) => {
      if (skipWithout(t, 'crane')) return
      const registry = await startCraneRegistry(t)
      const destination = parseDestination(`${registry.host}/team`)
      await publishTo(t, FIXTURES.nemoArm64, destination)
      const { outcome } = await publishTo(t, FIXTURES.nemoAmd64, destination, { manifest })
      assert.equal(outcome.manifest, 'artifact')
      const reference = `${registry.host}/team/nemo:1.2.0`

      const read = async (name: string) => (await runProcess(t, findProgram('crane') ?? '', ['manifest', name])).stdout
      const bytes = await read(`${registry.host}/team/nemo@${outcome.digest}`)
      assert.equal(digestOf(Buffer.from(bytes)), outcome.digest)
      const index = JSON.parse(await read(reference)) as { manifests: Record<string, unknown>[] }
      assert.deepEqual(
        index.manifests.map(({ mediaType, artifactType }) => [mediaType, artifactType]),
        [
          [OCI_MANIFEST, undefined],
          [OCI_ARTIFACT_MANIFEST, ZARF_PACKAGE],
        ],
      )

      const repository = await openRepository(t, registry.host, { repository: 'team/nemo' })
      const look = { reference: parseReference(reference), architecture: 'amd64' }
      const inspected = await inspectPackage(look, { repository, signal })
      assert.deepEqual([inspected.digest, inspected.architectures], [outcome.digest, ['arm64', 'amd64']])
      const pulled = await pullFrom(t, reference, { architecture: 'amd64' })
      assert.equal(pulled.outcome.digest, outcome.digest)
      for (const [path, content] of (await readPackage(FIXTURES.nemoAmd64)).files) {
        const stored = await readAll(await pulled.store.open(testBlob(content).descriptor, { signal }))
        assert.ok(stored.equals(content), path)
      }
      const other = await pullFrom(t, reference, { architecture: 'arm64' })
      assert.equal(other.outcome.digest, digestOf(publishedManifest('nemo', 'arm64')))

      const back = await publishTo(t, FIXTURES.nemoAmd64, destination)
      const entries = JSON.parse(await read(reference)) as { manifests: Record<string, unknown>[] }
      assert.equal(back.outcome.digest, digestOf(publishedManifest('nemo')))
      const wanted = JSON.parse(publishedIndex('nemo').toString()) as { manifests: unknown[] }
      assert.deepEqual(entries.manifests, wanted.manifests.toReversed())
    })
  }
})

for (const program of registryPrograms()) {
  test(`${program} takes none: auto tries once and publishes what zarf does, artifact says so`, async (t) => {
    const registry = await startDockerRegistry(t, { program })
    const destination = parseDestination(`${registry.host}/team`)
    const client = registryClient(t)
    const texts: string[] = []
    for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) {
      const { outcome, events } = await publishTo(t, path, destination, { client, manifest: 'auto' })
      assert.equal(outcome.manifest, 'image')
      texts.push(...events.flatMap((event) => (event.type === 'log' ? [event.message] : [])))
    }
    const repository = await client.repository(registry.host, 'team/nemo')
    const index = await repository.getManifest('1.2.0', { signal })
    assert.equal(index?.bytes.toString(), publishedIndex('nemo').toString())
    const said = texts.filter((text) => text.includes('artifact manifests'))
    assert.equal(said.length, 2)
    assert.match(said[0] ?? '', /answered 400 MANIFEST_INVALID/)
    assert.match(said[1] ?? '', /is known to take no artifact manifests/)
    const asked = publishTo(t, FIXTURES.nemoAmd64, destination, { client, manifest: 'artifact', tag: 'other' })
    await assert.rejects(asked, { code: 'MANIFEST_UNSUPPORTED' })
    assert.equal(await repository.getManifest('other', { signal }), undefined)
  })
}

describe('jobs', () => {
  test('that a registry takes none is known to the workers of other processes too', async (t) => {
    const folder = await tempDir(t)
    const built = await buildPackage(folder, { layers: 1 })
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const system = await startJobSystem(t, { roots: [folder] })
    const puts = (name: string) =>
      registry.requests
        .filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/sha256:'))
        .filter(({ headers }) => headers['user-agent'] === `layerd/${name}`)
        .map(({ headers }) => headers['content-type'])
    for (const name of ['first', 'second']) {
      const worker = await system.workerProcess(name)
      const options = { options: { manifest: 'auto' as const } }
      const job = await system.publish(built.path, `${registry.host}/${name}`, options)
      const ended = await system.ended(job.id)
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      assert.equal(ended.result?.manifest, 'image')
      const events = await system.log(job.id)
      assertStreamInvariants(events)
      assert.ok(
        events.some((event) => event.type === 'log' && event.message.endsWith('; publishing an image manifest')),
      )
      await worker.stop()
    }
    assert.deepEqual(puts('first'), [OCI_ARTIFACT_MANIFEST, OCI_MANIFEST])
    assert.deepEqual(puts('second'), [OCI_MANIFEST])
  })

  test('progress is whole with each kind, and the result says which it was', async (t) => {
    const folder = await tempDir(t)
    const archive = await buildPackage(folder, { layers: 3, format: 'tar.zst' })
    const tar = await buildPackage(folder, { layers: 3, format: 'tar' })
    const registry = await startMemoryRegistry({ artifactManifests: true })
    t.after(() => registry.close())
    const system = await startJobSystem(t, { roots: [folder] })
    await system.worker('one')
    const kinds: ReadonlyArray<ManifestKind | undefined> = ['artifact', 'auto', 'image', undefined]
    for (const { path } of [archive, tar]) {
      for (const manifest of kinds) {
        const destination = `${registry.host}/${manifest ?? 'none'}`
        const job = await system.publish(path, destination, { options: manifest === undefined ? {} : { manifest } })
        const { state, result, error } = await system.ended(job.id)
        assert.equal(state, 'succeeded', JSON.stringify(error))
        assert.equal(result?.manifest, manifest === 'auto' ? 'artifact' : manifest)
        assertStreamInvariants(await system.log(job.id))
        const stored = registry.manifests.get(`${manifest ?? 'none'}/sample`, result?.digest ?? '')
        assert.equal(rawManifest('', stored?.bytes ?? Buffer.alloc(0)).digest, result?.digest)
      }
    }
  })
})
