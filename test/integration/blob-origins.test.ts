import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import { type ContentStore, createContentStore } from '../../src/store/content-store.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { openStoredPackage } from '../../src/transfer/stored-package.ts'
import { packageFiles, pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { openTarget } from '../../src/files/opened-target.ts'

const MIB = 1024 * 1024
const TEAM = 'team/sample'
const { signal } = new AbortController()

interface Bed {
  store: ContentStore
  /** What the store got from the private registry. */
  secret: Buffer
  digest: Digest
  own: MemoryRegistry
}

/** A store that holds a package of a private registry. */
async function withSecret(t: TestContext, options: MemoryRegistryOptions = {}): Promise<Bed> {
  const own = await registry(t, options)
  const secret = randomBytes(3 * MIB)
  name(own, TEAM, secret)
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  await pullFrom(t, reference(own, TEAM), { store })
  own.requests.length = 0
  return { own, secret, digest: digestOf(secret), store }
}

async function registry(t: TestContext, options: MemoryRegistryOptions = {}): Promise<MemoryRegistry> {
  const started = await startMemoryRegistry(options)
  t.after(() => started.close())
  return started
}

/** Has a package of a registry name the layer, and hold it. */
function name(registry: MemoryRegistry, repository: string, layer: Buffer, definition = ''): void {
  const files = { 'components/one.tar': layer, 'components/two.tar': Buffer.from('small') }
  putPackage(registry, { repository, tag: '1.0.0' }, packageFiles(files, definition))
}

function reference({ host }: MemoryRegistry, repository: string): string {
  return `${host}/${repository}:1.0.0`
}

function asked({ requests }: MemoryRegistry, method: string, digest: Digest): number {
  return requests.filter((request) => request.method === method && request.path.endsWith(digest)).length
}

/** What came of a layer: its events' types, each once, and its bytes over the wire. */
function way(events: readonly EngineEvent[], digest: Digest): { types: string[]; wire: number } {
  const own = events.filter((event) => event.type !== 'transfer' && 'digest' in event && event.digest === digest)
  const wire = own.reduce((sum, event) => sum + (event.type === 'bytes' ? event.wire : 0), 0)
  return { types: [...new Set(own.map(({ type }) => type))], wire }
}

describe('a layer that another registry brought', () => {
  test('is not had by naming its digest, whatever a registry says to HEAD', async (t) => {
    const { store, secret, digest } = await withSecret(t)
    const packages = await store.packages.list()
    const foreign = await registry(t)
    name(foreign, TEAM, secret)
    const bytes = randomBytes(secret.length)
    foreign.putBlob(TEAM, bytes, digest)
    await assert.rejects(pullFrom(t, reference(foreign, TEAM), { store }), { code: 'DIGEST_MISMATCH' })
    foreign.deleteBlob(TEAM, digest)
    const absent = { method: 'HEAD', path: new RegExp(digest), times: 100 }
    foreign.fail(absent, { kind: 'answer', status: 200, headers: { 'docker-content-digest': digest } })
    await assert.rejects(pullFrom(t, reference(foreign, TEAM), { store }), { code: 'BLOB_NOT_FOUND' })
    assert.deepEqual(await store.packages.list(), packages)
    assert.deepEqual((await store.check({ signal })).findings, [])
  })

  test('is not had as an archive by a pull that leaves it out', async (t) => {
    const { store, secret, digest } = await withSecret(t)
    const foreign = await registry(t)
    const components = 'components:\n- name: one\n- name: two\n  required: true'
    name(foreign, TEAM, secret, components)
    foreign.deleteBlob(TEAM, digest)
    const { outcome } = await pullFrom(t, reference(foreign, TEAM), { store, components: ['two'] })
    const stored = await openStoredPackage(store, outcome.digest, signal)
    assert.equal(stored.record.complete, false)
    for (const chosen of [{}, { components: ['one'] }]) {
      await assert.rejects(stored.archive(chosen), { code: 'PACKAGE_INCOMPLETE' })
    }
    await stored.archive({ components: ['two'] })
    // Once it was brought it is the package's for good.
    foreign.putBlob(TEAM, secret)
    await pullFrom(t, reference(foreign, TEAM), { store, components: ['one'] })
    await pullFrom(t, reference(foreign, TEAM), { store, components: ['two'] })
    const whole = await openStoredPackage(store, outcome.digest, signal)
    assert.equal(whole.record.complete, true)
    await whole.archive()
  })

  test('is fetched from there too, once, and not written again', async (t) => {
    const { store, secret, digest } = await withSecret(t)
    const mirror = await registry(t)
    name(mirror, TEAM, secret)
    const blob = join(store.folder, 'blobs/sha256', digest.slice(7))
    const { ino } = await stat(blob)
    const first = await pullFrom(t, reference(mirror, TEAM), { store })
    assert.deepEqual(way(first.events, digest), {
      types: ['started', 'bytes', 'verifying', 'complete'],
      wire: secret.length,
    })
    assert.deepEqual(await readdir(join(store.folder, 'ingest')), [])
    assert.equal((await stat(blob)).ino, ino)
    mirror.requests.length = 0
    const again = await pullFrom(t, reference(mirror, TEAM), { store })
    assert.deepEqual(way(again.events, digest), { types: ['exists'], wire: 0 })
    assert.deepEqual([asked(mirror, 'HEAD', digest), asked(mirror, 'GET', digest)], [0, 0])
  })

  test('goes on where the connection broke, and is asked for once more where wrong bytes came', async (t) => {
    const { store, secret, digest } = await withSecret(t)
    const mirror = await registry(t)
    name(mirror, TEAM, secret)
    const path = new RegExp(digest)
    mirror.fail({ method: 'GET', path }, { kind: 'answer', status: 200, body: randomBytes(secret.length) })
    mirror.fail({ method: 'GET', path, nth: 2 }, { kind: 'cut-response', afterBytes: MIB })
    const { events } = await pullFrom(t, reference(mirror, TEAM), { store })
    const { types } = way(events, digest)
    assert.deepEqual(types.toSorted(), ['bytes', 'complete', 'restarted', 'retrying', 'started', 'verifying'])
    assert.equal(asked(mirror, 'GET', digest), 3)
    const last = mirror.requests.findLast((request) => request.path.endsWith(digest))
    assert.match(last?.headers.range ?? '', /^bytes=\d+-$/)
  })

  test('goes into a file as well when it was fetched', async (t) => {
    const { store, secret, digest } = await withSecret(t)
    const foreign = await registry(t)
    name(foreign, TEAM, secret)
    const folder = await tempDir(t, 'pulled')
    foreign.deleteBlob(TEAM, digest)
    const request = { store, target: openTarget({ path: folder, roots: [folder] }) }
    await assert.rejects(pullFrom(t, reference(foreign, TEAM), request), { code: 'BLOB_NOT_FOUND' })
    assert.deepEqual(await readdir(folder), [])
    foreign.putBlob(TEAM, secret)
    await pullFrom(t, reference(foreign, TEAM), request)
    assert.equal((await readdir(folder)).length, 1)
  })
})

describe('a layer that another repository of the registry brought', () => {
  test('is skipped after one HEAD there, and without one from then on', async (t) => {
    const { store, own, secret, digest } = await withSecret(t)
    name(own, 'prod/sample', secret)
    const first = await pullFrom(t, reference(own, 'prod/sample'), { store })
    assert.deepEqual(way(first.events, digest), { types: ['exists'], wire: 0 })
    assert.deepEqual([asked(own, 'HEAD', digest), asked(own, 'GET', digest)], [1, 0])
    await pullFrom(t, reference(own, 'prod/sample'), { store })
    assert.deepEqual([asked(own, 'HEAD', digest), asked(own, 'GET', digest)], [1, 0])
  })

  for (const status of [401, 403, 404]) {
    test(`is asked for where HEAD says ${status}`, async (t) => {
      const { store, own, secret, digest } = await withSecret(t)
      name(own, 'mine/sample', secret)
      const path = new RegExp(`mine/sample/blobs/${digest}`)
      const heal = own.fail({ path, times: 1000 }, { kind: 'answer', status })
      await assert.rejects(pullFrom(t, reference(own, 'mine/sample'), { store }), {
        code: { 401: 'REGISTRY_UNAUTHORIZED', 403: 'REGISTRY_DENIED', 404: 'BLOB_NOT_FOUND' }[status],
      })
      assert.equal(asked(own, 'HEAD', digest), 1)
      heal()
      own.fail({ method: 'HEAD', path }, { kind: 'answer', status })
      const { events } = await pullFrom(t, reference(own, 'mine/sample'), { store })
      assert.equal(way(events, digest).wire, secret.length)
    })
  }

  test('is not had by waiting for its download, nor by going on behind its last byte', async (t) => {
    const { store, own, secret, digest } = await withSecret(t)
    await store.packages.delete((await store.packages.list())[0]?.digest as Digest)
    name(own, 'mine/sample', secret)
    own.fail({ path: new RegExp(`mine/sample/blobs/${digest}`), times: 1000 }, { kind: 'answer', status: 404 })
    const held = Promise.withResolvers<void>()
    own.fail({ method: 'GET', path: new RegExp(`${TEAM}/blobs/${digest}`) }, { kind: 'hold', until: held.promise })
    const following = Promise.withResolvers<void>()
    const first = pullFrom(t, reference(own, TEAM), {
      store,
      onEvent: (event) => {
        if (event.type === 'started' && event.digest === digest) following.resolve()
      },
    })
    await following.promise
    const second = pullFrom(t, reference(own, 'mine/sample'), {
      store,
      onEvent: (event) => {
        if (event.type === 'followed' && event.digest === digest) held.resolve()
      },
    })
    await Promise.all([first, assert.rejects(second, { code: 'BLOB_NOT_FOUND' })])

    // A process that was killed between the last byte and the blob's name leaves it so.
    await store.packages.delete((await first).outcome.digest)
    own.fail({ method: 'GET', path: new RegExp(`${TEAM}/blobs/${digest}`) }, { kind: 'cut-response', afterBytes: MIB })
    own.fail(
      { method: 'GET', path: new RegExp(`${TEAM}/blobs/${digest}`), nth: 2, times: 4 },
      { kind: 'answer', status: 503 },
    )
    await assert.rejects(pullFrom(t, reference(own, TEAM), { store }), { retry: 'transient' })
    const [partial = ''] = await readdir(join(store.folder, 'ingest'))
    await writeFile(join(store.folder, 'ingest', partial), secret)
    await assert.rejects(pullFrom(t, reference(own, 'mine/sample'), { store }), { code: 'BLOB_NOT_FOUND' })
  })
})

describe('where layers came from', () => {
  test('goes with them', async (t) => {
    const { store } = await withSecret(t)
    assert.notDeepEqual(await readdir(join(store.folder, 'origins')), [])
    await store.packages.delete((await store.packages.list())[0]?.digest as Digest)
    assert.deepEqual(await readdir(join(store.folder, 'origins')), [])
  })

  test('is known of the last sixteen places', async (t) => {
    const { store, own, secret, digest } = await withSecret(t)
    for (let at = 1; at <= 17; at += 1) {
      name(own, `copy/n${at}`, secret)
      await pullFrom(t, reference(own, `copy/n${at}`), { store })
    }
    const lines = (await readFile(join(store.folder, 'origins', digest.replace(':', '-')), 'utf8')).split('\n')
    assert.deepEqual(
      [lines.length, lines[0], lines[15], lines[16]],
      [17, `${own.host}/copy/n2`, `${own.host}/copy/n17`, ''],
    )
  })

  test('is taken from the packages of a store that has no word of it yet', async (t) => {
    const { store, own, secret, digest } = await withSecret(t)
    const foreign = await registry(t)
    name(foreign, TEAM, secret)
    await rm(join(store.folder, 'origins'), { recursive: true })
    // An earlier process was killed while it did so.
    await writeFile(join(store.folder, 'origins.new'), '')
    await using older = await createContentStore({ folder: store.folder })
    const { events } = await pullFrom(t, reference(own, TEAM), { store: older })
    assert.deepEqual(way(events, digest), { types: ['exists'], wire: 0 })
    assert.deepEqual([asked(own, 'HEAD', digest), asked(own, 'GET', digest)], [0, 0])
    assert.equal(
      way((await pullFrom(t, reference(foreign, TEAM), { store: older })).events, digest).wire,
      secret.length,
    )
  })
})
