import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { startTokenApp } from '../helpers/streams/token-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { type TusClient, tusClient } from '../helpers/streams/tus.ts'
import { waitFor } from '../helpers/wait-for.ts'

const bytes = randomBytes(2 * 1024 * 1024)
const hex = createHash('sha256').update(bytes).digest('hex')
const idOf = (path: string) => path.split('/').at(-1) ?? ''
const fileOf = ({ uploadFolder }: TestApp, path: string) => join(uploadFolder, `partial-${idOf(path)}`, 'p.tar')

/** A PATCH that has brought most of it, and hangs. */
async function mostSent(app: TestApp, tus: TusClient) {
  const path = await tus.create('p.tar', bytes.length)
  const open = tus.open(path, 0, { 'content-length': bytes.length })
  open.request.on('error', () => undefined)
  open.request.write(bytes.subarray(0, 1_500_000))
  await waitFor('some of it to be written', async () => (await stat(fileOf(app, path))).size >= 1_000_000)
  return { path, ...open }
}

test('one of another is not there, in the same words; who only looks neither ends nor sends', async (t) => {
  const tokensFile = await tokensFileOf(t, {
    ann: 'uploads:write',
    bob: 'uploads:write',
    rea: 'uploads:write,system:read',
  })
  const app = await startApp(t, { tokensFile })
  const base = await app.listen()
  const [ann, bob, rea] = ['ann', 'bob', 'rea'].map((name) => tusClient(base, name)) as [
    TusClient,
    TusClient,
    TusClient,
  ]
  const path = await ann.create('p.tar', 10)
  const nowhere = '/v1/uploads/3dc92d48-9d6b-4478-9528-b8597a667be8'
  for (const method of ['GET', 'HEAD', 'PATCH', 'DELETE']) {
    const asked = { 'upload-offset': 0, 'content-type': 'application/offset+octet-stream' }
    const [there, not] = await Promise.all([bob.ask(method, path, asked), bob.ask(method, nowhere, asked)])
    assert.deepEqual([there.status, not.status], [404, 404], method)
    assert.equal(there.problem?.detail.replace(idOf(path), ''), not.problem?.detail.replace(idOf(nowhere), ''), method)
    const seen = await rea.ask(method, path, asked)
    assert.equal(seen.status, method === 'GET' ? 200 : 403, method)
  }
  const listed = async (client: TusClient) => (await client.ask('GET', '/v1/uploads')).status
  assert.equal(await listed(bob), 200)
  const items = (token: string) =>
    app.app
      .inject({ url: '/v1/uploads', headers: { authorization: `Bearer ${token}` } })
      .then((answer) => answer.json<{ items: Array<{ id: string }> }>().items.map(({ id }) => id))
  assert.deepEqual([await items('ann'), await items('bob'), await items('rea')], [[idOf(path)], [], [idOf(path)]])
})

test('a caller has so many that are not whole, and so many that are being sent', async (t) => {
  const tokensFile = await tokensFileOf(t, { ann: '*', bob: '*' })
  const app = await startApp(t, { tokensFile, uploadsPerPrincipal: 1, uploadLimits: { partialsPerPrincipal: 2 } })
  const base = await app.listen()
  const [ann, bob] = [tusClient(base, 'ann'), tusClient(base, 'bob')]
  const [first] = [await ann.create('p.tar', 10), await ann.create('p.tar', 10)]
  const create = (tus: TusClient) =>
    tus.ask('POST', '/v1/uploads', { 'upload-length': 10, 'upload-metadata': 'filename cC50YXI=' })
  const refused = await create(ann)
  assert.deepEqual([refused.status, refused.code], [429, 'UPLOADS_TOO_MANY'])
  assert.match(refused.problem?.detail ?? '', /^ann has 2 uploads that are not whole/)
  assert.equal((await create(bob)).status, 201)
  assert.equal((await ann.patch(first, 0, bytes.subarray(0, 10))).status, 204)
  const { request } = await mostSent(app, ann)
  const second = await bob.create('p.tar', 10)
  assert.equal((await bob.patch(second, 0, bytes.subarray(0, 10))).status, 204)
  assert.equal((await ann.patch(first, 10, Buffer.alloc(0))).code, 'UPLOADS_TOO_MANY')
  request.destroy()
  await waitFor('a place to be free', async () => (await ann.patch(first, 10, Buffer.alloc(0))).status === 204)
})

