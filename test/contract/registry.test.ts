import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UploadSessionStore } from '../../src/content/checkpoint.ts'
import type { MountAnswer, PushEvent } from '../../src/content/endpoints.ts'
import { MAX_MANIFEST_BYTES, rawManifest } from '../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { AppError, isAppError } from '../../src/lib/errors.ts'
import { readAll } from '../../src/content/streams.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { startZot } from '../helpers/registries/zot.ts'
import {
  memorySessions,
  openRepository,
  recorder,
  someBytes,
  type TestBlob,
  testBlob,
} from '../helpers/registries/oci-client.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal

interface Subject {
  /** Whether bytes of a cut upload can be built upon. */
  keepsCutUploads: boolean
  /** Whether it looks for the blobs that a manifest names, whatever type its config has. Default true. */
  checksBlobs?: boolean
  start: (t: Cleanup) => Promise<string>
}

const memory = (sessions: 'dist2.8' | 'dist3') => async (t: Cleanup) => {
  const registry = await startMemoryRegistry({ sessions })
  t.after(() => registry.close())
  return registry.host
}
const real = (program: 'docker-registry' | 'registry') => async (t: Cleanup) =>
  (await startDockerRegistry(t, { program })).host

const SUBJECTS: Record<string, Subject | undefined> = {
  'memory registry as distribution 2.8': { keepsCutUploads: false, start: memory('dist2.8') },
  'memory registry as distribution 3': { keepsCutUploads: true, start: memory('dist3') },
  'docker-registry (distribution 2.8)': registryPrograms().includes('docker-registry')
    ? { keepsCutUploads: false, start: real('docker-registry') }
    : undefined,
  'registry (distribution 3)': registryPrograms().includes('registry')
    ? { keepsCutUploads: true, start: real('registry') }
    : undefined,
  zot: findProgram('zot')
    ? { keepsCutUploads: false, checksBlobs: false, start: async (t) => (await startZot(t)).host }
    : undefined,
}

for (const [name, subject] of Object.entries(SUBJECTS)) {
  describe(name, { skip: subject ? false : 'not on PATH' }, () => {
    if (subject) registrySuite(subject)
  })
}

