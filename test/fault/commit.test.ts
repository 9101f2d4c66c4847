import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { parseDestination } from '../../src/content/reference.ts'
import type { Repository } from '../../src/oci/registry.ts'
import { commit } from '../../src/transfer/commit.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { type PackageContents } from '../../src/zarf/package.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { testBlob } from '../helpers/registries/oci-client.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { openPackageAt } from '../helpers/packages/open-package.ts'

const { signal } = new AbortController()
const TAG = '1.2.0'

interface Scene {
  registry: MemoryRegistry
  repository: Repository
  contents: PackageContents
  events: EngineEvent[]
  slept: number[]
  run(hooks: { beforePut?: () => void; whileWaiting?: () => void }): ReturnType<typeof commit>
}

/** nemo for amd64 with all its blobs in the registry, under another tag. */
async function setUp(t: TestContext): Promise<Scene> {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await publishTo(t, FIXTURES.nemoAmd64, parseDestination(`oci://${registry.host}`), { tag: 'other' })
  const repository = await registryClient(t).repository(registry.host, 'nemo')
  await using opened = await openPackageAt(FIXTURES.nemoAmd64, { signal })
  assert.equal(opened.kind, 'streamed')
  const contents = await opened.scan({ signal })
  const events: EngineEvent[] = []
  const clock = createStepClock()
  return {
    registry,
    repository,
    contents,
    events,
    slept: clock.slept,
    async run({ beforePut, whileWaiting }) {
      let locked = false
      return commit(
        contents,
        { repository, tag: TAG },
        {
          signal,
          onEvent: (event) => events.push(event),
          checkOwnership: async () => void (locked && beforePut?.()),
          async lockTag(_reference, task) {
            locked = true
            const result = await task(signal)
            locked = false
            return result
          },
          clock: {
            ...clock,
            async sleep(ms) {
              assert.equal(locked, false, 'the lock is free while the entry is left to rest')
              await clock.sleep(ms)
              whileWaiting?.()
            },
          },
        },
      )
    },
  }
}

/** An index that names arm64 alone, as a client writes that has read it before amd64 was there. */
function dropsOurs({ registry }: Scene): void {
  const arm64 = publishedManifest('nemo', 'arm64')
  const digest = registry.manifests.put('nemo', 'arm64', OCI_MANIFEST, arm64)
  const platform = { architecture: 'arm64', os: 'multi' }
  const manifests = [{ mediaType: OCI_MANIFEST, digest, size: arm64.length, platform }]
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  registry.manifests.put('nemo', TAG, OCI_INDEX, bytes)
}

function architectures({ registry }: Scene): string[] {
  const index = JSON.parse(registry.manifests.get('nemo', TAG)?.bytes.toString() ?? '{}') as {
    manifests: Array<{ platform: { architecture: string } }>
  }
  return index.manifests.map(({ platform }) => platform.architecture)
}

function warnings({ events }: Scene): string[] {
  return events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))
}

test('a write that nobody disturbed waits for nothing', async (t) => {
  const scene = await setUp(t)
  await scene.run({})
  assert.deepEqual([architectures(scene), scene.slept, warnings(scene)], [['amd64'], [], []])
})

test('after a disturbed write the entry is looked for again, and stays when it is there', async (t) => {
  const scene = await setUp(t)
  let writes = 0
  const { indexDigest } = await scene.run({ beforePut: () => void (writes++ === 0 && dropsOurs(scene)) })
  assert.deepEqual(architectures(scene), ['arm64', 'amd64'])
  assert.deepEqual([scene.slept, warnings(scene)], [[5000], ['INDEX_CONTENDED']])
  assert.equal(indexDigest, scene.registry.manifests.get('nemo', TAG)?.digest)
})

test('an entry that a foreign client drops seconds later is put back before the job ends', async (t) => {
  const scene = await setUp(t)
  let [writes, waits] = [0, 0]
  const { indexDigest } = await scene.run({
    beforePut: () => void (writes++ === 0 && dropsOurs(scene)),
    whileWaiting: () => void (waits++ === 0 && dropsOurs(scene)),
  })
  assert.deepEqual(architectures(scene), ['arm64', 'amd64'])
  assert.deepEqual([scene.slept, warnings(scene)], [[5000, 5000], ['INDEX_CONTENDED']])
  assert.equal(indexDigest, scene.registry.manifests.get('nemo', TAG)?.digest)
})

