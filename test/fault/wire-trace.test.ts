import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import type { RecordedRequest, WireRequest, WireTimings, WireTrace } from '../../src/content/wire-request.ts'
import type { RegistryRequest, RegistryTransport } from '../../src/oci/request/transport.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { freePort } from '../helpers/network/ports.ts'
import { type Script, startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const behindProxy = 'outside.invalid'
const certificate = createCertificate(['localhost', '127.0.0.1', behindProxy])
tls.setDefaultCACertificates([...tls.getCACertificates(), certificate.certPem])

const MIB = 1024 * 1024

/** What a trace is told, and what of it has ended. */
function createTrace(): WireTrace & { begun: RecordedRequest[]; over: RecordedRequest[]; told(): WireRequest[] } {
  const begun: RecordedRequest[] = []
  const over: RecordedRequest[] = []
  return {
    begun,
    over,
    began: (recorded) => void begun.push(recorded),
    ended: (recorded) => void over.push(recorded),
    told: () => over.map((recorded) => recorded.told()),
  }
}

async function* parts(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(100_000)
  yield Buffer.alloc(100_000)
}

/** A request for each exchange, and what is to be seen of it. */
const KINDS: ReadonlyArray<
  Pick<WireRequest, 'exchange' | 'bytes'> & { name: string; sent: RegistryRequest; read: number | null; keeps: boolean }
> = [
  {
    name: 'a HEAD',
    sent: { ...request('/v2/a/blobs/x'), method: 'HEAD' },
    exchange: 'small',
    bytes: 0,
    read: 0,
    keeps: true,
  },
  {
    name: 'a small answer',
    sent: request('/v2/a/tags/list'),
    exchange: 'small',
    bytes: 0,
    read: 2,
    keeps: true,
  },
  {
    name: 'a small blob',
    sent: { ...request('/v2/a/blobs/uploads/x'), method: 'PUT', lane: 'bulk', body: oneByte, contentLength: 1 },
    exchange: 'small',
    bytes: 1,
    read: 2,
    keeps: true,
  },
  {
    name: 'a large download',
    sent: { ...request('/v2/a/blobs/large'), lane: 'bulk', expectedBytes: 4 * MIB },
    exchange: 'direct',
    bytes: 0,
    read: 4 * MIB,
    keeps: false,
  },
  {
    name: 'a download of no known size',
    sent: { ...request('/v2/a/blobs/y'), lane: 'bulk' },
    exchange: 'undici',
    bytes: 0,
    read: 2,
    keeps: true,
  },
  {
    name: 'a manifest with a guard',
    sent: {
      ...request('/v2/a/manifests/x'),
      method: 'PUT',
      body: Buffer.from('{}'),
      guard: async () => undefined,
    },
    exchange: 'undici',
    bytes: 2,
    read: 2,
    keeps: true,
  },
  {
    name: 'a streamed upload',
    sent: { ...request('/v2/a/blobs/uploads/x'), method: 'PATCH', lane: 'bulk', body: parts },
    exchange: 'undici',
    bytes: 200_000,
    read: 2,
    keeps: true,
  },
]

async function* oneByte(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(1)
}

const answer: Script = (incoming, response) => {
  incoming.resume().on('end', () => {
    const large = incoming.url?.endsWith('/large') === true
    response.writeHead(200, { 'content-length': large ? 4 * MIB : 2, 'x-request-id': 'seven' })
    response.end(incoming.method === 'HEAD' ? undefined : large ? Buffer.alloc(4 * MIB) : '{}')
  })
}

function connected(t: TestContext, host: string, more: { plainHttp?: boolean; sharedTrace?: WireTrace } = {}) {
  const trace = createTrace()
  const { plainHttp = true, sharedTrace } = more
  const connections = connect(t, sharedTrace ? { sharedTrace } : {})
  return { trace, transport: connections.transport(host, { credential: undefined, plainHttp, trace }) }
}

async function readAll(transport: RegistryTransport, sent: RegistryRequest): Promise<number> {
  const response = await transport.send({ ...sent, signal: new AbortController().signal })
  let bytes = 0
  for await (const chunk of response.body) bytes += chunk.length
  return bytes
}

/** All of it lies within what was measured around it, but for rounding. */
function assertFits({ timings }: WireRequest, elapsedMs: number): void {
  const { ssl, ...rest } = timings
  const sum = Object.values(rest).reduce((total, ms) => total + Math.max(0, ms), 0)
  assert.ok(sum <= elapsedMs + 1, `${JSON.stringify(timings)} within ${elapsedMs}`)
  assert.ok(ssl <= timings.connect)
  for (const ms of Object.values(timings)) assert.ok(ms >= 0 || ms === -1, JSON.stringify(timings))
}

/** Which of the times there are. */
function present(timings: WireTimings): string[] {
  return Object.entries(timings).flatMap(([name, ms]) => (ms >= 0 ? [name] : []))
}

/** Who comes first on a connection had to wait for its making, and nobody else. `made`: what there was to be made. */
function assertConnections(told: readonly WireRequest[], made: readonly string[]): void {
  const seen = new Set<number | undefined>()
  for (const { url, connection, timings } of told.toSorted((a, b) => a.startedAt - b.startedAt)) {
    assert.notEqual(connection, undefined, url)
    const times = ['blocked', ...(seen.has(connection) ? [] : made), 'send', 'wait', 'receive']
    assert.deepEqual(present(timings), times, url)
    seen.add(connection)
  }
}

for (const { name, sent, exchange, bytes, read, keeps } of KINDS) {
  for (const [over, options] of [
    ['plain HTTP to a name', {}],
    ['TLS to an address', { tls: certificate }],
  ] as const) {
    test(`${name} over ${over} is recorded with what carried it, its bytes and its times`, async (t) => {
      const server = await startScriptedServer(t, answer, options)
      const isTls = 'tls' in options
      const host = isTls ? server.host : server.host.replace('127.0.0.1', 'localhost')
      const sharedTrace = createTrace()
      const { trace, transport } = connected(t, host, { plainHttp: !isTls, sharedTrace })
      const start = performance.now()
      for (let times = 0; times < 5; times += 1) await readAll(transport, sent)
      const elapsed = performance.now() - start

      assert.equal(trace.begun.length, trace.over.length)
      const all = trace.told()
      // Whoever streams a body asks for the way in first.
      const told = all.filter(({ url }) => new URL(url).pathname === sent.target)
      assert.equal(told.length, 5)
      for (const one of told) {
        assert.deepEqual([one.op, one.method, one.try, one.exchange], ['look', sent.method, 1, exchange])
        assert.deepEqual([one.bytes, one.answer?.status, one.answer?.bytes], [bytes, 200, read])
        assert.equal(Object.fromEntries(one.answer?.headers ?? [])['x-request-id'], 'seven')
        assert.deepEqual([one.open, one.shared, one.error], [undefined, undefined, undefined])
        assertFits(one, elapsed)
      }
      // The question of the scheme may leave a connection to those who come later; what it tried in vain has none.
      const shared = sharedTrace.told().filter((one) => one.answer)
      assertConnections([...shared, ...all], isTls ? ['connect', 'ssl'] : ['dns', 'connect'])
      const connections = new Set(told.map((one) => one.connection)).size
      assert.ok(keeps ? connections < 5 : connections === 5, `${connections} connections`)
    })
  }
}

test('each request of several connections at once is told with its own', async (t) => {
  const ports = new Map<string, number | undefined>()
  const { host } = await startScriptedServer(t, (incoming, response) => {
    ports.set(incoming.url ?? '', incoming.socket.remotePort)
    answer(incoming, response)
  })
  const { trace, transport } = connected(t, host)
  for (let round = 0; round < 3; round += 1) {
    const paths = Array.from({ length: 12 }, (_, at) => `/v2/a/blobs/uploads/${round}-${at}`)
    await Promise.all(
      paths.map((path) => readAll(transport, { ...request(path), method: 'PATCH', lane: 'bulk', body: parts })),
    )
  }
  const seen = trace.told().filter(({ method }) => method === 'PATCH')
  assert.equal(seen.length, 36)
  const portOf = new Map<number | undefined, number | undefined>()
  for (const { url, connection, exchange } of seen) {
    assert.equal(exchange, 'undici')
    assert.notEqual(connection, undefined)
    const port = ports.get(new URL(url).pathname)
    assert.equal(portOf.get(connection) ?? port, port, 'one connection, one port')
    portOf.set(connection, port)
  }
  assert.equal(new Set(portOf.values()).size, portOf.size, 'one port, one connection')
  assert.ok(portOf.size > 1)
  // Each of them was made for one request.
  assert.equal(seen.filter(({ timings }) => timings.connect >= 0).length, portOf.size)
})

test('through a tunnel the way there is one time, and its connection is told too', async (t) => {
  const server = await startScriptedServer(t, answer, { tls: certificate })
  const proxy = await startConnectProxy(t, server.host)
  const trace = createTrace()
  const connections = connect(t, { proxy: { https: `http://${proxy.host}` } })
  const transport = connections.transport(behindProxy, { credential: undefined, plainHttp: false, trace })
  const start = performance.now()
  for (let times = 0; times < 5; times += 1) await readAll(transport, request('/v2/a/tags/list'))
  const elapsed = performance.now() - start
  const told = trace.told()
  assert.deepEqual(new Set(told.map(({ exchange }) => exchange)), new Set(['undici']))
  assertConnections(told, ['connect'])
  assert.equal(new Set(told.map(({ connection }) => connection)).size, proxy.tunnels.length)
  assert.ok(proxy.tunnels.length < 5)
  for (const one of told) assertFits(one, elapsed)
})

test('a request that nobody takes is told with the reason, and no connection', async (t) => {
  const shared = createTrace()
  const { trace, transport } = connected(t, `127.0.0.1:${await freePort()}`, { sharedTrace: shared })
  await assert.rejects(transport.send({ ...request('/v2/a/tags/list'), lane: 'bulk' }), {
    code: 'REGISTRY_UNREACHABLE',
  })
  // It did not come to the request: which scheme the registry speaks could not be found out.
  assert.deepEqual(trace.told(), [])
  const [asked] = shared.told()
  assert.deepEqual(
    [asked?.op, asked?.shared, asked?.connection, asked?.answer],
    ['connect', true, undefined, undefined],
  )
  assert.equal(asked?.error?.code, 'REGISTRY_UNREACHABLE')
  assert.deepEqual(present(asked.timings), ['blocked', 'send', 'wait', 'receive'])
})

test('connections that break are told as far as they came', async (t) => {
  const { host } = await startScriptedServer(t, (incoming, response) => {
    const breaks = () => incoming.socket.resetAndDestroy()
    if (incoming.url?.endsWith('/early')) breaks()
    else response.writeHead(200, { 'content-length': '100' }).write('0123456789', breaks)
  })
  const { trace, transport } = connected(t, host)
  const bulk = (path: string): RegistryRequest => ({ ...request(path), lane: 'bulk' })
  await assert.rejects(transport.send(bulk('/v2/a/blobs/early')), { code: 'REGISTRY_CONNECTION_LOST' })
  const response = await transport.send(bulk('/v2/a/blobs/late'))
  await assert.rejects(response.bytes(1000), { code: 'REGISTRY_CONNECTION_LOST' })
  const [early, late] = trace.told()
  assert.equal(early?.answer, undefined)
  assert.equal(early?.error?.code, 'REGISTRY_CONNECTION_LOST')
  assert.notEqual(early.connection, undefined)
  assert.equal(late?.answer?.status, 200)
  assert.equal(late.answer.bytes, 10)
  assert.equal(late.error?.code, 'REGISTRY_CONNECTION_LOST')
  assert.match(late.error.message, /^look: 127\.0\.0\.1:\d+ broke the connection$/)
})

test('a request that is under way says so, and one that is given up why it ended', async (t) => {
  const reached = Promise.withResolvers<void>()
  const { host } = await startScriptedServer(t, () => reached.resolve())
  const { trace, transport } = connected(t, host)
  const controller = new AbortController()
  const sent = transport.send({ ...request('/v2/a/blobs/x'), lane: 'bulk', signal: controller.signal })
  await reached.promise
  assert.deepEqual(trace.told(), [])
  const open = trace.begun.at(-1)?.told()
  assert.equal(open?.open, true)
  assert.equal(open.answer, undefined)
  controller.abort(new Error('no longer wanted'))
  await assert.rejects(sent)
  const [ended] = trace.told()
  assert.equal(ended?.open, undefined)
  assert.equal(ended?.error?.code, 'JOB_CANCELED')
})

test('an answer that is thrown away or let go has ended', async (t) => {
  const { host } = await startScriptedServer(t, answer)
  const { trace, transport } = connected(t, host)
  const bulk: RegistryRequest = { ...request('/v2/a/blobs/x'), lane: 'bulk' }
  await (await transport.send(bulk)).discard()
  ;(await transport.send(bulk)).abandon()
  const untouched = await transport.send({ ...bulk, method: 'HEAD' })
  assert.equal(untouched.status, 200)
  assert.deepEqual(
    trace.told().map((one) => [one.exchange, one.answer?.bytes]),
    [
      ['undici', null],
      ['undici', null],
      ['small', 0],
    ],
  )
})

test('what callers share is told apart, a call that is sent again counts, and no secret is told', async (t) => {
  const password = 'correct horse'
  const tokens = await startTokenServer(t, { users: { ann: password } })
  const storage = await startScriptedServer(t, answer)
  const registry = await startScriptedServer(t, (incoming: IncomingMessage, response: ServerResponse) => {
    incoming.resume()
    const { authorization = '' } = incoming.headers
    if (!tokens.allows(authorization, 'a', 'pull')) {
      response.setHeader('www-authenticate', `Bearer realm="${tokens.realm}?x=1",service="${tokens.service}",hint="h"`)
      response.writeHead(401).end()
      return
    }
    const location = `http://${storage.host}/blob?X-Amz-Signature=abcdefghijklmnop&digest=no`
    response.writeHead(307, { location, server: `told ${authorization}` }).end()
  })
  const shared = createTrace()
  const trace = createTrace()
  const credential = { kind: 'basic', username: 'ann', password } as const
  const connections = connect(t, { sharedTrace: shared })
  const transport = connections.transport(registry.host, { credential, plainHttp: true, trace })
  const pull = [{ repository: 'a', actions: ['pull'] as const }]
  assert.equal(await readAll(transport, { ...request('/v2/a/blobs/x?ours=1'), scopes: pull }), 2)

  const own = trace.told().map((one) => `${one.try} ${one.url.replace(/:\d+/, '')} ${one.answer?.status}`)
  assert.deepEqual(own, [
    '1 http://127.0.0.1/v2/a/blobs/x?ours=1 401',
    '2 http://127.0.0.1/v2/a/blobs/x?ours=1 307',
    '3 http://127.0.0.1/blob?… 200',
  ])
  const [first, second, third] = trace.told()
  const headers = (of: WireRequest['headers'] | undefined) => Object.fromEntries(of ?? [])
  assert.equal(headers(first?.headers)['authorization'], undefined)
  assert.match(
    headers(first?.answer?.headers)['www-authenticate'] ?? '',
    /^Bearer realm="http:\/\/[^"]+\?…",service="[^"]+"$/,
  )
  assert.equal(headers(second?.headers)['authorization'], 'Bearer ***')
  assert.equal(headers(second?.answer?.headers)['server'], 'told Bearer ***')
  assert.equal(headers(second?.answer?.headers)['location'], `http://${storage.host}/blob?…`)
  assert.equal(headers(third?.headers)['authorization'], undefined)

  const kinds = shared.told().map((one) => [one.op, one.exchange, one.shared, one.answer?.status])
  assert.deepEqual(kinds, [
    ['connect', 'undici', true, undefined],
    ['connect', 'undici', true, 200],
    ['get a token', 'small', true, 200],
  ])
  const token = shared.told()[2]
  assert.match(token?.url ?? '', /\?…&service=[^&]+&scope=repository:a:pull$/)
  assert.equal(headers(token?.headers)['authorization'], 'Basic ***')
  assert.ok(shared.over.every((one) => one.registry === registry.host))
  const all = JSON.stringify([trace.told(), shared.told()])
  for (const secret of [password, 'abcdefghijklmnop', Buffer.from(`ann:${password}`).toString('base64'), 'account='])
    assert.ok(!all.includes(secret), secret)
})
