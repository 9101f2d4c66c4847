import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fastify from 'fastify'
import { Pieces, readAll } from '../../../src/content/streams.ts'
import { openUploadFolder } from '../../../src/files/upload-folder.ts'
import { bodyPacePlugin } from '../../../src/http/plugins/body-pace.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

/** Less than what is written at once, and than a body may have: all of it waits. */
const BYTES = 512 * 1024
/** A buffer of its own for each byte takes 50 MB and more. */
const MOST = 16e6

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heapUsed(): number {
  collect()
  return process.memoryUsage().heapUsed
}

/** What a byte at a time comes to, and what the heap has more once all has come. */
function tinyBytes() {
  const all = Buffer.alloc(BYTES, 'layerd ')
  const before = heapUsed()
  let taken = Number.NaN
  async function* bytes(): AsyncGenerator<Buffer> {
    for (let at = 0; at < BYTES; at += 1) yield all.subarray(at, at + 1)
    taken = heapUsed() - before
  }
  return { all, bytes, taken: () => taken }
}

const right = { isDoubtful: false, check: () => undefined, commit: async () => undefined }

async function uploadsOf(t: TestContext) {
  return await openUploadFolder({ folder: await tempDir(t) })
}

test('an upload that comes byte by byte takes about as much memory as it has bytes', async (t) => {
  const uploads = await uploadsOf(t)
  const sent = tinyBytes()
  const { size } = await uploads.receive('p.tar', sent.bytes())
  assert.equal(size, BYTES)
  assert.ok(sent.taken() < MOST, `${sent.taken()} bytes`)
})

test('so does one that goes on where it broke off', async (t) => {
  const uploads = await uploadsOf(t)
  const id = '3dc92d48-9d6b-4478-9528-b8597a667be8'
  await uploads.partials.create({ id, name: 'p.tar', length: BYTES + 1 })
  const sent = tinyBytes()
  assert.equal(await uploads.partials.append(id, sent.bytes(), { offset: 0, right }), BYTES)
  assert.ok(sent.taken() < MOST, `${sent.taken()} bytes`)
})

test('so does what is read whole, of a registry or a JSON body', async (t) => {
  const read = tinyBytes()
  assert.ok((await readAll(read.bytes())).equals(read.all))
  assert.ok(read.taken() < MOST, `${read.taken()} bytes`)

  const app = fastify()
  t.after(() => app.close())
  await app.register(bodyPacePlugin, {})
  const body = tinyBytes()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (_request, bytes, done) => {
    done(null, bytes.length)
  })
  app.post('/', async ({ body: length }) => ({ length }))
  const payload = Readable.from(body.bytes(), { objectMode: false, highWaterMark: 1024 })
  const answer = await app.inject({
    method: 'POST',
    url: '/',
    headers: { 'content-type': 'application/json' },
    payload,
  })
  assert.deepEqual(answer.json(), { length: BYTES })
  assert.ok(body.taken() < MOST, `${body.taken()} bytes`)
})

test('pieces are told in order, whatever their sizes, and those taken do not change', () => {
  const pieces = new Pieces()
  const sizes = [1, 4095, 4096, 3, 70_000, 2, 2, 65_000, 4095, 1]
  let next = 0
  const made = Array.from({ length: 60 }, (_, at) => Buffer.alloc(sizes[at % sizes.length] ?? 0, (next += 7) % 251))
  const taken: Buffer[] = []
  for (const [at, piece] of made.entries()) {
    pieces.push(piece)
    if (at % 7 === 0) taken.push(...pieces.take())
  }
  assert.equal(pieces.bytes > 0, true)
  taken.push(...pieces.take())
  assert.equal(pieces.bytes, 0)
  assert.ok(Buffer.concat(taken).equals(Buffer.concat(made)))
})
