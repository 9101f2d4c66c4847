import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls'
import { Agent } from 'undici'
import { createConnectors } from '../../src/oci/wire/connections/connectors.ts'
import { NO_SECRETS } from '../../src/oci/errors/mask.ts'
import { NO_HOOKS } from '../../src/oci/request/hooks.ts'
import { DIRECT_MIN_BYTES, directExchange } from '../../src/oci/wire/exchanges/direct-exchange.ts'
import { createSmallConnections } from '../../src/oci/wire/connections/small-connections.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { defer } from '../helpers/cleanup.ts'

const { signal } = new AbortController()
const limits = { headersTimeoutMs: 10_000, bodyTimeoutMs: 10_000 }
const CLOSING = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: '

/** An https server that closes each connection after one answer, and clients that trust it. */
async function setUp(t: TestContext, options: TlsOptions = {}) {
  const certificate = createCertificate()
  const resumed: boolean[] = []
  const sockets = new Set<TLSSocket>()
  const server = createServer({ key: certificate.keyPem, cert: certificate.certPem, ...options }, (socket) => {
    resumed.push(socket.isSessionReused())
    sockets.add(socket.on('error', () => undefined))
    socket.once('data', (bytes) => {
      const size = bytes.toString('latin1').startsWith('GET') ? DIRECT_MIN_BYTES : 0
      socket.end(Buffer.concat([Buffer.from(`${CLOSING}${size}\r\n\r\n`), Buffer.alloc(size)]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connectorFor = createConnectors({ ca: certificate.certPem, allowH2: false })
  const small = createSmallConnections({ connectorFor, sendIdleMs: 60_000 })
  const dispatcher = new Agent()
  defer(t, async () => {
    small.destroy()
    await dispatcher.destroy()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/v2/`)
  const rest = { headers: {}, hooks: NO_HOOKS, signal, ...limits }
  const factsOf = (method: string) => ({ op: 'pull blob', registry: url.host, method, url, mask: NO_SECRETS })
  const head = async (): Promise<number> =>
    (await small.send({ method: 'HEAD', url, repeatable: true, facts: factsOf('HEAD'), ...rest })).statusCode
  const get = async (): Promise<number> => {
    const connections = { connectorFor, open: new Set<Agent>() }
    const response = await directExchange({ call: {}, dispatcher, facts: factsOf('GET'), ...rest }, connections)
    return (await response.bytes(DIRECT_MIN_BYTES)).length
  }
  return { server, resumed, head, get }
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`connections resume each other's sessions (${maxVersion})`, async (t) => {
    const { resumed, head, get } = await setUp(t, { maxVersion })
    assert.equal(await head(), 200)
    assert.equal(await head(), 200)
    assert.equal(await get(), DIRECT_MIN_BYTES)
    assert.equal(await get(), DIRECT_MIN_BYTES)
    assert.equal(await head(), 200)
    assert.deepEqual(resumed, [false, true, true, true, true])
  })
}

test('a session that the server no longer knows costs a handshake and nothing else', async (t) => {
  const { server, resumed, head } = await setUp(t)
  await head()
  server.setTicketKeys(Buffer.alloc(48, 7))
  assert.equal(await head(), 200)
  assert.equal(await head(), 200)
  assert.deepEqual(resumed, [false, false, true])
})
