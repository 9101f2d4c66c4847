import assert from 'node:assert/strict'
import { lookup as systemLookup } from 'node:dns'
import { createServer, type IncomingMessage, request as forward, type ServerResponse } from 'node:http'
import { type AddressInfo, connect as dial, type LookupFunction } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { AppError } from '../../src/lib/errors.ts'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import type { RegistryRequest } from '../../src/oci/request/transport.ts'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const MIB = 1024 * 1024

/** Names of the .test domain, as a DNS of one's own would answer; all else as the system does. */
function namesAt(addresses: Readonly<Record<string, string>>): LookupFunction {
  return (hostname, options, callback) => {
    const address = addresses[hostname]
    if (address === undefined) return systemLookup(hostname, options, callback)
    const family = address.includes(':') ? 6 : 4
    return options.all ? callback(null, [{ address, family }]) : callback(null, address, family)
  }
}

const onlyPublic = createOutboundPolicy({ allowed: undefined, named: [], anywhere: false })
const named = (...registries: string[]) =>
  createOutboundPolicy({ allowed: undefined, named: registries, anywhere: false })

/** One request for each exchange. */
const EXCHANGES: Readonly<Record<string, RegistryRequest>> = {
  'a small request': { ...request('/v2/a/blobs/x'), method: 'HEAD' },
  'a large download': { ...request('/v2/a/blobs/large'), lane: 'bulk', expectedBytes: 4 * MIB },
  'a request by undici': request('/v2/a/tags/list'),
  'a streamed upload': { ...request('/v2/a/x'), method: 'PATCH', lane: 'bulk', body: parts },
}

async function* parts(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(1000)
}

function refusedAs(message: RegExp) {
  return (error: AppError) => {
    assert.deepEqual([error.code, error.retry], ['REGISTRY_NOT_ALLOWED', 'permanent'])
    assert.match(error.message, message)
    assert.doesNotMatch(JSON.stringify([error.message, error.hint, error.details, error.upstream]), /127\.0\.0\.1/)
    return true
  }
}

for (const [what, kind] of Object.entries(EXCHANGES)) {
  test(`a name that resolves to this machine is not connected to, unless a setting names it: ${what}`, async (t) => {
    const registry = await startScriptedServer(t, (incoming, response) => {
      incoming.resume().on('end', () => response.end('{}'))
    })
    const port = new URL(registry.url).port
    const host = `inner.test:${port}`
    const lookup = namesAt({ 'inner.test': '127.0.0.1' })
    const caller = { credential: undefined, plainHttp: true }
    const told: unknown[] = []
    const onRefused = (found: unknown) => told.push(found)
    const refused = connect(t, { lookup, policy: onlyPublic, onRefused }).transport(host, caller)
    await assert.rejects(refused.send(kind), refusedAs(/: the registry inner\.test:\d+ may not be contacted$/))
    assert.equal(registry.requests.length, 0)
    assert.deepEqual(told[0], { hostname: 'inner.test', address: '127.0.0.1' })
    const allowed = connect(t, { lookup, policy: named(host) }).transport(host, caller)
    const response = await allowed.send(kind)
    response.abandon()
    assert.equal(response.status, 200)
  })
}

test('what leads nowhere good is refused whatever is allowed', async (t) => {
  const lookup = namesAt({ 'metadata.test': '169.254.169.254', 'six.test': 'fd00:ec2::254' })
  const transports = connect(t, { lookup })
  for (const host of ['metadata.test', 'six.test', '169.254.169.254', '[::ffff:a9fe:a9fe]', '[64:ff9b::a9fe:a9fe]']) {
    const transport = transports.transport(host, { credential: undefined, plainHttp: true })
    await assert.rejects(transport.send(request('/v2/')), refusedAs(/may not be contacted$/), host)
  }
})

/** A registry that a caller may name, which answers with what `refer` makes of it. */
async function referring(t: TestContext, refer: (incoming: IncomingMessage, response: ServerResponse) => void) {
  const inner = await startScriptedServer(t, (_incoming, response) => response.end('{"token":"t"}'))
  const registry = await startScriptedServer(t, refer)
  const port = (url: string) => new URL(url).port
  return { inner, registry, at: `:${port(inner.url)}`, host: `public.test:${port(registry.url)}` }
}