function registrySuite({ start, keepsCutUploads, checksBlobs = true }: Subject): void {
  for (const size of [1, 1000, 3 * MIB, 9 * MIB]) {
    test(`stores and gives back a blob of ${size} bytes`, async (t) => {
      const repository = await openRepository(t, await start(t))
      const blob = testBlob(someBytes(size))
      const { onEvent, events } = recorder()
      assert.equal(await repository.exists(blob.descriptor, { signal }), false)
      await repository.push(blob.descriptor, blob.open, { signal, onEvent })
      assert.deepEqual(await repository.stat(blob.descriptor.digest, { signal }), { size })
      assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal })), blob.bytes)
      const last = events.findLast((event) => event.type === 'bytes')
      assert.equal(last?.type === 'bytes' && last.offset, size)
    })
  }

  test('gives a blob from an offset, to its end or an earlier one', async (t) => {
    const repository = await openRepository(t, await start(t))
    const blob = testBlob(someBytes(MIB))
    await repository.push(blob.descriptor, blob.open, { signal })
    for (const offset of [1, 65_536, MIB - 1, MIB]) {
      const tail = await readAll(await repository.open(blob.descriptor, { offset, signal }))
      assert.deepEqual(tail, blob.bytes.subarray(offset), `from ${offset}`)
    }
    for (const [offset, end] of [
      [0, 65_536],
      [65_536, 65_537],
      [1, MIB - 1],
    ] as const) {
      const part = await readAll(await repository.open(blob.descriptor, { offset, end, signal }))
      assert.deepEqual(part, blob.bytes.subarray(offset, end), `from ${offset} to ${end}`)
    }
  })

  test('does not have what was never pushed', async (t) => {
    const repository = await openRepository(t, await start(t))
    const { descriptor } = testBlob(someBytes(100))
    assert.equal(await repository.stat(descriptor.digest, { signal }), undefined)
    await assert.rejects(repository.open(descriptor, { signal }), { code: 'BLOB_NOT_FOUND' })
    assert.equal(await repository.getManifest('v1', { signal }), undefined)
    assert.equal(await repository.headManifest('v1', { signal }), undefined)
    assert.deepEqual(await repository.tags({ signal }), [])
  })

  test('links a blob of another repository, and says when it cannot', async (t) => {
    const host = await start(t)
    const from = await openRepository(t, host, { repository: 'test/from' })
    const to = await openRepository(t, host, { repository: 'test/to' })
    const blob = testBlob(someBytes(5000))
    const answers: MountAnswer[] = []
    const mountFrom = [{ repository: 'test/from', answered: (answer: MountAnswer) => void answers.push(answer) }]
    const elsewhere = testBlob(someBytes(5000, 2))
    await to.push(elsewhere.descriptor, elsewhere.open, { signal, mountFrom })
    await from.push(blob.descriptor, blob.open, { signal })
    await to.push(blob.descriptor, () => assert.fail('no byte is needed'), { signal, mountFrom })
    assert.deepEqual(answers, ['refused', 'mounted'])
    assert.equal(await to.exists(elsewhere.descriptor, { signal }), true)
    assert.equal(await to.exists(blob.descriptor, { signal }), true)
    await to.releasePush()
  })

  test('stores manifests under digest and tag, byte for byte', async (t) => {
    const repository = await openRepository(t, await start(t))
    const config = testBlob(Buffer.from('{}\n'))
    await repository.push(config.descriptor, config.open, { signal })
    const manifest = rawManifest(OCI_MANIFEST, manifestNaming([config.descriptor]))
    await repository.putManifest(manifest.digest, manifest, { signal })
    assert.equal(await repository.headManifest('v1', { signal }), undefined)
    await repository.putManifest('v1', manifest, { signal })
    assert.deepEqual(await repository.getManifest('v1', { signal }), manifest)
    assert.deepEqual(await repository.getManifest(manifest.digest, { signal }), manifest)
    const expected = { digest: manifest.digest, mediaType: OCI_MANIFEST, size: manifest.bytes.length }
    assert.deepEqual(await repository.headManifest('v1', { signal }), expected)
    const index = rawManifest(OCI_INDEX, indexNaming(manifest.digest, manifest.bytes.length))
    await repository.putManifest('v1', index, { signal })
    assert.deepEqual(await repository.getManifest('v1', { signal }), index)
    assert.deepEqual(await repository.tags({ signal }), ['v1'])
  })

  test('lists more tags than fit on a page', async (t) => {
    const repository = await openRepository(t, await start(t))
    const config = testBlob(Buffer.from('{}\n'))
    await repository.push(config.descriptor, config.open, { signal })
    const manifest = rawManifest(OCI_MANIFEST, manifestNaming([config.descriptor]))
    const names = Array.from({ length: 12 }, (_, at) => `v${at}`)
    for (const name of names) await repository.putManifest(name, manifest, { signal })
    assert.deepEqual([...(await repository.tags({ signal }))].toSorted(), names.toSorted())
  })

  test('names the blobs that a manifest misses', async (t) => {
    const repository = await openRepository(t, await start(t))
    const missing = testBlob(Buffer.from('never pushed'))
    const manifest = rawManifest(OCI_MANIFEST, manifestNaming([missing.descriptor]))
    // zot looks for blobs only where the config is an image's or empty. So nothing but layerd's own order keeps a
    // package there from being tagged before its layers are there.
    if (!checksBlobs) return await repository.putManifest('v1', manifest, { signal })
    await assert.rejects(repository.putManifest('v1', manifest, { signal }), (error) => {
      assert.ok(isAppError(error))
      assert.equal(error.code, 'REGISTRY_REJECTED')
      assert.equal(error.upstream?.ociCode, 'MANIFEST_BLOB_UNKNOWN')
      assert.deepEqual(error.details?.['missing'], [missing.descriptor.digest])
      return true
    })
  })

  test('refuses a manifest over 4 MiB', async (t) => {
    const repository = await openRepository(t, await start(t))
    const manifest = rawManifest(OCI_MANIFEST, Buffer.alloc(MAX_MANIFEST_BYTES + 1, ' '))
    await assert.rejects(repository.putManifest('v1', manifest, { signal }), { code: 'REGISTRY_REJECTED' })
  })

  test('goes on with an upload that another process left behind', async (t) => {
    const host = await start(t)
    const sessions = memorySessions()
    const blob = testBlob(someBytes(24 * MIB))
    assert.ok(await leaveAt(t, { host, sessions, blob }, (event) => event.type === 'bytes' && event.offset >= 12 * MIB))
    assert.equal(sessions.saved.size, 1)
    const after = recorder()
    const second = await openRepository(t, host, { sessions })
    await second.push(blob.descriptor, blob.open, { signal, onEvent: after.onEvent })
    assert.deepEqual(await readAll(await second.open(blob.descriptor, { signal })), blob.bytes)
    assert.equal(sessions.saved.size, 0)
    // The registry may still have been taking in what the first process sent when the second one asked.
    const offset = after.starts().at(-1) ?? -1
    if (keepsCutUploads) assert.ok(offset > 4 * MIB && offset < 24 * MIB, `went on from ${offset}`)
    else assert.equal(offset, 0, 'a cut session of 2.8 cannot be used any more, one of zot is gone')
    assert.equal(blob.opened.at(-1), offset, 'the source is read from there, too')
  })

  test('goes on with an upload that another process left with nothing missing but its commit', async (t) => {
    const host = await start(t)
    const sessions = memorySessions()
    const blob = testBlob(someBytes(24 * MIB))
    const left = await leaveAt(t, { host, sessions, blob }, (event) => event.type === 'verifying')
    if (!left) return t.skip('its last bytes commit what they end')
    const second = await openRepository(t, host, { sessions })
    const [{ offset } = { offset: 0 }] = [...sessions.saved.values()] as Array<{ offset: number }>
    assert.equal(offset, blob.bytes.length)
    await second.push(blob.descriptor, blob.open, { signal })
    assert.deepEqual(await readAll(await second.open(blob.descriptor, { signal })), blob.bytes)
    assert.equal(sessions.saved.size, 0)
  })
}

/** Pushes the blob until then, and stops as a worker does that shuts down: the session stays. False where it did not come to that. */
async function leaveAt(
  t: Cleanup,
  options: { host: string; sessions: UploadSessionStore; blob: TestBlob },
  isThere: (event: PushEvent) => boolean,
): Promise<boolean> {
  const { host, sessions, blob } = options
  const stop = new AbortController()
  const repository = await openRepository(t, host, { sessions })
  const onEvent = (event: PushEvent) => {
    if (isThere(event)) stop.abort(new AppError('SHUTTING_DOWN', 'stopping'))
  }
  const pushing = repository.push(blob.descriptor, blob.open, { signal: stop.signal, onEvent })
  const error = await pushing.then(
    () => undefined,
    (reason: AppError) => reason,
  )
  assert.equal(error?.code, stop.signal.aborted ? 'SHUTTING_DOWN' : undefined)
  return stop.signal.aborted
}

function manifestNaming(layers: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: layers[0], layers }))
}

function indexNaming(digest: string, size: number): Buffer {
  const platform = { architecture: 'amd64', os: 'multi' }
  const manifests = [{ mediaType: OCI_MANIFEST, digest, size, platform }]
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
}
