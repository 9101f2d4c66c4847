import assert from 'node:assert/strict'
import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ByteStream, OpenOptions } from '../../../../src/content/endpoints.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { createContentStore } from '../../../../src/store/content-store.ts'
import { lockFile } from '../../../../src/store/locks/file-lock.ts'
import { GC_GRACE_MS } from '../../../../src/store/upkeep/gc.ts'
import { appendRange, partialBytes, writtenRanges } from '../../../../src/store/ingest/range-journal.ts'
import { someBytes, testBlob } from '../../../helpers/registries/oci-client.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const blob = testBlob(someBytes(1000))

async function partialFile(t: Parameters<typeof tempDir>[0]) {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  return { store, folder, path: join(folder, 'ingest', blob.descriptor.digest.replace(':', '-')) }
}

/** Brings the bytes from `start` to `end`, and then breaks off. */
async function pushCut(store: Awaited<ReturnType<typeof createContentStore>>, start: number, end: number) {
  const cut = async function* () {
    yield blob.bytes.subarray(start, end)
    throw new AppError('REGISTRY_CONNECTION_LOST', 'cut')
  }
  await assert.rejects(
    store.push(blob.descriptor, async () => cut(), { signal }),
    /cut/,
  )
}

test('a partial file is all there up to its size, or what its journal says of it', async (t) => {
  const { path } = await partialFile(t)
  assert.equal(await partialBytes(path), undefined)
  await writeFile(path, blob.bytes.subarray(0, 900))
  assert.deepEqual(await writtenRanges(path), [{ start: 0, end: 900 }])
  await appendRange(path, { start: 0, end: 100 })
  await appendRange(path, { start: 600, end: 950 })
  await appendRange(path, { start: 100, end: 200 })
  const ranges = [
    { start: 0, end: 200 },
    { start: 600, end: 900 },
  ]
  assert.deepEqual(await writtenRanges(path), ranges, 'no further than the file')
  assert.equal(await partialBytes(path), 500)
  for (const torn of ['', '3', '300', '300 ', '300 2']) {
    await writeFile(`${path}.ranges`, `0 200\n600 950\n${torn}`)
    assert.deepEqual(await writtenRanges(path), ranges, `half a line: "${torn}"`)
  }
})

test('holes are filled over one stream too, and what was there is not asked for', async (t) => {
  const { store, folder, path } = await partialFile(t)
  const holed = Buffer.from(blob.bytes)
  holed.fill(0, 200, 600)
  await writeFile(path, holed.subarray(0, 900))
  await appendRange(path, { start: 0, end: 200 })
  await appendRange(path, { start: 600, end: 900 })
  const { size } = await stat(`${path}.ranges`)
  assert.equal((await store.space()).usedBytes, 500 + size)
  await store.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(blob.opened.splice(0), [200, 900])
  assert.equal(await store.exists(blob.descriptor, { signal }), true)
  assert.deepEqual((await store.check({ signal })).findings, [])
  assert.deepEqual(await readdir(join(folder, 'ingest')), [])
})

test('a journal without holes is done with: what follows counts by the size of the file again', async (t) => {
  const { store, path } = await partialFile(t)
  await writeFile(path, blob.bytes.subarray(0, 300))
  await appendRange(path, { start: 0, end: 200 })
  await pushCut(store, 200, 500)
  assert.deepEqual(await writtenRanges(path), [{ start: 0, end: 500 }])
})

