import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { openUploadFolder, type UploadFolderOptions } from '../../../src/files/upload-folder.ts'
import { createContentStore } from '../../../src/store/content-store.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const HOUR_MS = 60 * 60 * 1000

async function* chunks(...parts: Array<Buffer | Error>): AsyncGenerator<Buffer> {
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield part
  }
}

async function open(t: Parameters<typeof tempDir>[0], options: Partial<UploadFolderOptions> = {}) {
  const folder = join(await tempDir(t), 'uploads')
  return { folder, uploads: await openUploadFolder({ folder, ...options }) }
}

test('an upload is kept byte for byte under its name, with size and hash', async (t) => {
  const { uploads } = await open(t)
  const bytes = randomBytes(3_000_000)
  const upload = await uploads.receive('p.tar.zst', chunks(bytes.subarray(0, 10), bytes.subarray(10)))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  assert.deepEqual(upload, { id: upload.id, name: 'p.tar.zst', size: bytes.length, sha256 })
  assert.deepEqual(await uploads.get(upload.id), upload)
  const { path, ...rest } = await uploads.use(upload.id)
  assert.deepEqual(rest, upload)
  assert.equal(basename(path), 'p.tar.zst')
  assert.ok((await readFile(path)).equals(bytes))
})

test('equal content lies on the disk once, under names that go by themselves', async (t) => {
  const { uploads, folder } = await open(t)
  const bytes = randomBytes(100_000)
  const first = await uploads.receive('a.tar', chunks(bytes))
  const second = await uploads.receive('b.tar', chunks(bytes))
  const other = await uploads.receive('c.tar', chunks(randomBytes(100_000)))
  const inode = async ({ id, name }: { id: string; name: string }) => (await stat(join(folder, id, name))).ino
  assert.equal(await inode(first), await inode(second))
  assert.notEqual(await inode(first), await inode(other))
  const foreign = await uploads.receive('d.tar', chunks(bytes), { principal: 'bob' })
  assert.notEqual(await inode(first), await inode(foreign), 'of another sender, who would see that it is there')
  assert.deepEqual((await readdir(join(folder, second.id))).toSorted(), ['b.tar', 'upload.json'])
  assert.equal(await uploads.remove(first.id), true)
  assert.ok((await readFile(join(folder, second.id, 'b.tar'))).equals(bytes))
})

test('what is kept of a whole upload is read once, however often all are asked for', async (t) => {
  const { uploads, folder } = await open(t)
  const first = await uploads.receive('a.tar', chunks(Buffer.from('a')))
  assert.deepEqual(await uploads.list(), [first])
  await writeFile(join(folder, first.id, 'upload.json'), 'what is read again is not what was written')
  const second = await uploads.receive('b.tar', chunks(Buffer.from('b')))
  const byName = (await uploads.list()).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  assert.deepEqual(byName, [first, second])
  await (await openUploadFolder({ folder })).remove(first.id)
  assert.deepEqual(await uploads.list(), [second])
})

test('one principal has so many whole uploads, however they come, and others have theirs', async (t) => {
  const { uploads } = await open(t, { wholesPerPrincipal: 2 })
  const send = (principal: string) => uploads.receive('p.tar', chunks(Buffer.from('p')), { principal })
  const [first] = [await send('ann'), await send('ann')]
  await assert.rejects(send('ann'), { code: 'UPLOADS_TOO_MANY', details: { open: 2, maxOpen: 2 } })
  const begin = () => uploads.partials.create({ id: randomUUID(), name: 'p.tar', length: 0, principal: 'ann' })
  await assert.rejects(begin(), { code: 'UPLOADS_TOO_MANY' })
  await send('bob')
  await uploads.remove(first.id)
  await send('ann')
})

test('an upload that breaks off leaves nothing', async (t) => {
  const { uploads, folder } = await open(t)
  const reset = Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
  await assert.rejects(uploads.receive('p.tar', chunks(Buffer.alloc(100), reset)), { code: 'UPLOAD_INTERRUPTED' })
  assert.deepEqual(await readdir(folder), [])
})

test('too many bytes are refused as soon as they are known, announced or not', async (t) => {
  const { uploads, folder } = await open(t, { maxBytes: 100 })
  let read = 0
  const counted = (async function* () {
    for (;;) {
      read += 60
      yield Buffer.alloc(60)
    }
  })()
  await assert.rejects(uploads.receive('p.tar', counted, { declaredBytes: 101 }), { code: 'PAYLOAD_TOO_LARGE' })
  assert.equal(read, 0)
  await assert.rejects(uploads.receive('p.tar', counted), { code: 'PAYLOAD_TOO_LARGE' })
  assert.deepEqual(await readdir(folder), [])
  assert.equal((await uploads.receive('p.tar', chunks(Buffer.alloc(100)))).size, 100)
})

