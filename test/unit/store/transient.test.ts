import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type ContentStore, createContentStore } from '../../../src/store/content-store.ts'
import { blobOf, storeSample } from '../../helpers/packages/store-packages.ts'
import { createStepClock } from '../../helpers/step-clock.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const DAY = 24 * 3_600_000

async function names(store: ContentStore): Promise<string[]> {
  return (await store.packages.list()).map(({ name }) => name)
}

test('a package that is there for holders alone goes with the last of them, and takes its layers along', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const layers = [randomBytes(3000)]
  const { record } = await storeSample(store, { layers, holder: 'a' })
  await storeSample(store, { layers, holder: 'b' })
  await storeSample(store, { layers, holder: 'b' })
  assert.equal(await store.packages.release(record.digest, 'nobody'), false)
  assert.equal(await store.packages.release(record.digest, 'a'), false)
  assert.equal(await store.packages.release(record.digest, 'a'), false, 'who has let go has no say')
  assert.deepEqual(await names(store), ['sample'])
  assert.equal(await store.packages.release(record.digest, 'b'), true)
  assert.deepEqual(await names(store), [])
  assert.equal(await store.exists(blobOf(layers[0] as Buffer), { signal }), false)
  assert.equal(await store.packages.release(record.digest, 'b'), false)
})

for (const [name, first, second] of [
  ['before', undefined, 'a'],
  ['after', 'a', undefined],
] as const) {
  test(`a package that somebody wanted to keep ${name} a holder came stays`, async (t) => {
    const store = await createContentStore({ folder: await tempDir(t, 'store') })
    const layers = [randomBytes(3000)]
    await storeSample(store, { layers, ...(first ? { holder: first } : {}) })
    const { record } = await storeSample(store, { layers, ...(second ? { holder: second } : {}) })
    assert.equal(record.holders, undefined)
    assert.equal(await store.packages.release(record.digest, 'a'), false)
    assert.deepEqual(await names(store), ['sample'])
  })
}

test('what nobody has fetched goes after its time, and nothing else does', async (t) => {
  const clock = createStepClock()
  const store = await createContentStore({ folder: await tempDir(t, 'store'), clock })
  await storeSample(store, { name: 'kept' })
  await storeSample(store, { name: 'old', holder: 'a' })
  clock.advance(DAY)
  await storeSample(store, { name: 'new', holder: 'a' })
  assert.equal(await store.packages.expire(DAY), 0)
  clock.advance(1)
  assert.equal(await store.packages.expire(DAY), 1)
  assert.deepEqual(await names(store), ['kept', 'new'])
})
