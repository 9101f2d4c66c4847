import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { rawManifest } from '../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { AppError } from '../../src/lib/errors.ts'
import { indexHolds, updateIndex } from '../../src/oci/manifests/index-manifest.ts'
import { inspectTag } from '../../src/oci/manifests/tag-index.ts'
import type { Repository } from '../../src/oci/registry.ts'
import { publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'

const signal = new AbortController().signal
const REPOSITORY = 'test/blobs'
const amd64 = rawManifest(OCI_MANIFEST, publishedManifest('nemo', 'amd64'))
const arm64 = rawManifest(OCI_MANIFEST, publishedManifest('nemo', 'arm64'))
const entry = (manifest: typeof amd64, architecture: string) => ({
  descriptor: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length },
  architecture,
})

/** What `zarf package publish` left of each package, without the blobs that nobody asks for here. */
function store(registry: MemoryRegistry, ...manifests: (typeof amd64)[]): void {
  for (const { digest, mediaType, bytes } of manifests) registry.manifests.put(REPOSITORY, digest, mediaType, bytes)
}

function update(repository: Repository, manifest: typeof amd64, architecture: string, guard = async () => {}) {
  const warnings: string[] = []
  const onWarning = (code: string) => void warnings.push(code)
  const options = { repository, tag: '1.2.0', entries: [entry(manifest, architecture)], guard, signal, onWarning }
  return { warnings, done: updateIndex(options) }
}

test('a fresh tag and a second architecture give the bytes that zarf publishes', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64, arm64)
  await update(repository, amd64, 'amd64').done
  const { indexDigest } = await update(repository, arm64, 'arm64').done
  const published = rawManifest(OCI_INDEX, publishedIndex('nemo'))
  assert.deepEqual(await repository.getManifest('1.2.0', { signal }), published)
  assert.equal(indexDigest, published.digest)
})

test('publishing again changes nothing', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64, arm64)
  registry.manifests.put(REPOSITORY, '1.2.0', OCI_INDEX, publishedIndex('nemo'))
  const { done, warnings } = update(repository, amd64, 'amd64')
  assert.equal((await done).indexDigest, rawManifest(OCI_INDEX, publishedIndex('nemo')).digest)
  assert.deepEqual(warnings, [])
})

test('a tag with a bare manifest is refused before anything is written', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  registry.manifests.put(REPOSITORY, '1.2.0', OCI_MANIFEST, amd64.bytes)
  await assert.rejects(inspectTag({ repository, tag: '1.2.0', signal }), { code: 'TAG_NOT_INDEX' })
  await assert.rejects(update(repository, arm64, 'arm64').done, { code: 'TAG_NOT_INDEX' })
  assert.equal(registry.requests.filter(({ method }) => method === 'PUT').length, 0)
})

test('an entry whose manifest is gone is kept and warned of', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, arm64)
  registry.manifests.put(REPOSITORY, '1.2.0', OCI_INDEX, publishedIndex('nemo'))
  // distribution refuses such an index; registries that take it must not lose the entry.
  registry.fail(
    { method: 'PUT' },
    { kind: 'answer', status: 400, body: '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}' },
  )
  const { done, warnings } = update(repository, arm64, 'riscv64')
  await assert.rejects(done, { code: 'REGISTRY_REJECTED' })
  assert.deepEqual(warnings, ['INDEX_DANGLING'])
})

test('an index that would stay as it is is not written', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, arm64, amd64)
  registry.manifests.put(REPOSITORY, '1.2.0', OCI_INDEX, publishedIndex('nemo'))
  const { indexDigest, contended } = await update(repository, arm64, 'arm64').done
  assert.deepEqual([indexDigest, contended], [digestOf(publishedIndex('nemo')), false])
  assert.equal(registry.requests.filter(({ method }) => method === 'PUT').length, 0)
})

test('the guard is asked right before the write and stops it', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64)
  const guard = async () => {
    throw new AppError('JOB_FENCED', 'another run has taken over')
  }
  await assert.rejects(update(repository, amd64, 'amd64', guard).done, { code: 'JOB_FENCED' })
  assert.equal(registry.manifests.get(REPOSITORY, '1.2.0'), undefined)
})

test('the guard is asked again before a write is tried again, when its connection is ready', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64)
  registry.fail({ method: 'PUT' }, { kind: 'answer', status: 503, body: '' })
  const asked: number[] = []
  const puts = () => registry.requests.filter(({ method }) => method === 'PUT').length
  const guard = async () => {
    asked.push(puts())
    if (puts() > 0) throw new AppError('JOB_FENCED', 'another run has taken over')
  }
  await assert.rejects(update(repository, amd64, 'amd64', guard).done, { code: 'JOB_FENCED' })
  assert.deepEqual(asked, [0, 0, 1], 'before the write begins, before its first try, before its second')
  assert.equal(puts(), 1, 'nothing of the second try went out')
})

/** Puts an index with this one entry under the tag, as another client would. */
function foreignWrite(registry: MemoryRegistry, architecture: string, digest: string): void {
  const manifests = [{ mediaType: OCI_MANIFEST, digest, size: 1, platform: { architecture, os: 'multi' } }]
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  registry.manifests.put(REPOSITORY, '1.2.0', OCI_INDEX, bytes)
}

test('a foreign write between reading and writing is seen, and both entries stay', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64, arm64)
  let written = false
  const guard = async () => {
    if (!written) foreignWrite(registry, 'arm64', arm64.digest)
    written = true
  }
  const { done, warnings } = update(repository, amd64, 'amd64', guard)
  assert.equal((await done).contended, true)
  assert.deepEqual(warnings, ['INDEX_CONTENDED'])
  for (const each of [entry(amd64, 'amd64'), entry(arm64, 'arm64')]) {
    assert.ok(await indexHolds({ repository, tag: '1.2.0', entries: [each], signal }))
  }
})

test('a foreign write that drops our entry right after ours is seen by reading back', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64, arm64)
  let puts = 0
  const dropping: Repository = {
    ...repository,
    async putManifest(reference, manifest, options) {
      await repository.putManifest(reference, manifest, options)
      puts += 1
      if (puts === 1) foreignWrite(registry, 'arm64', arm64.digest)
    },
  }
  const { done, warnings } = update(dropping, amd64, 'amd64')
  assert.equal((await done).contended, true)
  assert.equal(puts, 2)
  assert.deepEqual(warnings, ['INDEX_CONTENDED'])
  assert.ok(await indexHolds({ repository, tag: '1.2.0', entries: [entry(amd64, 'amd64')], signal }))
})

test('a tag that never rests ends the attempts with a passing error', async (t) => {
  await using registry = await startMemoryRegistry()
  const repository = await openRepository(t, registry.host)
  store(registry, amd64)
  let writes = 0
  const guard = async () => {
    writes += 1
    foreignWrite(registry, `other${writes}`, digestOf('gone'))
  }
  const { done, warnings } = update(repository, amd64, 'amd64', guard)
  await assert.rejects(done, { code: 'TAG_CONTENDED', retry: 'transient' })
  assert.equal(writes, 5)
  assert.deepEqual(warnings, ['INDEX_CONTENDED', 'INDEX_DANGLING'], 'each is told once')
})