/** As where the registry answers from a public address: nothing in a test can, so what is judged is what its name is found at. */
const REFERRALS: Readonly<Record<string, (where: string, response: ServerResponse) => void>> = {
  'a redirect': (where, response) => response.writeHead(307, { location: `${where}/blob` }).end(),
  'a token service': (where, response) =>
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${where}/token"` }).end(),
}

for (const [what, refer] of Object.entries(REFERRALS)) {
  test(`${what} on a private address is not asked for a registry behind a proxy, whose place nobody knows`, async (t) => {
    let where = ''
    const { inner, at, host } = await referring(t, (_incoming, response) => refer(where, response))
    const proxy = await startForwardProxy(t, { 'public.test': '127.0.0.1' })
    const lookup = namesAt({ 'inner.test': '127.0.0.1', 'public.test': '127.0.0.1' })
    const no = `inner.test,public.test${at}`
    // Names are judged where they are connected to, its own at another port too; literals at once.
    for (const name of ['inner.test', 'public.test', '127.0.0.1', '10.1.2.3', 'localhost']) {
      where = `http://${name}${at}`
      const connections = connect(t, { lookup, policy: named(host), proxy: { ...proxy.settings, no } })
      const transport = connections.transport(host, { credential: undefined, plainHttp: true })
      await assert.rejects(
        transport.send(request('/v2/a/blobs/x')),
        refusedAs(/refers to an address that may not be contacted$/),
        name,
      )
    }
    assert.ok(proxy.targets.length >= 5)
    assert.deepEqual(inner.requests, [])
  })
}

test('a registry in a private network may refer to others there: its addresses are as close as itself', async (t) => {
  const storage = await startScriptedServer(t, (_incoming, response) => response.end('content'))
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(307, { location: `http://storage.test:${new URL(storage.url).port}/x` }).end(),
  )
  const host = `inner.test:${new URL(registry.url).port}`
  const lookup = namesAt({ 'inner.test': '127.0.0.1', 'storage.test': '127.0.0.1' })
  const transport = connect(t, { lookup, policy: named(host) }).transport(host, {
    credential: undefined,
    plainHttp: true,
  })
  const response = await transport.send(request('/v2/a/blobs/x'))
  assert.equal((await response.bytes(100)).toString(), 'content')
})

test('a connection that one registry may use serves no other that may not lead there', async (t) => {
  const both = await startScriptedServer(t, (_incoming, response) => response.end('{}'))
  const host = `shared.test:${new URL(both.url).port}`
  const lookup = namesAt({ 'shared.test': '127.0.0.1', 'public.test': '127.0.0.1' })
  const proxy = await startForwardProxy(t, { 'public.test': '127.0.0.1' })
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(307, { location: `http://${host}/x` }).end(),
  )
  const outside = `public.test:${new URL(registry.url).port}`
  const connections = connect(t, {
    lookup,
    policy: named(host, outside),
    proxy: { ...proxy.settings, no: 'shared.test' },
  })
  const caller = { credential: undefined, plainHttp: true }
  const own = await connections.transport(host, caller).send(request('/v2/a/tags/list'))
  await own.discard()
  const before = both.requests.length
  await assert.rejects(
    connections.transport(outside, caller).send(request('/v2/a/tags/list')),
    refusedAs(/refers to an address that may not be contacted$/),
  )
  assert.equal(both.requests.length, before)
})

/** Connects names to addresses of its own, as a proxy with a DNS of its own does. */
async function startForwardProxy(t: Cleanup, addresses: Readonly<Record<string, string>>) {
  const targets: string[] = []
  const proxy = createServer((incoming, response) => {
    const { hostname, host, port, pathname, search } = new URL(incoming.url ?? '')
    targets.push(host)
    const { method, headers } = incoming
    const onward = { host: addresses[hostname] ?? hostname, port, path: pathname + search, method, headers }
    const far = forward(onward, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    far.on('error', () => response.destroy())
    incoming.pipe(far)
  })
  proxy.on('connect', ({ url = '' }: IncomingMessage, socket) => {
    targets.push(url)
    const [name = '', port] = url.split(':')
    const far = dial({ host: addresses[name] ?? name, port: Number(port) }, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      far.pipe(socket).pipe(far)
    })
    for (const end of [far, socket]) end.on('error', () => [far, socket].forEach((each) => each.destroy()))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  defer(t, async () => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  return { targets, settings: { http: url, https: url } }
}
