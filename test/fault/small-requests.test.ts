import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { ConnectionTimeouts } from '../../src/oci/connections.ts'
import type { RegistryRequest } from '../../src/oci/request/transport.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { type RawRequest, startRawServer } from '../helpers/network/raw-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { waitFor } from '../helpers/wait-for.ts'

const { signal } = new AbortController()
const CREATED = 'HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n'
const ABSENT = 'HTTP/1.1 404 Not Found\r\n\r\n'
const HEAD = request('/v2/some/package/blobs/x', { method: 'HEAD' })
const put = (more: Partial<RegistryRequest> = {}): RegistryRequest =>
  request('/v2/some/package/blobs/uploads/1?digest=x', {
    method: 'PUT',
    lane: 'bulk',
    body: Buffer.from('some bytes'),
    ...more,
  })

async function setUp(
  t: TestContext,
  answer: (socket: Socket, request: RawRequest) => void,
  timeouts: Partial<ConnectionTimeouts> = {},
) {
  const server = await startRawServer(t, answer)
  const connections = connect(t, { timeouts })
  const transport = connections.transport(server.host, { credential: undefined, plainHttp: true })
  const status = async (asked: RegistryRequest): Promise<number> => {
    const response = await transport.send(asked)
    await response.discard()
    return response.status
  }
  return { server, connections, transport, status }
}

test('answers to HEAD that name no length leave the connection as it is', async (t) => {
  const { server, status } = await setUp(t, (socket) => void socket.write(ABSENT))
  for (let count = 0; count < 20; count += 1) assert.equal(await status(HEAD), 404)
  assert.deepEqual([server.requests.length, server.connections], [20, 1])
})

test('head and body arrive as they were meant', async (t) => {
  const { server, status } = await setUp(t, (socket) => void socket.write(CREATED))
  const body = someBytes(60_000)
  const stream = async function* () {
    yield body.subarray(0, 1000)
    yield body.subarray(1000)
  }
  assert.equal(await status(put({ body, headers: { 'content-type': 'text/plain' } })), 201)
  assert.equal(await status(put({ body: stream, contentLength: body.length })), 201)
  assert.equal(await status(request('/v2/a/blobs/uploads/', { method: 'POST' })), 201)
  const [whole, streamed, empty] = server.requests
  assert.equal(whole?.body, body.toString('latin1'))
  assert.equal(streamed?.body, body.toString('latin1'))
  assert.match(whole.head, /^PUT \/v2\/some\/package\/blobs\/uploads\/1\?digest=x HTTP\/1\.1\r\n/)
  assert.match(whole.head, new RegExp(`\\r\\nhost: ${server.host}\\r\\n`))
  assert.match(whole.head, /\r\ncontent-type: text\/plain\r\n/)
  assert.match(`${whole.head}\r\n`, /\r\ncontent-length: 60000\r\n/)
  assert.match(`${empty?.head}\r\n`, /\r\ncontent-length: 0\r\n/)
  assert.equal(server.connections, 1)
})

test('a body that is shorter or longer than it was said to be is not sent', async (t) => {
  const { server, status } = await setUp(t, (socket) => void socket.write(CREATED))
  const body = async function* () {
    yield Buffer.from('12345')
  }
  for (const contentLength of [4, 6]) {
    await assert.rejects(status(put({ body, contentLength })), { code: 'SIZE_MISMATCH' })
  }
  assert.equal(await status(put({ body, contentLength: 5 })), 201)
  assert.deepEqual([server.requests.length, server.connections], [1, 1])
})

for (const evil of ['a\r\nx-evil: 1', 'a\nb', 'a\rb', 'a\u0000b', 'a\u20ac']) {
  test(`a header with ${JSON.stringify(evil)} is not sent`, async (t) => {
    const { server, status } = await setUp(t, (socket) => void socket.write(CREATED))
    await assert.rejects(status(put({ headers: { 'x-some': evil } })), { code: 'INTERNAL' })
    await assert.rejects(status(put({ headers: { [evil]: 'x' } })), { code: 'INTERNAL' })
    assert.deepEqual(server.requests, [])
  })
}

