import assert from 'node:assert/strict'
import { lookup as systemLookup } from 'node:dns'
import { type AddressInfo, connect as connectTo, createServer, type LookupFunction, type Socket } from 'node:net'
import { test } from 'node:test'
import { AppError, isAppError } from '../../src/lib/errors.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { freePort } from '../helpers/network/ports.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { waitFor } from '../helpers/wait-for.ts'

const tags = '/v2/some/package/tags/list'

const anonymous = { credential: undefined, plainHttp: false }

test('a cancel does not wait for a connection that is being made', async (t) => {
  const sockets: Socket[] = []
  // It takes the connection and says nothing to TLS.
  const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const lookup: LookupFunction = (hostname, options, callback) =>
    systemLookup(hostname === 'far.test' ? '127.0.0.1' : hostname, options, callback)
  const host = `far.test:${(silent.address() as AddressInfo).port}`
  for (const lane of ['control', 'bulk'] as const) {
    const controller = new AbortController()
    const transport = connect(t, { lookup, timeouts: { connectMs: 3_600_000 } }).transport(host, anonymous)
    const before = sockets.length
    const sent = transport.send(request('/v2/a/blobs/x', { lane, signal: controller.signal }))
    await waitFor('it to be connected', () => sockets.length > before)
    controller.abort(new AppError('JOB_CANCELED', 'canceled'))
    await assert.rejects(sent, { code: 'JOB_CANCELED' })
  }
})

test('a port where nobody listens fails after four tries, not after a minute', async (t) => {
  const clock = createStepClock()
  const transport = connect(t, { clock }).transport(`127.0.0.1:${await freePort()}`, anonymous)
  const told: number[] = []
  const sent = transport.send(request(tags, { onRetry: (_error, attempt) => told.push(attempt) }))
  await assert.rejects(sent, {
    code: 'REGISTRY_UNREACHABLE',
    message: /refused the connection/,
    details: { networkCode: 'ECONNREFUSED' },
  })
  assert.deepEqual(told, [1, 2, 3])
  assert.ok(clock.slept.reduce((sum, ms) => sum + ms, 0) <= 4000)
})

test('a host that has no address is unknown at once', async (t) => {
  const transport = connect(t).transport('registry.invalid', { credential: undefined, plainHttp: false })
  await assert.rejects(transport.send(request(tags)), (error) => {
    assert.ok(isAppError(error))
    // Without any DNS the answer is "try again".
    assert.ok(['REGISTRY_UNKNOWN_HOST', 'REGISTRY_UNREACHABLE'].includes(error.code), error.code)
    assert.match(error.hint ?? '', /DNS/)
    return true
  })
})

test('a registry that is known and away for a while is waited for', async (t) => {
  const port = await freePort()
  const answer = (_incoming: unknown, response: { end(text: string): unknown }) => response.end('{}')
  const undos: Array<() => Promise<void>> = []
  await startScriptedServer({ after: (undo) => undos.push(undo) }, answer, { port })
  const clock = createStepClock()
  const sleep = async (ms: number) => {
    await clock.sleep(ms)
    if (clock.slept.length === 6) await startScriptedServer(t, answer, { port })
  }
  const connections = connect(t, { clock: { now: () => clock.now(), sleep } })
  const transport = connections.transport(`127.0.0.1:${port}`, anonymous)
  await (await transport.send(request(tags))).discard()
  for (const undo of undos) await undo()
  const response = await transport.send(request(tags))
  assert.deepEqual([response.status, clock.slept.length], [200, 6])
})

for (const [name, headers, waited] of [
  ['seconds', { 'retry-after': '7' }, 7000],
  ['date', { 'retry-after': 'Sun, 01 Mar 2026 12:00:30 GMT' }, 30_000],
] as const) {
  test(`retry.retry-after.${name}: a small request waits as long as it says, and little longer`, async (t) => {
    const clock = createStepClock()
    let asked = 0
    const registry = await startScriptedServer(t, (_incoming, response) => {
      asked += 1
      if (asked === 1) response.writeHead(429, headers).end()
      else response.end('{}')
    })
    const transport = connect(t, { clock }).transport(registry.host, anonymous)
    assert.equal((await transport.send(request(tags))).status, 200)
    const [slept = 0] = clock.slept
    assert.equal(clock.slept.length, 1)
    assert.ok(slept >= waited && slept <= 1.2 * waited, `${slept} ms`)
  })
}

test('retry.retry-after.huge: a wait past ten minutes is not waited here but told', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(429, { 'retry-after': '3600' }).end(),
  )
  const transport = connect(t).transport(registry.host, anonymous)
  await assert.rejects(transport.send(request(tags)), {
    code: 'REGISTRY_THROTTLED',
    retry: 'transient',
    retryAfterMs: 3_600_000,
  })
})

