import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect as connectTo, createServer as createRawServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { createCertificate } from '../helpers/network/certificate.ts'
import { JoinedSockets } from '../helpers/network/joined-sockets.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const tags = '/v2/some/package/tags/list'
const PROBE_MS = 300

/** First byte of a TLS connection. Source: RFC 8446 5.1. */
const TLS_HANDSHAKE = 22

async function ask(t: TestContext, host: string, plainHttp = false) {
  const connections = connect(t, { clock: createStepClock(), timeouts: { probeMs: PROBE_MS, connectMs: 1000 } })
  const response = await connections.transport(host, { credential: undefined, plainHttp }).send(request(tags))
  await response.discard()
  return { status: response.status, scheme: response.url.protocol }
}

/** Answers all but /v2/, and that after so long; undefined: never. */
function thinking(afterMs?: number) {
  return ({ url }: IncomingMessage, response: ServerResponse): void => {
    if (url !== '/v2/') response.end('{}')
    else if (afterMs !== undefined) setTimeout(() => response.end('{}'), afterMs)
  }
}

test('a registry over plain HTTP whose /v2/ never answers is asked all the same', async (t) => {
  const host = await listenOnLoopback(t, createServer(thinking()))
  assert.deepEqual(await ask(t, host), { status: 200, scheme: 'http:' })
})

test('a registry over TLS whose /v2/ never answers is asked all the same, and not in clear', async (t) => {
  const certificate = createCertificate(['127.0.0.1'])
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, certificate.certPem])
  t.after(() => tls.setDefaultCACertificates(before))
  const server = createTlsServer({ key: certificate.keyPem, cert: certificate.certPem }, thinking())
  const inClear: unknown[] = []
  server.on('tlsClientError', (failure) => inClear.push(failure))
  const host = await listenOnLoopback(t, server)
  for (const plainHttp of [false, true]) {
    assert.deepEqual(await ask(t, host, plainHttp), { status: 200, scheme: 'https:' })
  }
  assert.deepEqual(inClear, [])
})

test('a plain HTTP server that says nothing to TLS, and thinks long about /v2/, is found all the same', async (t) => {
  const plain = createServer(thinking(2 * PROBE_MS))
  const inside = await listenOnLoopback(t, plain)
  const asked: string[] = []
  const sockets = new JoinedSockets()
  t.after(() => sockets.destroy())
  const host = await listenOnLoopback(
    t,
    createRawServer((socket) => {
      sockets.join(socket, socket)
      socket.once('data', (first) => {
        asked.push(first[0] === TLS_HANDSHAKE ? 'TLS' : 'clear')
        // As one that reads a line waits for its end.
        if (first[0] === TLS_HANDSHAKE) return
        const target = connectTo(Number(inside.split(':')[1]), '127.0.0.1')
        sockets.join(socket, target)
        target.write(first)
        socket.pipe(target).pipe(socket)
      })
    }),
  )
  assert.deepEqual(await ask(t, host), { status: 200, scheme: 'http:' })
  assert.deepEqual(asked.slice(0, 2), ['TLS', 'clear'])
})

test('a port that takes the connection and says nothing, in TLS or in clear, is not waited for without end', async (t) => {
  const sockets = new JoinedSockets()
  t.after(() => sockets.destroy())
  const host = await listenOnLoopback(
    t,
    createRawServer((socket) => sockets.join(socket, socket)),
  )
  const timeouts = { probeMs: 50, connectMs: 1000, controlHeadersMs: 100 }
  const connections = connect(t, { clock: createStepClock(), timeouts })
  const sent = connections.transport(host, { credential: undefined, plainHttp: false }).send(request(tags))
  await assert.rejects(sent, { code: 'REGISTRY_TIMEOUT', retry: 'transient' })
})
