import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CleanupStack } from '../helpers/cleanup.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { type TusClient, tusClient } from '../helpers/streams/tus.ts'
import { waitFor } from '../helpers/wait-for.ts'

const hash = (bytes: Buffer, algorithm = 'sha256') => createHash(algorithm).update(bytes).digest()
const metadata = (pairs: Record<string, string>) =>
  Object.entries(pairs)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')
const named = { 'upload-metadata': metadata({ filename: 'p.tar' }) }
const idOf = (path: string) => path.split('/').at(-1) ?? ''
const bytes = randomBytes(100_000)

let app: TestApp
let tus: TusClient
let base: string
const stack = new CleanupStack()
after(() => stack[Symbol.asyncDispose]())
before(async () => {
  app = await startApp(stack, { bodyPace: { bytesPerSecond: 1024, overMs: 300 } })
  base = await app.listen()
  tus = tusClient(base)
})

const big = randomBytes(2 * 1024 * 1024)

/** An upload that is sent by hand, of which some is on the disk. */
async function under() {
  const path = await tus.create('p.tar', big.length)
  const open = tus.open(path, 0, { 'content-length': big.length })
  open.request.on('error', () => undefined)
  open.request.write(big.subarray(0, 1_500_000))
  const file = join(app.uploadFolder, `partial-${idOf(path)}`, 'p.tar')
  await waitFor('some of it to be written', async () => (await stat(file)).size >= 1_000_000)
  return { path, file, ...open }
}

