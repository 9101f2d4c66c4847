import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { AppError } from '../../src/lib/errors.ts'
import type { RegistryRequest } from '../../src/oci/request/transport.ts'
import { startRawServer } from '../helpers/network/raw-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

/** What carries a GET: a small one our own exchange, all others undici's parser, be it undici or a connection of its own. */
const EXCHANGES = {
  own: request('/v2/some/package/tags/list'),
  undici: request('/v2/some/package/blobs/x', { lane: 'bulk' }),
  direct: request('/v2/some/package/blobs/x', { lane: 'bulk', expectedBytes: 4 * 1024 * 1024 }),
} as const satisfies Record<string, RegistryRequest>

/** What one is read as; undefined: it is refused, by name and for good. */
type Reading = string | undefined

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKS = '5\r\nhello\r\n0\r\n\r\n'

/** Who frames an answer how. Source: RFC 9112 6.3, RFC 9110 5.3 and 8.6. */
const RULES: ReadonlyArray<[what: string, answer: string, own: Reading, undici: Reading]> = [
  ['a length', `${OK}content-length: 5\r\n\r\nhello`, 'hello', 'hello'],
  ['chunks', `${OK}transfer-encoding: chunked\r\n\r\n${CHUNKS}`, 'hello', 'hello'],
  // Chunks win. undici refuses it, which costs no retry.
  [
    'a length, then chunks',
    `${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${CHUNKS}`,
    'hello',
    undefined,
  ],
  [
    'chunks, then a length',
    `${OK}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n${CHUNKS}`,
    'hello',
    undefined,
  ],
  [
    'a wrong length and chunks',
    `${OK}content-length: 99\r\ntransfer-encoding: chunked\r\n\r\n${CHUNKS}`,
    'hello',
    undefined,
  ],
  ['one length twice', `${OK}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`, 'hello', undefined],
  ['one length in a list', `${OK}content-length: 5, 5\r\n\r\nhello`, 'hello', undefined],
  ['two lengths', `${OK}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`, undefined, undefined],
  ['two lengths in a list', `${OK}content-length: 5, 6\r\n\r\nhello`, undefined, undefined],
  ['a length that is none', `${OK}content-length: +5\r\n\r\nhello`, undefined, undefined],
  ['another coding of the transfer', `${OK}transfer-encoding: gzip, chunked\r\n\r\n${CHUNKS}`, undefined, undefined],
  ['a blank before a colon', `${OK}content-length : 5\r\n\r\nhello`, undefined, undefined],
]

async function readings(t: TestContext, answer: string | Buffer, kind: RegistryRequest) {
  const server = await startRawServer(t, (socket) => void socket.write(answer, 'latin1'))
  const transport = connect(t).transport(server.host, { credential: undefined, plainHttp: true })
  const read = async () => {
    const response = await transport.send(kind)
    return (await response.bytes(1000)).toString()
  }
  return { server, read }
}

for (const [what, answer, own, undici] of RULES) {
  for (const [name, kind] of Object.entries(EXCHANGES)) {
    const expected = name === 'own' ? own : undici
    test(`${what}: ${name} ${expected === undefined ? 'refuses it once' : 'reads it'}`, async (t) => {
      const { server, read } = await readings(t, answer, kind)
      if (expected === undefined) {
        await assert.rejects(read(), (error: AppError) => {
          assert.deepEqual([error.code, error.retry], ['REGISTRY_PROTOCOL_VIOLATION', 'permanent'])
          return true
        })
      } else assert.equal(await read(), expected)
      assert.equal(server.requests.length, 1)
    })
  }
}

for (const fields of [
  'content-length: 5\r\ntransfer-encoding: chunked\r\n',
  'transfer-encoding: gzip, chunked\r\n',
  'content-length: 5\r\ncontent-length: 6\r\n',
]) {
  test(`an answer to a HEAD has no body, whatever it says: ${JSON.stringify(fields)}`, async (t) => {
    const server = await startRawServer(t, (socket) => void socket.write(`${OK}${fields}\r\n`))
    const transport = connect(t).transport(server.host, { credential: undefined, plainHttp: true })
    const head = request('/v2/some/package/blobs/x', { method: 'HEAD' })
    assert.equal((await transport.send(head)).status, 200)
    assert.equal((await transport.send(head)).status, 200)
    assert.deepEqual([server.requests.length, server.connections], [2, 1])
  })
}

test('after chunks beside a length the connection is not used again', async (t) => {
  const { server, read } = await readings(
    t,
    `${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${CHUNKS}`,
    EXCHANGES.own,
  )
  assert.deepEqual([await read(), await read(), server.connections], ['hello', 'hello', 2])
})

for (const [name, kind] of Object.entries(EXCHANGES)) {
  test(`a field that is said twice alike is said once: ${name}`, async (t) => {
    const twice = 'location: /v2/x\r\nLocation: /v2/x\r\nlink: <a>\r\nlink: <b>\r\n'
    const server = await startRawServer(t, (socket) => void socket.write(`${OK}${twice}content-length: 0\r\n\r\n`))
    const transport = connect(t).transport(server.host, { credential: undefined, plainHttp: true })
    const response = await transport.send(kind)
    response.abandon()
    assert.deepEqual([response.header('location'), response.header('link')], ['/v2/x', '<a>, <b>'])
  })
}

function gzipped(text: string, coding = 'gzip', zipped = gzipSync(text)): Buffer {
  const head = `${OK}content-encoding: ${coding}\r\ncontent-length: ${zipped.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), zipped])
}

for (const [name, kind] of Object.entries(EXCHANGES)) {
  test(`what is small is read out of a gzip that nobody asked for, within its limit: ${name}`, async (t) => {
    const { read } = await readings(t, gzipped('hello'), kind)
    assert.equal(await read(), 'hello')
    const bomb = await readings(t, gzipped('x'.repeat(1001)), kind)
    await assert.rejects(bomb.read(), { code: 'REGISTRY_PROTOCOL_VIOLATION', message: /longer than 1000 bytes/ })
    for (const odd of [gzipped('hello', 'br'), gzipped('hello', 'gzip', Buffer.from('hello'))]) {
      const other = await readings(t, odd, kind)
      await assert.rejects(other.read(), {
        code: 'REGISTRY_PROTOCOL_VIOLATION',
        retry: 'permanent',
        message: /Content-Encoding/,
      })
    }
  })
}

test('the text of a refusal is read out of a gzip, too', async (t) => {
  const zipped = gzipSync('{"errors":[{"code":"DENIED","message":"not yours"}]}')
  const head = `HTTP/1.1 403 Forbidden\r\ncontent-encoding: gzip\r\ncontent-length: ${zipped.length}\r\n\r\n`
  const server = await startRawServer(t, (socket) => {
    socket.write(Buffer.concat([Buffer.from(head, 'latin1'), zipped]))
  })
  const transport = connect(t).transport(server.host, { credential: undefined, plainHttp: true })
  await assert.rejects(transport.send(EXCHANGES.own), { code: 'REGISTRY_DENIED', message: /not yours/ })
})