test('where the disk is down to its reserve none begins and none grows, and what is there can be deleted', async (t) => {
  const app = await startApp(t)
  const tus = tusClient(await app.listen())
  const path = await tus.create('p.tar', bytes.length)
  await tus.patch(path, 0, bytes.subarray(0, 10))
  const full = await startApp(t, { beside: app, diskReserve: Number.MAX_SAFE_INTEGER })
  const other = tusClient(await full.listen())
  const refused = await other.patch(path, 10, bytes.subarray(10))
  assert.deepEqual([refused.status, refused.code], [507, 'STORE_FULL'])
  await assert.rejects(other.create('p.tar', 10), /507 STORE_FULL/)
  assert.equal((await readdir(app.uploadFolder)).length, 1)
  assert.equal((await other.head(path)).headers['upload-offset'], '10')
  assert.equal((await tus.patch(path, 10, bytes.subarray(10))).status, 204)
  const tooLarge = await startApp(t, { beside: app, uploadLimits: { maxBytes: 1000 } })
  await assert.rejects(tusClient(await tooLarge.listen()).create('p.tar', 1001), /413 PAYLOAD_TOO_LARGE/)
})

test('one that nothing comes for goes a day after its last byte', async (t) => {
  let now = Date.now()
  const app = await startApp(t, { uploadLimits: { clock: { now: () => now } } })
  const tus = tusClient(await app.listen())
  const path = await tus.create('p.tar', bytes.length)
  await tus.patch(path, 0, bytes.subarray(0, 10))
  now += 23 * 3_600_000
  assert.equal(await app.uploads.sweep(), 0)
  assert.equal((await tus.head(path)).status, 200)
  now += 2 * 3_600_000
  assert.equal((await tus.head(path)).status, 404)
  assert.equal((await tus.patch(path, 10, bytes.subarray(10))).status, 404)
  assert.equal(await app.uploads.sweep(), 1)
  assert.deepEqual(await readdir(app.uploadFolder), [])
})

test("a token that is taken away ends what it sends; what came is its owner's", async (t) => {
  const app = await startTokenApp(t)
  const other = await startApp(t, { tokensFile: app.tokensFile, beside: app })
  const base = await app.listen()
  const [taken, left] = [await app.issue({ scopes: ['uploads:write'] }), await app.issue({ scopes: ['uploads:write'] })]
  const { path, answer } = await mostSent(app, tusClient(base, taken.token))
  const headers = { authorization: 'Bearer root' }
  await other.app.inject({ method: 'DELETE', url: `/v1/tokens/${taken.id}`, headers })
  const { status, code } = await answer
  assert.deepEqual([status, code], [401, 'UNAUTHENTICATED'])
  const tus = tusClient(base, left.token)
  const offset = Number((await tus.head(path)).headers['upload-offset'])
  assert.equal((await tus.patch(path, offset, bytes.subarray(offset))).status, 204)
  assert.equal((await app.uploads.get(idOf(path)))?.sha256, hex)
})

test('an API that ends keeps what came, and tells who sends', async (t) => {
  const app = await startApp(t)
  const { path, answer } = await mostSent(app, tusClient(await app.listen()))
  const [{ status, code }] = await Promise.all([answer, app.app.close()])
  assert.deepEqual([status, code], [503, 'SHUTTING_DOWN'])
  const next = await startApp(t, { beside: app })
  const tus = tusClient(await next.listen())
  const offset = Number((await tus.head(path)).headers['upload-offset'])
  assert.equal((await stat(fileOf(app, path))).size, offset)
  assert.equal((await tus.patch(path, offset, bytes.subarray(offset))).status, 204)
  assert.equal((await next.uploads.get(idOf(path)))?.sha256, hex, 'read once more, as nobody saw all of it')
})

test('after a machine went down what was synced counts, and nothing else that the file has', async (t) => {
  const app = await startApp(t)
  const tus = tusClient(await app.listen())
  const path = await tus.create('p.tar', bytes.length)
  await tus.patch(path, 0, bytes.subarray(0, 50_000))
  const record = join(app.uploadFolder, `partial-${idOf(path)}`, 'partial.json')
  const kept = JSON.parse(await readFile(record, 'utf8')) as Record<string, unknown>
  assert.equal(kept['synced'], 50_000)
  // As a power cut leaves it: a longer file, with what nobody sent.
  await writeFile(record, JSON.stringify({ ...kept, boot: 'another' }))
  await writeFile(fileOf(app, path), Buffer.alloc(70_000, 'x'), { flag: 'a' })
  const shown = (await app.app.inject(path)).json<{ offset: number }>()
  assert.equal(shown.offset, 50_000)
  assert.equal((await tus.head(path)).headers['upload-offset'], '50000')
  assert.equal((await tus.patch(path, 50_000, bytes.subarray(50_000))).status, 204)
  assert.equal((await app.uploads.get(idOf(path)))?.sha256, hex)
  assert.ok((await readFile((await app.uploads.use(idOf(path))).path)).equals(bytes))
})
