import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AppError } from '../../../../src/lib/errors.ts'
import { bufferOpener } from '../../../../src/content/streams.ts'
import { createContentStore } from '../../../../src/store/content-store.ts'
import { descriptorOf } from '../../../helpers/packages/content-suite.ts'
import { someBytes } from '../../../helpers/registries/oci-client.ts'
import { startProcess } from '../../../helpers/processes/processes.ts'
import { blobOf, storeSample } from '../../../helpers/packages/store-packages.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const CHILD = fileURLToPath(new URL('../../../helpers/packages/store-child.ts', import.meta.url))
const { signal } = new AbortController()

test('a lease beyond the limit is STORE_FULL with the numbers', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store'), maxBytes: 10_000 })
  const { record } = await storeSample(store, { layers: [someBytes(4000)] })
  const { usedBytes } = await store.space()
  await assert.rejects(store.lease([descriptorOf(someBytes(9000, 2))]), (error: AppError) => {
    assert.equal(error.code, 'STORE_FULL')
    assert.equal(error.details?.['neededBytes'], 9000)
    assert.equal(error.details?.['usedBytes'], usedBytes)
    assert.equal(error.details?.['maxBytes'], 10_000)
    assert.match(error.message, /needs 9000 bytes; the store has \d+ of its 10000 left/)
    return true
  })
  assert.ok(await store.packages.get(record.digest))
})

test('room promised to one pull is not promised to another, in whatever process, until it is given back', async (t) => {
  const folder = await tempDir(t, 'store')
  const [one, two] = await Promise.all([
    createContentStore({ folder, maxBytes: 10_000 }),
    createContentStore({ folder, maxBytes: 10_000 }),
  ])
  const held = await one.lease([descriptorOf(someBytes(6000))])
  await assert.rejects(two.lease([descriptorOf(someBytes(5000, 2))]), (error: AppError) => {
    assert.equal(error.details?.['promisedBytes'], 6000)
    return error.code === 'STORE_FULL'
  })
  assert.equal((await two.space()).promisedBytes, 6000)
  await held[Symbol.asyncDispose]()
  assert.equal((await two.space()).promisedBytes, 0)
  await two.lease([descriptorOf(someBytes(5000, 2))])
})

test('two pulls of one package need its room once, and what has arrived needs none', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder, maxBytes: 10_000 })
  const bytes = someBytes(6000)
  await store.lease([descriptorOf(bytes)])
  await store.lease([descriptorOf(bytes)])
  await store.push(descriptorOf(bytes), bufferOpener(bytes), { signal })
  await store.lease([descriptorOf(someBytes(3900, 2))])
})

test('a lease ends with the process that was killed', async (t) => {
  const folder = await tempDir(t, 'store')
  const child = await startProcess(t, process.execPath, [CHILD, 'lease', folder, '6000'])
  await child.waitForOutput(/ready/)
  const store = await createContentStore({ folder, maxBytes: 10_000 })
  const wanted = descriptorOf(someBytes(5000, 2))
  await assert.rejects(store.lease([wanted]), { code: 'STORE_FULL' })
  await child.kill()
  await using _lease = await store.lease([wanted])
  assert.equal((await readdir(join(folder, 'leases'))).length, 2)
})

test('what nobody refers to makes room, except what the pull itself left here', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store'), maxBytes: 10_000 })
  const [own, others] = [someBytes(4000, 1), someBytes(4000, 2)]
  for (const bytes of [own, others]) await store.push(descriptorOf(bytes), bufferOpener(bytes), { signal })
  await store.lease([descriptorOf(own), descriptorOf(someBytes(5000, 3))])
  assert.equal(await store.exists(descriptorOf(own), { signal }), true)
  assert.equal(await store.exists(descriptorOf(others), { signal }), false)
})

test('collection keeps what packages and leases refer to, and for a day what a killed job may come back for', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const { manifest, layers } = await storeSample(store)
  const [leased, stray] = [someBytes(1000, 5), someBytes(1000, 6)]
  for (const bytes of [leased, stray]) await store.push(descriptorOf(bytes), bufferOpener(bytes), { signal })
  await writeFile(join(folder, 'ingest', `sha256-${'a'.repeat(64)}`), 'cut')
  await using _lease = await store.lease([descriptorOf(leased)])

  assert.deepEqual(await store.gc(), { removedBlobs: 0, removedIngests: 0, freedBytes: 0 })
  assert.deepEqual(await store.gc({ graceMs: 0 }), { removedBlobs: 1, removedIngests: 1, freedBytes: 1003 })
  for (const blob of [manifest, ...layers, descriptorOf(leased)]) assert.ok(await store.exists(blob, { signal }))
})

test('collection takes what a broken line left of a blob that came from elsewhere', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const { layers } = await storeSample(store)
  const [layer] = layers
  assert.ok(layer)
  const wanted = descriptorOf(someBytes(1000, 7))
  await using _lease = await store.lease([wanted])
  for (const { digest } of [layer, wanted]) {
    await writeFile(join(folder, 'ingest', `${digest.replace(':', '-')}.0123abcd`), 'cut')
  }
  assert.deepEqual(await store.gc({ graceMs: 0 }), { removedBlobs: 0, removedIngests: 1, freedBytes: 3 })
  assert.deepEqual(await readdir(join(folder, 'ingest')), [`${wanted.digest.replace(':', '-')}.0123abcd`])
})

test('deleting a package frees what no other one shares and nobody holds', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const [shared, alone, served] = [someBytes(1000, 1), someBytes(1000, 2), someBytes(1000, 3)]
  const one = await storeSample(store, { name: 'one', layers: [shared, alone, served] })
  const two = await storeSample(store, { name: 'two', layers: [shared] })
  const serving = await store.lease([blobOf(served)])
  assert.equal(await store.packages.delete(one.record.digest), true)
  assert.deepEqual(await Promise.all([shared, alone, served].map((bytes) => store.exists(blobOf(bytes), { signal }))), [
    true,
    false,
    true,
  ])
  assert.deepEqual(
    (await store.packages.list()).map(({ name }) => name),
    ['two'],
  )
  await serving[Symbol.asyncDispose]()
  await store.gc({ graceMs: 0 })
  assert.equal(await store.exists(blobOf(served), { signal }), false)
  assert.ok(await store.exists(two.manifest, { signal }))
  assert.equal(await store.packages.delete(one.record.digest), false)
})

test('a record that cannot be read stops collection: nobody knows what it names', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const { record, layers } = await storeSample(store)
  await writeFile(join(folder, 'packages', `${record.digest.slice(7)}.json`), '{')
  assert.equal((await store.gc({ graceMs: 0 })).removedBlobs, 0)
  assert.ok(await store.exists(layers[0] as (typeof layers)[0], { signal }))
})
