import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ContentStore, createContentStore, type StoredPackage } from '../../../src/store/content-store.ts'
import { blobOf, storeSample } from '../../helpers/packages/store-packages.ts'
import { createStepClock } from '../../helpers/step-clock.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const LAYERS = [randomBytes(3000), randomBytes(5000)]
const FIRST = blobOf(LAYERS[0] as Buffer)

const of =
  (...names: string[]) =>
  ({ name }: { name: string }) =>
    names.includes(name)

async function startStore(t: Parameters<typeof tempDir>[0]) {
  const clock = createStepClock()
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder, clock })
  const pull = (owner: string, more: Parameters<typeof storeSample>[1] = {}) => {
    clock.advance(1000)
    return storeSample(store, {
      layers: LAYERS,
      owner,
      reference: `oci://registry.example/${owner}/sample:1.0.0`,
      ...more,
    })
  }
  return { store, folder, clock, pull }
}

const shown = (record: StoredPackage | undefined) =>
  record && [record.references.map((text) => text.split('/')[3]), record.components, record.complete]

test('each owner has what its own pulls brought, and nothing tells of the others', async (t) => {
  const { store, pull } = await startStore(t)
  const { record } = await pull('ada')
  await pull('bob', { leaveOut: 1 })
  const get = (...names: string[]) => store.packages.get(record.digest, of(...names))
  assert.deepEqual(shown(await get('ada')), [['ada'], ['c0', 'c1'], true])
  assert.deepEqual(shown(await get('bob')), [['bob'], ['c1'], false])
  assert.deepEqual((await get('bob'))?.lacks, [FIRST.digest])
  assert.deepEqual(shown(await get('ada', 'bob')), [['ada', 'bob'], ['c0', 'c1'], true])
  assert.equal(await get('eve'), undefined)
  assert.deepEqual(await store.packages.list(of('eve')), [])
  assert.deepEqual((await store.packages.list(of('bob'))).map(shown), [[['bob'], ['c1'], false]])
  assert.ok(((await get('ada'))?.storedAt ?? '') < ((await get('bob'))?.storedAt ?? ''))
})

test('who pulls again keeps what it had', async (t) => {
  const { store, pull } = await startStore(t)
  await pull('ada')
  await pull('bob', { leaveOut: 1 })
  const { record } = await pull('bob')
  assert.deepEqual(shown(await store.packages.get(record.digest, of('bob'))), [['bob'], ['c1', 'c0'], true])
  await pull('bob', { leaveOut: 1 })
  assert.equal((await store.packages.get(record.digest, of('bob')))?.complete, true)
})

test("what an owner let go of goes, but for what another's pull brought; with the last one all of it", async (t) => {
  const { store, pull } = await startStore(t)
  const { record } = await pull('ada')
  await pull('bob', { leaveOut: 1 })
  assert.equal(await store.packages.delete(record.digest, of('eve')), false)
  assert.equal(await store.packages.delete(record.digest, of('ada')), true)
  assert.equal(await store.packages.get(record.digest, of('ada')), undefined)
  assert.deepEqual(shown(await store.packages.get(record.digest)), [['bob'], ['c1'], false])
  assert.equal(await store.exists(FIRST, { signal }), false, 'nobody has it any more')
  assert.equal(await store.exists(blobOf(LAYERS[1] as Buffer), { signal }), true)
  assert.deepEqual((await store.check({ signal })).findings, [])
  assert.equal(await store.packages.delete(record.digest, of('bob')), true)
  assert.deepEqual(await store.packages.list(), [])
  assert.equal(await store.exists(blobOf(LAYERS[1] as Buffer), { signal }), false)
})

test('a transient pull of one ends without the package of another', async (t) => {
  const { store, pull, clock } = await startStore(t)
  const { record } = await pull('ada', { holder: 'job' })
  await pull('bob')
  const held = async (...names: string[]) => (await store.packages.get(record.digest, of(...names)))?.holders
  assert.deepEqual([await held('ada'), await held('bob'), await held('ada', 'bob')], [['job'], undefined, undefined])
  assert.equal(await store.packages.release(record.digest, 'job', of('bob')), false)
  assert.deepEqual(await held('ada'), ['job'], 'only by who may')
  assert.equal(await store.packages.release(record.digest, 'job', of('ada')), false)
  assert.equal(await store.packages.get(record.digest, of('ada')), undefined)
  await pull('ada', { holder: 'other' })
  clock.advance(10_000)
  assert.equal(await store.packages.expire(5000), 1)
  assert.deepEqual(shown(await store.packages.get(record.digest)), [['bob'], ['c0', 'c1'], true])
})

test('a record from before owners is of anonymous, and a store of today reads it after a restart', async (t) => {
  const { folder, pull } = await startStore(t)
  const { record } = await pull('ada')
  await pull('bob', { leaveOut: 1 })
  const path = join(folder, 'packages', `${record.digest.slice('sha256:'.length)}.json`)
  const { owners, ...older } = JSON.parse(await readFile(path, 'utf8')) as { owners: unknown[]; schema: number }
  assert.deepEqual([owners.length, older.schema], [2, 1])
  await writeFile(path, JSON.stringify(older))
  const again = await createContentStore({ folder })
  assert.deepEqual(shown(await again.packages.get(record.digest, of('anonymous'))), [
    ['ada', 'bob'],
    ['c0', 'c1'],
    true,
  ])
  assert.equal(await again.packages.get(record.digest, of('ada')), undefined)
  const { record: both } = await storeSample(again, { layers: LAYERS, owner: 'bob', leaveOut: 1 })
  assert.deepEqual(
    both.owners?.map(({ name }) => name),
    ['anonymous', 'bob'],
  )
  assert.equal((await again.packages.get(record.digest, of('bob')))?.complete, false)
})

test('a repair out of index.json, and a restart, keep the owners', async (t) => {
  const { store, folder, pull } = await startStore(t)
  const { record } = await pull('ada')
  await pull('bob', { leaveOut: 1 })
  const before = await store.packages.get(record.digest)
  await rm(join(folder, 'packages', `${record.digest.slice('sha256:'.length)}.json`))
  await store[Symbol.asyncDispose]()
  const again: ContentStore = await createContentStore({ folder })
  await again.check({ repair: true, signal })
  assert.deepEqual(await again.packages.get(record.digest), before)
})
