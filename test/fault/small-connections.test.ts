import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { createConnectors } from '../../src/oci/wire/connections/connectors.ts'
import { NO_SECRETS } from '../../src/oci/errors/mask.ts'
import { NO_HOOKS } from '../../src/oci/request/hooks.ts'
import { SmallConnection } from '../../src/oci/wire/connections/small-connection.ts'
import { createSmallConnections, type SmallCall } from '../../src/oci/wire/connections/small-connections.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRawServer } from '../helpers/network/raw-server.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
const options = { connectorFor: createConnectors({ timeout: 10_000 }), sendIdleMs: 60_000 }
const limits = { headersTimeoutMs: 10_000, bodyTimeoutMs: 10_000 }

function head(url: URL, signal = new AbortController().signal): SmallCall {
  const facts = { op: 'look for blob', registry: url.host, method: 'HEAD', url, mask: NO_SECRETS }
  return { method: 'HEAD', url, headers: {}, repeatable: true, facts, hooks: NO_HOOKS, signal, ...limits }
}

/** A far end that takes connections and says nothing. */
async function startSilence(t: TestContext): Promise<{ host: string; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined).resume()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

test('what waits for a connection when layerd shuts down fails as that, at once', async (t) => {
  const { host, sockets } = await startSilence(t)
  const connections = createSmallConnections({ ...options, connectorFor: createConnectors({ timeout: 2000 }) })
  const sent = assert.rejects(connections.send(head(new URL(`https://${host}`))), { code: 'UND_ERR_DESTROYED' })
  await waitFor('the far end has the connection', () => sockets.length > 0)
  connections.destroy()
  await sent
})

test('a connection that comes up after the end is closed', async (t) => {
  const { host, sockets } = await startSilence(t)
  const connections = createSmallConnections(options)
  const sent = assert.rejects(connections.send(head(new URL(`http://${host}`))), { code: 'UND_ERR_DESTROYED' })
  connections.destroy()
  await sent
  await waitFor('the connection is closed', () => sockets[0]?.readableEnded)
})

test('a new connection has been idle for no longer than it exists', async (t) => {
  const server = await startRawServer(t, (socket) => void socket.write(ANSWER))
  const url = new URL(`http://${server.host}`)
  const before = performance.now()
  const connection = await SmallConnection.open(url, options, () => undefined)
  defer(t, () => connection.close())
  assert.ok(connection.idleSince >= before, `since ${connection.idleSince}, and asked for at ${before}`)
})

test('a request on a connection that is gone fails at once', async (t) => {
  const server = await startRawServer(t, (socket) => void socket.write(ANSWER))
  const url = new URL(`http://${server.host}`)
  const closed = Promise.withResolvers<SmallConnection>()
  const connection = await SmallConnection.open(url, options, closed.resolve)
  connection.close()
  assert.equal(await closed.promise, connection)
  const sent = connection.send({ method: 'HEAD', head: 'HEAD / HTTP/1.1\r\n\r\n', ...limits, headersTimeoutMs: 2000 })
  await assert.rejects(sent, { code: 'UND_ERR_SOCKET' })
  assert.equal(connection.unanswered, true)
})