test('a kept connection that the far end closes is found out about: a HEAD goes out again, a blob does not', async (t) => {
  const { server, status } = await setUp(t, (socket, { nth }) => {
    if (nth === 1) socket.write(CREATED)
    else socket.destroy()
  })
  const retried: Error[] = []
  assert.equal(await status(HEAD), 201)
  assert.equal(await status({ ...HEAD, onRetry: (error) => void retried.push(error) }), 201)
  assert.deepEqual(retried, [])
  await assert.rejects(status(put()), { code: 'REGISTRY_CONNECTION_LOST' })
  assert.deepEqual(
    server.requests.map(({ method, connection, nth }) => [method, connection, nth]),
    [
      ['HEAD', 1, 1],
      ['HEAD', 1, 2],
      ['HEAD', 2, 1],
      ['PUT', 2, 2],
    ],
  )
})

test('a connection that closes while a body is read is not the one that the body goes out on', async (t) => {
  const sockets: Socket[] = []
  const { server, status } = await setUp(
    t,
    (socket) => {
      sockets.push(socket)
      socket.write(CREATED)
    },
    { bulkHeadersMs: 10_000 },
  )
  assert.equal(await status(HEAD), 201)
  const body = async function* () {
    yield Buffer.from('some ')
    sockets[0]?.end()
    await waitFor('the connection is closed', () => server.open === 0)
    yield Buffer.from('bytes')
  }
  assert.equal(await status(put({ body, contentLength: 10 })), 201)
  assert.deepEqual(
    server.requests.map(({ method, connection, body: sent }) => [method, connection, sent]),
    [
      ['HEAD', 1, ''],
      ['PUT', 2, 'some bytes'],
    ],
  )
})

test('a connection that breaks within an answer is not taken for one that was closed before', async (t) => {
  const { server, status } = await setUp(t, (socket, { nth }) => {
    if (nth === 1) socket.write(CREATED)
    else socket.end('HTTP/1.1 20')
  })
  const delivered = request('/v2/a/blobs/uploads/', { method: 'POST', lane: 'bulk' })
  assert.equal(await status(delivered), 201)
  await assert.rejects(status(delivered), { code: 'REGISTRY_CONNECTION_LOST' })
  assert.equal(server.requests.length, 2)
})

test('a connection is not used for longer than the far end keeps it', async (t) => {
  const { server, status } = await setUp(t, (socket) => {
    socket.write('HTTP/1.1 201 Created\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n')
  })
  assert.equal(await status(HEAD), 201)
  assert.equal(await status(HEAD), 201)
  assert.equal(server.connections, 2)
})

test('an unused connection is closed after a while', async (t) => {
  const { server, status } = await setUp(t, (socket) => void socket.write(CREATED))
  await status(HEAD)
  await waitFor('the connection is closed', () => server.open === 0)
})

for (const when of ['with the answer', 'after it']) {
  test(`a body after a HEAD, ${when}, is never an answer`, async (t) => {
    const { server, status } = await setUp(t, (socket, { method }) => {
      const head = 'HTTP/1.1 404 Not Found\r\ncontent-length: 40\r\n\r\n'
      const body = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n..'
      if (method !== 'HEAD') socket.write(CREATED)
      else if (when === 'with the answer') socket.write(head + body)
      else socket.write(head, () => void socket.write(body))
    })
    assert.equal(await status(HEAD), 404)
    await waitFor('the connection is closed', () => server.open === 0)
    assert.equal(await status(put()), 201)
    assert.deepEqual(
      server.requests.map(({ connection }) => connection),
      [1, 2],
    )
  })
}

