import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openUploadFolder } from '../../src/files/upload-folder.ts'
import { createUploadLocks } from '../../src/jobs/uploads/upload-locks.ts'
import { defer } from '../helpers/cleanup.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tusClient } from '../helpers/streams/tus.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const WRITER = fileURLToPath(new URL('../helpers/processes/upload-writer.ts', import.meta.url))
const MiB = 1024 * 1024
const forever = () => new AbortController().signal

/** Another process writes to an upload; this one has the same folder and Redis. */
async function written(t: TestContext, { expiryMs }: { expiryMs: number }) {
  const redis = await startRedis(t)
  const folder = join(await tempDir(t), 'uploads')
  const uploads = await openUploadFolder({ folder })
  const id = randomUUID()
  await uploads.partials.create({ id, name: 'p.tar', length: 100 * 1024 * MiB })
  const locks = createUploadLocks({ redis: { socketPath: redis.socketPath } })
  defer(t, () => locks.close())
  const writer = await startProcess(t, process.execPath, [WRITER, redis.socketPath, folder, id, String(expiryMs)])
  const path = join(folder, `partial-${id}`, 'p.tar')
  await waitFor('the other process to write', async () => (await stat(path)).size >= MiB)
  const take = async () => {
    const lock = await locks.acquire(id, { signal: forever(), onWanted: () => undefined })
    const right = { isDoubtful: lock.isDoubtful, check: () => lock.check(), commit: async () => undefined }
    const settled = await uploads.partials.settle(id, right)
    assert.ok(settled && 'offset' in settled)
    return { lock, right, offset: settled.offset }
  }
  return { uploads, id, path, writer, take }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

test('who writes in another process is asked to end, and does at once, with all that it has', async (t) => {
  const { writer, take, path } = await written(t, { expiryMs: 3_600_000 })
  const { lock, offset } = await take()
  assert.equal(lock.isDoubtful, false)
  assert.equal((await stat(path)).size, offset)
  await writer.exit
  assert.match(writer.stdout(), /^stopped$/m)
  assert.equal((await stat(path)).size, offset)
  await lock.release()
})

test('who was killed is not waited for, and nothing of what it wrote is lost', async (t) => {
  const { writer, take, path } = await written(t, { expiryMs: 3_600_000 })
  writer.signal('SIGKILL')
  await writer.exit
  const { size } = await stat(path)
  const { lock, offset } = await take()
  assert.deepEqual([lock.isDoubtful, offset], [false, size])
  await lock.release()
})

test('who stood still past its lease writes nothing more once it wakes up, not even where it had begun to', async (t) => {
  const { writer, take, path, uploads, id } = await written(t, { expiryMs: 1000 })
  const before = await stat(path)
  writer.signal('SIGSTOP')
  const { lock, right, offset } = await take()
  assert.equal(lock.isDoubtful, true)
  assert.notEqual((await stat(path)).ino, before.ino, 'what it has open is another file')
  await uploads.partials.append(id, once(Buffer.alloc(1000, 'b')), { offset, right })
  writer.signal('SIGCONT')
  await writer.exit
  assert.match(writer.stdout(), /^UPLOAD_LOCKED$/m)
  const bytes = await readFile(path)
  assert.deepEqual([bytes.length, bytes.indexOf('b')], [offset + 1000, offset])
  assert.equal(
    bytes.subarray(offset).every((byte) => byte === 'b'.charCodeAt(0)),
    true,
  )
  assert.equal((await uploads.partials.get(id))?.offset, offset + 1000)
  await lock.release()
})

test('two API processes over one data directory are one: what is sent to the first goes on in the second', async (t) => {
  const first = await startApp(t)
  const second = await startApp(t, { beside: first })
  const [one, two] = [tusClient(await first.listen()), tusClient(await second.listen())]
  const bytes = randomBytes(2 * MiB)
  const path = await one.create('p.tar', bytes.length)
  const { request, answer } = one.open(path, 0, { 'content-length': bytes.length })
  request.on('error', () => undefined)
  request.write(bytes.subarray(0, MiB))
  const file = join(first.uploadFolder, `partial-${path.split('/').at(-1)}`, 'p.tar')
  await waitFor('the first to write', async () => (await stat(file)).size > 0)
  const offset = Number((await two.head(path)).headers['upload-offset'])
  const { status, headers } = await answer
  assert.deepEqual([status, Number(headers['upload-offset'])], [204, offset])
  const racing = await Promise.all([
    one.patch(path, offset, bytes.subarray(offset)),
    two.patch(path, offset, bytes.subarray(offset)),
  ])
  const left = racing.filter(({ status: each }) => each === 204)
  assert.ok(left.length >= 1, JSON.stringify(racing))
  const at = Number((await two.head(path)).headers['upload-offset'])
  if (at < bytes.length) assert.equal((await two.patch(path, at, bytes.subarray(at))).status, 204)
  const upload = await first.uploads.get(path.split('/').at(-1) ?? '')
  assert.deepEqual([upload?.size, upload?.sha256], [bytes.length, createHash('sha256').update(bytes).digest('hex')])
})
