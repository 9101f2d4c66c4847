import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import tls from 'node:tls'
import type { ByteStream } from '../../src/content/endpoints.ts'
import type { RegistryResponse } from '../../src/oci/request/transport.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { someBytes } from '../helpers/registries/oci-client.ts'
import { type Script, startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** Bodies that go over a connection of their own, from the socket into a ring of buffers. */
const MIB = 1024 * 1024
const content = someBytes(40 * MIB + 12_345)
const certificate = createCertificate()
tls.setDefaultCACertificates([...tls.getCACertificates(), certificate.certPem])

for (const [scheme, options] of [
  ['HTTP', {}],
  ['TLS', { tls: certificate }],
] as const) {
  test(`a large body over ${scheme} arrives byte for byte`, async (t) => {
    const registry = await startScriptedServer(t, (_request, response) => void whole(response), options)
    const { response } = await get(t, registry.host)
    assert.equal(await digestOfStream(response.body), digestOf(content))
  })

  test(`a reader over ${scheme} that does not read holds the far end back`, async (t) => {
    let sent = 0
    const registry = await startScriptedServer(
      t,
      (_request, response) => void whole(response, (bytes) => (sent += bytes)),
      options,
    )
    const { response } = await get(t, registry.host)
    const chunks = response.body[Symbol.asyncIterator]()
    const first = await chunks.next()
    const hash = createHash('sha256').update(first.value ?? '')
    let before = -1
    await waitFor(
      'the far end to be held back',
      () => {
        const still = sent === before
        before = sent
        return still
      },
      { intervalMs: 300 },
    )
    assert.ok(sent < content.length - 20 * MIB, `${sent} bytes were sent for one chunk that was read`)
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) hash.update(next.value)
    assert.equal(hash.digest('hex'), digestOf(content))
  })

  test(`a far end over ${scheme} that falls silent is given up, after what it has sent`, async (t) => {
    const registry = await startScriptedServer(t, (_request, response) => partly(response, 3 * MIB + 7), options)
    const { response } = await get(t, registry.host, { bodyIdleMs: 300 })
    const { bytes, error } = await readUntilError(response)
    assert.equal(bytes, 3 * MIB + 7)
    assert.equal(response.bodyError(error).message, `look: ${registry.host} stopped sending`)
  })

  test(`a far end over ${scheme} that closes early is a lost connection, after what it has sent`, async (t) => {
    const registry = await startScriptedServer(
      t,
      (_request, response) => partly(response, 3 * MIB + 7, () => response.destroy()),
      options,
    )
    const { response } = await get(t, registry.host)
    const { bytes, error } = await readUntilError(response)
    assert.ok(bytes <= 3 * MIB + 7)
    assert.match(response.bodyError(error).message, /broke the connection/)
  })

  test(`a reader over ${scheme} that was slower than the idle limit is not taken for a silent far end`, async (t) => {
    const registry = await startScriptedServer(t, (_request, response) => void whole(response), options)
    const { response } = await get(t, registry.host, { bodyIdleMs: 2000 })
    const hash = createHash('sha256')
    let pauses = 0
    for await (const chunk of response.body) {
      hash.update(chunk)
      if (pauses++ < 1) await setTimeout(2500)
    }
    assert.equal(hash.digest('hex'), digestOf(content))
  })
}

test('a far end that sends something now and then is slow, not silent', async (t) => {
  const bodyIdleMs = 1000
  const pieces = 12
  const piece = content.subarray(0, 256 * 1024)
  const slow = async (response: ServerResponse, headers: OutgoingHttpHeaders) => {
    response.writeHead(200, headers)
    for (let sent = 0; sent < pieces && !response.destroyed; sent += 1) {
      response.write(piece)
      await setTimeout(bodyIdleMs / 5)
    }
    response.end()
  }
  const read = async (headers: OutgoingHttpHeaders, options: { tls?: typeof certificate }) => {
    const registry = await startScriptedServer(t, (_request, response) => void slow(response, headers), options)
    const { response } = await get(t, registry.host, { bodyIdleMs })
    let bytes = 0
    for await (const chunk of response.body) bytes += chunk.length
    assert.equal(bytes, pieces * piece.length)
  }
  const known = { 'content-length': pieces * piece.length }
  await Promise.all([read(known, {}), read(known, { tls: certificate }), read({}, {}), read({}, { tls: certificate })])
})

test('the end of a body that nobody reads on closes the connection', async (t) => {
  const closed = Promise.withResolvers<void>()
  const registry = await startScriptedServer(t, (incoming, response) => {
    incoming.socket.once('close', () => closed.resolve())
    void whole(response)
  })
  const { response } = await get(t, registry.host)
  for await (const _ of response.body) break
  await closed.promise
})

test('connections that are closed end what is read over them', async (t) => {
  const registry = await startScriptedServer(t, (_request, response) => partly(response, 3 * MIB))
  const { response, connections } = await get(t, registry.host)
  const chunks = response.body[Symbol.asyncIterator]()
  await chunks.next()
  const rest = (async () => {
    while (!(await chunks.next()).done);
  })()
  const refused = assert.rejects(rest, (error) => {
    assert.match(response.bodyError(error).message, /shutting down/)
    return true
  })
  await connections[Symbol.asyncDispose]()
  await refused
})

test('a body without a length, a small one and one of an error go the usual way', async (t) => {
  const answers: Record<string, Script> = {
    '/v2/chunked': (_request, response) => void response.end(content.subarray(0, 3 * MIB)),
    '/v2/small': (_request, response) => response.writeHead(200, { 'content-length': 5 }).end('small'),
  }
  const registry = await startScriptedServer(t, (incoming, response) => {
    response.flushHeaders()
    answers[incoming.url ?? '']?.(incoming, response)
  })
  const chunked = await get(t, registry.host, {}, '/v2/chunked')
  assert.equal(await digestOfStream(chunked.response.body), digestOf(content.subarray(0, 3 * MIB)))
  const failing = await startScriptedServer(t, (_request, response) => {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[{"code":"BLOB_UNKNOWN"}]}')
  })
  const { response } = await get(t, failing.host)
  assert.equal(response.status, 404)
  assert.equal((await response.bytes(1000)).toString(), '{"errors":[{"code":"BLOB_UNKNOWN"}]}')
})

async function get(t: Cleanup, host: string, timeouts = {}, path = '/v2/large') {
  const connections = connect(t, { timeouts })
  const transport = connections.transport(host, { credential: undefined, plainHttp: false })
  const response = await transport.send(request(path, { lane: 'bulk', expectedBytes: content.length }))
  return { response, connections }
}

async function whole(response: ServerResponse, onSent: (bytes: number) => void = () => {}): Promise<void> {
  response.writeHead(200, { 'content-length': content.length })
  for (let at = 0; at < content.length && !response.destroyed; at += MIB) {
    const piece = content.subarray(at, at + MIB)
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    onSent(piece.length)
  }
  response.end()
}

function partly(response: ServerResponse, bytes: number, then: () => void = () => {}): void {
  response.writeHead(200, { 'content-length': content.length })
  response.write(content.subarray(0, bytes), () => then())
}

async function readUntilError(response: RegistryResponse): Promise<{ bytes: number; error: unknown }> {
  let bytes = 0
  try {
    for await (const chunk of response.body) {
      assert.ok(chunk.equals(content.subarray(bytes, bytes + chunk.length)))
      bytes += chunk.length
    }
  } catch (error) {
    return { bytes, error }
  }
  throw new Error('the body ended in good order')
}

async function digestOfStream(stream: ByteStream): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return hash.digest('hex')
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