test('an upload that the disk cannot hold is refused before its first byte', async (t) => {
  const declaredBytes = Number.MAX_SAFE_INTEGER
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const { uploads } = await open(t, { room: store.room })
  await assert.rejects(uploads.receive('p.tar', chunks(new Error('read')), { declaredBytes }), { code: 'STORE_FULL' })
  const low = await createContentStore({ folder: await tempDir(t, 'store'), keepFree: () => Number.MAX_SAFE_INTEGER })
  const reserved = await open(t, { room: low.room })
  for (const options of [{}, { declaredBytes: 0 }, { declaredBytes: 1 }]) {
    const sent = reserved.uploads.receive('p.tar', chunks(new Error('read')), options)
    await assert.rejects(sent, { code: 'STORE_FULL' })
  }
  assert.deepEqual(await readdir(reserved.folder), [])
})

test('a name that is not a plain file name is refused', async (t) => {
  const { uploads, folder } = await open(t)
  for (const name of ['', '.', '..', '../p.tar', 'a/p.tar', 'a\\p.tar', 'p\0.tar', 'upload.json', 'x'.repeat(256)]) {
    await assert.rejects(uploads.receive(name, chunks(Buffer.alloc(1))), { code: 'REQUEST_INVALID' }, name)
  }
  assert.deepEqual(await readdir(folder), [])
})

test('what is no id finds nothing, wherever it points', async (t) => {
  const { uploads, folder } = await open(t)
  await writeFile(join(folder, '..', 'upload.json'), '{"id":"x"}')
  for (const id of ['', '.', '..', '../uploads', '00000000-0000-4000-8000-000000000000']) {
    assert.equal(await uploads.get(id), undefined, id)
    await assert.rejects(uploads.use(id), { code: 'UPLOAD_NOT_FOUND' }, id)
  }
})

test('an upload goes 24 h after its last use', async (t) => {
  let now = Date.now()
  const { uploads } = await open(t, { clock: { now: () => now } })
  const { id: used } = await uploads.receive('p.tar', chunks(Buffer.alloc(1)))
  const { id: forgotten } = await uploads.receive('p.tar', chunks(Buffer.alloc(1)))
  now += 20 * HOUR_MS
  await uploads.use(used)
  now += 5 * HOUR_MS
  assert.equal(await uploads.sweep(), 1)
  assert.equal(await uploads.get(forgotten), undefined)
  assert.ok(await uploads.get(used))
  now += 20 * HOUR_MS
  assert.equal(await uploads.sweep(), 1)
})

test('what a killed process left half-written goes, what is still coming in and what is not ours stays', async (t) => {
  const { uploads, folder } = await open(t)
  const abandoned = new Date(Date.now() - 2 * HOUR_MS)
  for (const name of ['incoming-dead', 'incoming-alive', 'other']) {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'p.tar'), 'half')
    // A folder's own time does not change while a file in it grows.
    if (name !== 'incoming-alive') await utimes(join(folder, name, 'p.tar'), abandoned, abandoned)
    await utimes(join(folder, name), abandoned, abandoned)
  }
  assert.equal(await uploads.sweep(), 1)
  assert.deepEqual((await readdir(folder)).toSorted(), ['incoming-alive', 'other'])
})

test('uploads are listed, and one that is removed is gone, also for who asks again', async (t) => {
  const { uploads, folder } = await open(t)
  assert.deepEqual(await uploads.list(), [])
  const one = await uploads.receive('a.tar', chunks(Buffer.alloc(1)))
  const other = await uploads.receive('b.tar', chunks(Buffer.alloc(2)))
  await mkdir(join(folder, 'incoming-half'))
  assert.deepEqual(
    (await uploads.list()).toSorted((a, b) => a.size - b.size),
    [one, other],
  )
  assert.equal(await uploads.remove(one.id), true)
  assert.equal(await uploads.remove(one.id), false)
  for (const id of ['', '..', '../uploads', 'incoming-half']) assert.equal(await uploads.remove(id), false, id)
  assert.deepEqual(await uploads.list(), [other])
  assert.deepEqual((await readdir(folder)).toSorted(), [other.id, 'incoming-half'].toSorted())
})