test('what is not HTTP is told as that', async (t) => {
  const { status } = await setUp(t, (socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'))
  await assert.rejects(status(put()), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
})

test('an answer with two lengths is refused and its connection closed', async (t) => {
  const { server, status } = await setUp(t, (socket) => {
    socket.write('HTTP/1.1 201 Created\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n')
  })
  await assert.rejects(status(put()), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
  await waitFor('the connection is closed', () => server.open === 0)
})

for (const [what, answer] of Object.entries({
  'two lengths': 'HTTP/1.1 201 Created\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n',
  'a field that is none': 'HTTP/1.1 201 Created\r\ncontent-length : 0\r\n\r\n',
  'another protocol': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n',
})) {
  test(`an answer with ${what} is told as that on a kept connection too`, async (t) => {
    const { server, status } = await setUp(t, (socket, { nth }) => void socket.write(nth === 1 ? CREATED : answer))
    assert.equal(await status(HEAD), 201)
    await assert.rejects(status(put()), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
    assert.deepEqual([server.requests.length, server.connections], [2, 1])
  })
}

test('an answer longer than is read is not handed on as a whole one, and its status counts', async (t) => {
  const { server, transport, status } = await setUp(t, (socket) => {
    socket.write(`HTTP/1.1 201 Created\r\ncontent-length: ${2 ** 20}\r\n\r\n`)
    socket.write(Buffer.alloc(2 ** 20))
  })
  const response = await transport.send(put())
  await assert.rejects(response.bytes(2 ** 20), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
  assert.equal(await status(put()), 201)
  await waitFor('the connections are closed', () => server.open === 0)
})

test('the status counts though its text breaks off, and the text as far as it came', async (t) => {
  const { status } = await setUp(t, (socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 500\r\n\r\n{"errors":[{"code":"DENIED","message":"no"}]}')
  })
  await assert.rejects(status(put()), (error: Error & { code: string; upstream?: { ociCode?: string } }) => {
    assert.equal(error.code, 'REGISTRY_DENIED')
    assert.equal(error.upstream?.ociCode, 'DENIED')
    return true
  })
})

test('an answer that comes in chunks is read', async (t) => {
  const { transport } = await setUp(t, (socket) => {
    socket.write('HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n')
  })
  const response = await transport.send(put())
  assert.equal((await response.bytes(100)).toString(), 'hello')
  await assert.rejects((await transport.send(put())).bytes(3), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
})

test('silence is waited for as long as the lane says, before the answer and within it', async (t) => {
  const limits = { bulkHeadersMs: 50, bodyIdleMs: 50 }
  const silent = await setUp(t, () => undefined, limits)
  await assert.rejects(silent.status(put()), { code: 'REGISTRY_TIMEOUT' })
  const breaking = await setUp(
    t,
    (socket) => void socket.write('HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhe'),
    limits,
  )
  const response = await breaking.transport.send(put())
  await assert.rejects(response.bytes(100), { code: 'REGISTRY_TIMEOUT' })
  await waitFor('the connection is closed', () => silent.server.open === 0 && breaking.server.open === 0)
})

test('an abort closes the connection and is the error', async (t) => {
  const controller = new AbortController()
  const { server, status } = await setUp(t, () => controller.abort())
  await assert.rejects(status(put({ signal: controller.signal })), { code: 'JOB_CANCELED' })
  await waitFor('the connection is closed', () => server.open === 0)
  assert.equal(server.requests.length, 1)
})

test('what is under way when layerd shuts down fails as that', async (t) => {
  const { connections, status } = await setUp(t, () => void connections[Symbol.asyncDispose]())
  await assert.rejects(status(HEAD), { code: 'SHUTTING_DOWN' })
  await assert.rejects(status(HEAD), { code: 'SHUTTING_DOWN' })
})

test('a digest that is wrong is found before a byte of a small blob goes out', async (t) => {
  const server = await startRawServer(t, (socket, { method }) => {
    socket.write(
      method === 'POST'
        ? 'HTTP/1.1 202 Accepted\r\nlocation: /v2/test/blobs/blobs/uploads/1\r\ncontent-length: 0\r\n\r\n'
        : ABSENT,
    )
  })
  const repository = await openRepository(t, server.host)
  const blob = testBlob(someBytes(3000))
  const other = testBlob(someBytes(3000, 2))
  await assert.rejects(repository.push(blob.descriptor, other.open, { signal }), { code: 'DIGEST_MISMATCH' })
  assert.ok(server.requests.every(({ body }) => body === ''))
})