test('a foreign client that never stops ends it with a passing error after five repeats', async (t) => {
  const scene = await setUp(t)
  let writes = 0
  const committing = scene.run({
    beforePut: () => void (writes++ === 0 && dropsOurs(scene)),
    whileWaiting: () => dropsOurs(scene),
  })
  await assert.rejects(committing, { code: 'TAG_CONTENDED', retry: 'transient' })
  assert.equal(scene.slept.length, 6)
})

test('an index with a dangling entry is published to, and that entry kept', async (t) => {
  await using registry = await startMemoryRegistry({ danglingIndexes: true })
  registry.manifests.put('nemo', TAG, OCI_INDEX, publishedIndex('nemo'))
  const { events } = await publishTo(t, FIXTURES.nemoAmd64, parseDestination(`oci://${registry.host}`))
  assert.deepEqual(registry.manifests.get('nemo', TAG)?.bytes, publishedIndex('nemo'))
  const told = events.filter((event) => event.type === 'warning')
  assert.deepEqual(
    told.map(({ code }) => code),
    ['INDEX_DANGLING'],
  )
})

for (const fixture of ['nemoAmd64', 'pilotBrass'] as const) {
  test(`a tag with a bare manifest is refused before a byte of ${fixture} moves`, async (t) => {
    await using registry = await startMemoryRegistry()
    const [name, tag] = fixture === 'nemoAmd64' ? ['nemo', TAG] : ['pilot', '2.0.0-rc.7-brass']
    registry.manifests.put(name, tag, OCI_MANIFEST, publishedManifest('nemo', 'amd64'))
    const publishing = publishTo(t, FIXTURES[fixture], parseDestination(`oci://${registry.host}`))
    await assert.rejects(publishing, { code: 'TAG_NOT_INDEX' })
    assert.equal(registry.requests.filter(({ bodyBytes }) => bodyBytes > 0).length, 0)
    assert.equal(registry.openSessions, 0)
  })
}

for (const losses of [1, 9]) {
  test(`manifest.blob-unknown.heals-once: a blob that is gone by the time of the manifest, ${losses} time(s)`, async (t) => {
    const { descriptor } = testBlob((await readPackage(FIXTURES.nemoAmd64)).files.get('zarf.yaml') ?? Buffer.alloc(0))
    let lost = 0
    const registry: MemoryRegistry = await startMemoryRegistry({
      authorize({ method, url = '' }) {
        // Eventually consistent, or its HEAD had spoken of another repository.
        if (method === 'PUT' && url.includes('/manifests/') && lost++ < losses)
          registry.deleteBlob('nemo', descriptor.digest)
        return undefined
      },
    })
    t.after(() => registry.close())
    const events: EngineEvent[] = []
    const destination = parseDestination(`oci://${registry.host}`)
    const publishing = publishTo(t, FIXTURES.nemoAmd64, destination, { onEvent: (event) => void events.push(event) })
    if (losses === 1) await publishing
    else await assert.rejects(publishing, { code: 'REGISTRY_REJECTED', details: { missing: [descriptor.digest] } })
    const told = events.flatMap((event) => (event.type === 'log' ? [event.message] : []))
    assert.match(told.join('\n'), /so all of them are looked at again: .* answered 400 MANIFEST_BLOB_UNKNOWN\b/)
    const sent = events.filter((event) => event.type === 'complete' && event.digest === descriptor.digest)
    assert.equal(sent.length, 2, 'only what is missing is sent again, and once')
    assert.equal(events.filter(({ type }) => type === 'complete').length, new Set(completed(events)).size + 1)
    assert.equal(registry.manifests.get('nemo', TAG) !== undefined, losses === 1)
  })
}

function completed(events: readonly EngineEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'complete' ? [event.digest] : []))
}