describe('an upload in pieces', () => {
  test('is an upload as any other once its last byte is there, and shows how far it is before', async () => {
    const path = await tus.create('p.tar', bytes.length, {
      'repr-digest': `sha-256=:${hash(bytes).toString('base64')}:`,
    })
    const first = await tus.patch(path, 0, bytes.subarray(0, 40_000))
    assert.deepEqual([first.status, first.headers['upload-offset']], [204, '40000'])
    assert.ok(Date.parse(String(first.headers['upload-expires'])) > Date.now())
    const head = await tus.head(path)
    const { 'upload-offset': offset, 'upload-length': length, 'cache-control': cached } = head.headers
    assert.deepEqual([head.status, offset, length, cached], [200, '40000', '100000', 'no-store'])
    assert.equal(head.headers['upload-metadata'], named['upload-metadata'])

    const { expiresAt, ...shown } = (await app.app.inject(path)).json<Record<string, unknown>>()
    const id = idOf(path)
    assert.deepEqual(shown, { id, name: 'p.tar', state: 'incomplete', size: 100_000, sha256: null, offset: 40_000 })
    assert.ok(Date.parse(String(expiresAt)) > Date.now())
    const job = { kind: 'publish', source: `upload:${id}`, destination: 'oci://registry.example/team' }
    const refused = await app.app.inject({ method: 'POST', url: '/v1/jobs', payload: job })
    assert.deepEqual([refused.statusCode, refused.json<{ code: string }>().code], [409, 'UPLOAD_INCOMPLETE'])
    assert.match(refused.json<{ detail: string }>().detail, /40000 of 100000 bytes/)
    assert.equal((await app.app.inject(`${path}/package`)).json<{ code: string }>().code, 'UPLOAD_INCOMPLETE')

    const last = await tus.patch(path, 40_000, bytes.subarray(40_000))
    assert.deepEqual([last.status, last.headers['upload-offset']], [204, '100000'])
    const whole = { id, name: 'p.tar', state: 'complete', size: 100_000, sha256: hash(bytes).toString('hex') }
    assert.deepEqual((await app.app.inject(path)).json(), whole)
    assert.deepEqual((await readdir(join(app.uploadFolder, id))).toSorted(), ['p.tar', 'upload.json'])
    const again = await tus.head(path)
    assert.deepEqual([again.headers['upload-offset'], again.headers['upload-length']], ['100000', '100000'])
    assert.equal((await tus.patch(path, 100_000, Buffer.alloc(0))).status, 204)
    assert.equal((await tus.patch(path, 100_000, Buffer.from('x'))).code, 'PAYLOAD_TOO_LARGE')
    assert.deepEqual((await app.app.inject(path)).json(), whole)
  })

  test('of no bytes is whole at once, one whose length is said later when it has come', async () => {
    const empty = await tus.create('p.tar', 0)
    assert.equal((await app.uploads.get(idOf(empty)))?.size, 0)
    const made = await tus.ask('POST', '/v1/uploads', { ...named, 'upload-defer-length': '1' })
    const path = made.headers.location ?? ''
    await tus.patch(path, 0, bytes.subarray(0, 10))
    const head = await tus.head(path)
    assert.deepEqual([head.headers['upload-defer-length'], head.headers['upload-length']], ['1', undefined])
    assert.equal((await tus.patch(path, 10, bytes.subarray(10), { 'upload-length': 5 })).code, 'REQUEST_INVALID')
    assert.equal((await tus.patch(path, 10, bytes.subarray(10), { 'upload-length': 100_000 })).status, 204)
    assert.equal((await app.uploads.get(idOf(path)))?.size, 100_000)
  })

  test('has another digest than was promised: it is told, and gone', async () => {
    for (const headers of [
      { 'repr-digest': `sha-256=:${hash(Buffer.from('other')).toString('base64')}:` },
      { 'upload-metadata': metadata({ filename: 'p.tar', sha256: hash(Buffer.from('other')).toString('hex') }) },
    ]) {
      const path = await tus.create('p.tar', 10, headers)
      const { status, code, problem } = await tus.patch(path, 0, bytes.subarray(0, 10))
      assert.deepEqual([status, code], [400, 'BODY_DIGEST_MISMATCH'])
      assert.equal(problem?.details?.['actual'], hash(bytes.subarray(0, 10)).toString('hex'))
      assert.equal((await tus.head(path)).status, 404)
    }
  })

  test('takes no append whose checksum is another, and one that has it', async () => {
    const path = await tus.create('p.tar', 20)
    await tus.patch(path, 0, bytes.subarray(0, 10))
    const wrong = { 'upload-checksum': `sha1 ${hash(bytes, 'sha1').toString('base64')}` }
    const refused = await tus.patch(path, 10, bytes.subarray(10, 20), wrong)
    assert.deepEqual([refused.status, refused.code], [460, 'UPLOAD_CHECKSUM_MISMATCH'])
    assert.equal((await tus.head(path)).headers['upload-offset'], '10')
    const right = { 'upload-checksum': `sha256 ${hash(bytes.subarray(10, 20)).toString('base64')}` }
    assert.equal((await tus.patch(path, 10, bytes.subarray(10, 20), right)).status, 204)
    assert.equal((await app.uploads.get(idOf(path)))?.sha256, hash(bytes.subarray(0, 20)).toString('hex'))
  })

  test('of which an append with a checksum breaks off has none of that', async () => {
    const path = await tus.create('p.tar', bytes.length)
    const { request, answer } = tus.open(path, 0, {
      'content-length': bytes.length,
      'upload-checksum': `sha256 ${hash(bytes).toString('base64')}`,
    })
    request.write(bytes.subarray(0, 50_000))
    const file = join(app.uploadFolder, `partial-${idOf(path)}`, 'partial.json')
    await waitFor('it to begin', async () => /unproved/.test(await readFile(file, 'utf8')))
    request.destroy()
    await answer.catch(() => undefined)
    assert.equal((await tus.head(path)).headers['upload-offset'], '0')
  })

  test('stands at one byte, and takes no other, whatever is said of it', async () => {
    const path = await tus.create('p.tar', bytes.length)
    await tus.patch(path, 0, bytes.subarray(0, 100))
    const lies: Array<[string | number | string[] | undefined, number, string]> = [
      [0, 409, 'UPLOAD_OFFSET_MISMATCH'],
      [101, 409, 'UPLOAD_OFFSET_MISMATCH'],
      [999_999_999_999_999, 409, 'UPLOAD_OFFSET_MISMATCH'],
      [-100, 400, 'REQUEST_INVALID'],
      ['1e2', 400, 'REQUEST_INVALID'],
      ['NaN', 400, 'REQUEST_INVALID'],
      ['0100', 400, 'REQUEST_INVALID'],
      ['100.0', 400, 'REQUEST_INVALID'],
      ['99999999999999999999', 400, 'REQUEST_INVALID'],
      [['100', '100'], 400, 'REQUEST_INVALID'],
      ['', 400, 'REQUEST_INVALID'],
      [undefined, 400, 'REQUEST_INVALID'],
    ]
    for (const [offset, status, code] of lies) {
      const answer = await tus.ask('PATCH', path, {
        'upload-offset': offset,
        'content-type': 'application/offset+octet-stream',
      })
      assert.deepEqual([answer.status, answer.code], [status, code], String(offset))
      assert.equal(answer.headers['tus-resumable'], '1.0.0')
    }
    const { problem } = await tus.patch(path, 5, bytes.subarray(0, 5))
    assert.equal(problem?.details?.['offset'], 100)
    assert.equal((await tus.patch(path, 100, Buffer.alloc(bytes.length))).code, 'PAYLOAD_TOO_LARGE')
    const chunked = await tus.ask(
      'PATCH',
      path,
      {
        'upload-offset': 100,
        'content-type': 'application/offset+octet-stream',
        'content-length': undefined,
        'transfer-encoding': 'chunked',
      },
      bytes,
    )
    assert.equal(chunked.code, 'PAYLOAD_TOO_LARGE')
    assert.ok(Number((await tus.head(path)).headers['upload-offset']) >= 100)
  })

  test('is asked for in its own words: version, type, method, names and metadata', async () => {
    const before = await readdir(app.uploadFolder)
    const refused: Array<[Record<string, string | undefined>, number, string]> = [
      [{ ...named, 'tus-resumable': undefined }, 412, 'TUS_VERSION_UNSUPPORTED'],
      [{ ...named, 'tus-resumable': '0.2.2' }, 412, 'TUS_VERSION_UNSUPPORTED'],
      [{ ...named, 'x-http-method-override': 'PATCH' }, 400, 'REQUEST_INVALID'],
      [{ ...named, 'upload-concat': 'partial' }, 400, 'REQUEST_INVALID'],
      [{ ...named, 'upload-length': undefined }, 400, 'REQUEST_INVALID'],
      [{ ...named, 'upload-length': '-1' }, 400, 'REQUEST_INVALID'],
      [{ ...named, 'upload-defer-length': '1' }, 400, 'REQUEST_INVALID'],
      [{ ...named, 'upload-checksum': 'md5 AAAA' }, 400, 'REQUEST_INVALID'],
      [{ ...named, 'repr-digest': 'sha-256=:short:' }, 400, 'REQUEST_INVALID'],
      [{}, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': 'filename' }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': 'filename ???' }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': 'filename cC50YXI=,filename cC50YXI=' }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': '__proto__ cC50YXI=' }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: '../p.tar' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: '..%2fp.tar/' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'a\\p.tar' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'p\u001b[2J.tar' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'p\u202erat.tar' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'p\u0000.tar' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'partial.json' }) }, 422, 'PACKAGE_FORMAT_UNSUPPORTED'],
      [{ 'upload-metadata': metadata({ filename: `${'n'.repeat(300)}.tar` }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'p.tar', sha256: 'none' }) }, 400, 'REQUEST_INVALID'],
      [{ 'upload-metadata': metadata({ filename: 'p.tar', more: 'm'.repeat(4000) }) }, 400, 'REQUEST_INVALID'],
    ]
    for (const [headers, status, code] of refused) {
      const answer = await tus.ask('POST', '/v1/uploads', { 'upload-length': '10', ...headers })
      assert.deepEqual([answer.status, answer.code], [status, code], JSON.stringify(headers).slice(0, 200))
      assert.equal(answer.headers['tus-version'], status === 412 ? '1.0.0' : undefined)
    }
    const file = { 'upload-length': '10', 'upload-metadata': metadata({ filename: 'sbom.json', as: 'file' }) }
    const taken = await tus.ask('POST', '/v1/uploads', file)
    assert.equal(taken.status, 201, JSON.stringify(taken.problem))
    assert.equal((await tus.ask('DELETE', taken.headers.location ?? '')).status, 204)
    // Node takes 16 KiB of headers.
    const huge = await tus
      .ask('POST', '/v1/uploads', { 'upload-metadata': `a ${'A'.repeat(1024 * 1024)}` })
      .catch(() => undefined)
    assert.ok(huge === undefined || huge.status === 431, String(huge?.status))
    const path = await tus.create('q.tar', 10)
    for (const type of [undefined, 'application/octet-stream', 'text/plain']) {
      const { status, code } = await tus.patch(path, 0, Buffer.from('x'), { 'content-type': type })
      assert.deepEqual([status, code], [415, 'UNSUPPORTED_MEDIA_TYPE'], type)
    }
    assert.equal((await tus.ask('POST', '/v1/uploads', { ...named, 'upload-length': 10 }, 'text')).status, 415)
    assert.equal((await tus.ask('DELETE', path)).status, 204)
    assert.deepEqual(await readdir(app.uploadFolder), before)
  })

  test("is nobody else-origin's: no answer has a header of CORS, and none believes a proxy", async () => {
    const options = await tus.ask('OPTIONS', '/v1/uploads', { origin: base })
    assert.equal(options.status, 204)
    assert.equal(options.headers['tus-version'], '1.0.0')
    assert.equal(options.headers['tus-checksum-algorithm'], 'sha1,sha256')
    assert.ok(Number(options.headers['tus-max-size']) > 0)
    assert.match(String(options.headers['tus-extension']), /^creation,creation-with-upload,/)
    const made = await tus.ask('POST', '/v1/uploads', {
      ...named,
      origin: base,
      'upload-length': 10,
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'gopher',
      forwarded: 'host=evil.example',
    })
    assert.match(made.headers.location ?? '', /^\/v1\/uploads\/[0-9a-f-]{36}$/)
    for (const { headers } of [options, made, await tus.head(made.headers.location ?? '')]) {
      assert.deepEqual(
        Object.keys(headers).filter((name) => name.startsWith('access-control')),
        [],
      )
    }
    const foreign = await tus.ask('POST', '/v1/uploads', {
      ...named,
      'upload-length': 10,
      origin: 'https://evil.example',
    })
    assert.deepEqual([foreign.status, foreign.code], [403, 'ORIGIN_NOT_ALLOWED'])
  })
})