test('what was there before the first hole is in the journal', async (t) => {
  const { folder, path } = await partialFile(t)
  const ranges = { minBytes: 1, lookMs: 1, enoughPerSecond: Infinity, leastBytes: 100, mostBytes: 100 }
  const store = await createContentStore({ folder, ranges })
  await writeFile(path, blob.bytes.subarray(0, 300))
  const second = Promise.withResolvers<void>()
  // Ten bytes at a time; the first stream breaks when the second has brought some.
  const open = async function* ({ offset = 0, end }: OpenOptions): ByteStream {
    for (let at = offset; at < (end ?? 1000); at += 10) {
      await delay(2)
      yield blob.bytes.subarray(at, at + 10)
      if (end !== undefined) second.resolve()
      else if (at >= offset + 50) {
        await second.promise
        throw new AppError('REGISTRY_CONNECTION_LOST', 'cut')
      }
    }
  }
  const spare = () => ({ wanted: false, [Symbol.dispose]: () => undefined })
  const pushed = store.push(blob.descriptor, async (options) => open(options), { signal, spare })
  await assert.rejects(pushed, /cut/)
  const [there, behind] = (await writtenRanges(path)) ?? []
  assert.equal(there?.start, 0)
  assert.ok((there?.end ?? 0) > 300, JSON.stringify(there))
  assert.ok(behind, 'there was a hole')
})

test('a journal that lies costs one transfer from the start', async (t) => {
  const { store, path } = await partialFile(t)
  await writeFile(path, Buffer.alloc(900))
  await appendRange(path, { start: 500, end: 900 })
  await store.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(blob.opened.splice(0), [0, 900, 0])
  assert.equal(await store.exists(blob.descriptor, { signal }), true)
})

test('a collection takes a journal along with its file', async (t) => {
  const { store, folder, path } = await partialFile(t)
  await writeFile(path, blob.bytes.subarray(0, 900))
  await appendRange(path, { start: 500, end: 900 })
  assert.equal((await store.gc({ graceMs: 0 })).removedIngests, 1)
  assert.deepEqual(await readdir(join(folder, 'ingest')), [])
})

for (const [what, size] of [
  ['an empty file', 0],
  ['no file', undefined],
] as const) {
  test(`a journal beside ${what} says nothing of what is written later`, async (t) => {
    const { store, folder, path } = await partialFile(t)
    if (size === 0) await writeFile(path, '')
    await appendRange(path, { start: 0, end: 900 })
    await pushCut(store, 0, 300)
    assert.deepEqual(await readdir(join(folder, 'ingest')), [basename(path)])
  })
}

test('a journal whose file is gone is collected, and found by a check; one beside its file goes with it', async (t) => {
  const { store, folder, path } = await partialFile(t)
  const longAgo = new Date(Date.now() - 2 * GC_GRACE_MS)
  const names = () => readdir(join(folder, 'ingest'))
  const alone = async () => {
    await appendRange(path, { start: 0, end: 900 })
    await utimes(`${path}.ranges`, longAgo, longAgo)
  }
  await alone()
  const { findings } = await store.check({ signal, repair: true })
  assert.deepEqual(
    findings.map(({ kind, path: place }) => [kind, basename(place)]),
    [['ingest-orphaned', `${basename(path)}.ranges`]],
  )
  assert.deepEqual(await names(), [])
  await alone()
  assert.equal((await store.gc()).removedIngests, 1)
  assert.deepEqual(await names(), [])

  await writeFile(path, blob.bytes)
  await alone()
  await appendRange(path, { start: 950, end: 1000 })
  await store.gc()
  assert.equal((await names()).length, 2, 'the file is new')
  const { freedBytes } = await store.gc({ graceMs: 0 })
  assert.equal(freedBytes, 950, 'a hole takes no room')
  assert.deepEqual(await names(), [])
})

test('the journal of a file that is being made stays', async (t) => {
  const { store, path } = await partialFile(t)
  await using _lock = await lockFile(`${path}.lock`)
  await appendRange(path, { start: 0, end: 900 })
  const journal = `${path}.ranges`
  const longAgo = new Date(Date.now() - 2 * GC_GRACE_MS)
  await utimes(journal, longAgo, longAgo)
  await store.gc({ graceMs: 0 })
  assert.deepEqual((await store.check({ signal })).findings, [])
  assert.ok((await stat(journal)).size > 0)
})