test('a registry that keeps failing is asked eight times; what it refuses, once; a blob, once', async (t) => {
  const statuses = new Map([
    [tags, 503],
    ['/v2/denied', 403],
    ['/v2/blob', 503],
  ])
  const registry = await startScriptedServer(t, (incoming, response) =>
    response.writeHead(statuses.get(incoming.url ?? '') ?? 200).end(),
  )
  const transport = connect(t, { clock: createStepClock() }).transport(registry.host, anonymous)
  await assert.rejects(transport.send(request(tags)), { code: 'REGISTRY_SERVER_FAILED' })
  await assert.rejects(transport.send(request('/v2/denied')), { code: 'REGISTRY_DENIED' })
  await assert.rejects(transport.send(request('/v2/blob', { lane: 'bulk' })), { code: 'REGISTRY_SERVER_FAILED' })
  const count = (path: string) => registry.requests.filter((sent) => sent.path === path).length
  assert.deepEqual([count(tags), count('/v2/denied'), count('/v2/blob')], [8, 1, 1])
})

/** First byte of a TLS connection. Source: RFC 8446 5.1. */
const TLS_HANDSHAKE = 22

async function startServer(t: Cleanup, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => serve(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => new Promise((resolve) => server.close(() => resolve())))
  return (server.address() as AddressInfo).port
}

test('a certificate that nobody signed is a TLS error; credentials do not go out in clear instead', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) => response.end('{}'), {
    tls: createCertificate(),
  })
  for (const plainHttp of [false, true]) {
    const transport = connect(t).transport(registry.host, {
      credential: { kind: 'bearer', token: 'secret' },
      plainHttp,
    })
    await assert.rejects(transport.send(request(tags)), {
      code: 'REGISTRY_TLS',
      retry: 'permanent',
      hint: /NODE_EXTRA_CA_CERTS/,
      details: { networkCode: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    })
  }
})

test('a port that speaks both is not spoken to in clear because its certificate does not hold', async (t) => {
  const script = (_incoming: unknown, response: { end(text: string): unknown }) => response.end('{}')
  const secure = await startScriptedServer(t, script, { tls: createCertificate() })
  const plain = await startScriptedServer(t, script)
  const port = await startServer(t, (socket) => {
    socket.once('data', (first) => {
      const target = connectTo(Number((first[0] === TLS_HANDSHAKE ? secure : plain).host.split(':')[1]), '127.0.0.1')
      target.on('error', () => socket.destroy()).write(first)
      socket.pipe(target).pipe(socket)
    })
  })
  const transport = connect(t).transport(`127.0.0.1:${port}`, anonymous)
  await assert.rejects(transport.send(request(tags)), { code: 'REGISTRY_TLS' })
  assert.deepEqual([secure.requests, plain.requests], [[], []])
})

test('a plain HTTP registry whose first answer breaks off is asked again', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) => response.end('{}'))
  const proxy = await startFaultProxy(t, registry.host)
  // The first question is the TLS one.
  const lost = proxy.fail({ answer: 2 })
  const transport = connect(t, { clock: createStepClock() }).transport(proxy.host, anonymous)
  await (await transport.send(request(tags))).discard()
  assert.equal(lost.met, true)
})

test('a proxy is used for registries elsewhere, unless NO_PROXY names them, and never for loopback', async (t) => {
  const proxy = await startScriptedServer(t, (_incoming, response) => response.end('{}'))
  const registry = await startScriptedServer(t, (_incoming, response) => response.end('{}'))
  const connections = connect(t, { proxy: { http: proxy.url, no: 'inside.invalid' }, clock: createStepClock() })
  const plain = { credential: undefined, plainHttp: true }
  const through = connections.transport('outside.invalid', plain)
  await (await through.send(request(tags))).discard()
  assert.equal(proxy.requests.at(-1)?.path, `http://outside.invalid${tags}`)
  const seen = proxy.requests.length
  await (await connections.transport(registry.host, plain).send(request(tags))).discard()
  await assert.rejects(connections.transport('inside.invalid', plain).send(request(tags)))
  assert.equal(proxy.requests.length, seen)
})

test('when the connections are closed, what is under way ends as a shutdown', async (t) => {
  const registry = await startScriptedServer(t, () => {})
  const connections = connect(t)
  const transport = connections.transport(registry.host, anonymous)
  const retries: Error[] = []
  const sent = transport.send(request(tags, { onRetry: (error) => retries.push(error) }))
  const ended = assert.rejects(sent, { code: 'SHUTTING_DOWN' })
  await waitFor('the request to arrive', () => registry.requests.length === 1)
  await connections[Symbol.asyncDispose]()
  await ended
  assert.deepEqual(retries, [])
})