describe('while it comes in', () => {
  test('a HEAD ends what sends, and says where that came to; who sent is told too', async () => {
    const { path, file, request, answer } = await under()
    const head = await tus.head(path)
    const offset = Number(head.headers['upload-offset'])
    const { status, headers } = await answer
    assert.deepEqual([status, Number(headers['upload-offset']), headers.connection], [204, offset, 'close'])
    assert.equal((await stat(file)).size, offset)
    request.destroy()
    assert.equal((await tus.patch(path, offset, big.subarray(offset))).status, 204)
    assert.equal((await app.uploads.get(idOf(path)))?.sha256, hash(big).toString('hex'))
  })

  test('a DELETE ends it, and it is gone', async () => {
    const { path, answer } = await under()
    assert.equal((await tus.ask('DELETE', path)).status, 204)
    assert.equal((await tus.head(path)).status, 404)
    await answer.catch(() => undefined)
    assert.equal((await readdir(app.uploadFolder)).includes(`partial-${idOf(path)}`), false)
  })

  test('of two that begin at one byte the later has it, and the bytes are there once', async () => {
    const { path, answer } = await under()
    const both = await Promise.all([tus.patch(path, 0, big), tus.patch(path, 0, big)])
    await answer.catch(() => undefined)
    for (const { status } of both) assert.ok([204, 409].includes(status), String(status))
    const offset = Number((await tus.head(path)).headers['upload-offset'])
    if (offset < big.length) await tus.patch(path, offset, big.subarray(offset))
    assert.equal((await app.uploads.get(idOf(path)))?.sha256, hash(big).toString('hex'))
  })

  test('bytes that hardly come are 408, and what came counts', async () => {
    const { path, request, answer } = await under()
    const trickle = setInterval(() => request.write('x'), 20)
    const told = await answer.catch(() => undefined).finally(() => clearInterval(trickle))
    assert.ok(told === undefined || told.code === 'BODY_TOO_SLOW', told?.code)
    assert.ok(Number((await tus.head(path)).headers['upload-offset']) >= 1_000_000)
  })

  test('a connection that breaks leaves what came, and the next goes on there', async () => {
    const { path, request } = await under()
    request.destroy()
    const offset = Number((await tus.head(path)).headers['upload-offset'])
    assert.equal((await tus.patch(path, offset, big.subarray(offset))).status, 204)
    assert.equal((await app.uploads.get(idOf(path)))?.sha256, hash(big).toString('hex'))
  })

  test('a creation that breaks off leaves nothing: nobody knows its address', async () => {
    const before = await readdir(app.uploadFolder)
    const { request, answer } = tus.open('/v1/uploads', 0)
    request.destroy()
    await answer.catch(() => undefined)
    const sent = tusClient(base).ask('POST', '/v1/uploads', {
      ...named,
      'upload-length': 10,
      'content-type': 'application/offset+octet-stream',
      'content-length': 20,
    })
    assert.ok((await sent.catch(() => ({ status: 413 }))).status >= 400)
    await waitFor('nothing to be left', async () => (await readdir(app.uploadFolder)).length <= before.length)
  })
})
