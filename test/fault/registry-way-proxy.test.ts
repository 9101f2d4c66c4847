import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { type AppError, isAppError } from '../../src/lib/errors.ts'
import { registryWay } from '../../src/oci/connections.ts'
import type { RegistryConnections, TransportCaller } from '../../src/oci/request/transport.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { startTlsServer } from '../helpers/network/tls-registry.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { createStepClock } from '../helpers/step-clock.ts'

/** A proxy that is kept for one registry, in place of those of the environment. */

const place = '/v1/registries/registry.invalid'
const credential = { kind: 'basic', username: 'ann', password: 'registry-secret' } as const
/** Nobody listens there. */
const DEAD = 'http://127.0.0.1:1'

async function ask(connections: RegistryConnections, host: string, caller: Partial<TransportCaller>, target = '/v2/a') {
  const transport = connections.transport(host, { credential, plainHttp: false, ...caller })
  const response = await transport.send(request(target))
  await response.discard()
  return response.status
}

async function failure(asked: Promise<number>): Promise<AppError> {
  const error = await asked.then(
    (status) => assert.fail(`it was answered with ${status}`),
    (thrown: unknown) => thrown,
  )
  assert.ok(isAppError(error), String(error))
  assert.doesNotMatch(
    `${error.message} ${error.hint} ${JSON.stringify(error.details)} ${String(error.cause)}`,
    /secret/,
  )
  return error
}

test('its proxy takes all that a registry is asked and all that it names, and nothing of another registry', async (t) => {
  const names = ['registry.invalid', 'tokens.invalid', 'storage.invalid', '127.0.0.1']
  const registry = await startTlsServer(
    t,
    ({ url = '', headers }, response) => {
      if (url.startsWith('/token')) return response.end('{"token":"t"}')
      if (headers.authorization === undefined && url.startsWith('/v2/')) {
        const challenge = 'Bearer realm="https://tokens.invalid/token",service="x"'
        return response.writeHead(401, { 'www-authenticate': challenge }).end()
      }
      if (url === '/v2/moved') return response.writeHead(307, { location: 'https://storage.invalid/moved' }).end()
      return response.end('{}')
    },
    { names },
  )
  const [proxy, common] = [await startConnectProxy(t, registry.host), await startConnectProxy(t, registry.host)]
  const connections = connect(t, { clock: createStepClock(), proxy: { https: `http://${common.host}` } })
  const way = registryWay({ place, ca: registry.ca, proxy: `http://ann:proxy-secret@${proxy.host}` })
  assert.equal(await ask(connections, 'registry.invalid', { way }, '/v2/moved'), 200)
  assert.deepEqual(
    new Set(proxy.tunnels),
    new Set(['registry.invalid:443', 'tokens.invalid:443', 'storage.invalid:443']),
  )
  assert.equal(common.tunnels.length, 0)

  // On loopback too, where it is named for this very registry.
  assert.equal(
    await ask(
      connections,
      registry.host,
      { way: registryWay({ place, ca: registry.ca, proxy: `http://${proxy.host}` }) },
      '/token',
    ),
    200,
  )
  assert.ok(proxy.tunnels.includes(registry.host))

  const before = proxy.tunnels.length
  assert.equal(await ask(connections, 'registry.invalid', { way: registryWay({ place, ca: registry.ca }) }), 200)
  assert.equal(proxy.tunnels.length, before)
  assert.ok(common.tunnels.includes('registry.invalid:443'))
})

test('a registry that is reached directly goes past the proxy of the environment', async (t) => {
  const registry = await startTlsServer(t, (_incoming, response) => response.end('{}'), { names: ['registry.invalid'] })
  const lookup = ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(null, [{ address: '127.0.0.1', family: 4 }])) as never
  const port = registry.host.split(':')[1]
  const connections = connect(t, { clock: createStepClock(), proxy: { https: DEAD }, lookup })
  const direct = registryWay({ place, ca: registry.ca, proxy: 'direct' })
  assert.equal(await ask(connections, `registry.invalid:${port}`, { way: direct }), 200)
  const error = await failure(
    ask(connections, `registry.invalid:${port}`, { way: registryWay({ place, ca: registry.ca }) }),
  )
  assert.match(error.message, /the proxy \(HTTPS_PROXY\) did not answer/)
})

for (const [title, answer, [code, message, hint]] of [
  [
    'wants a password',
    'HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm="x"\r\ncontent-length: 0\r\n\r\n',
    [
      'REGISTRY_UNREACHABLE',
      /the proxy \(\/v1\/registries\/registry\.invalid proxy\) answered 407 Proxy Authentication Required \(Basic\)/,
      /http:\/\/user:password@host:port as \/v1\/registries\/registry\.invalid proxy/,
    ],
  ],
  [
    'answers with a page',
    'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>',
    [
      'REGISTRY_UNREACHABLE',
      /registry\.invalid proxy\) answered CONNECT with a page/,
      /check \/v1\/registries\/registry\.invalid proxy/,
    ],
  ],
  [
    'forbids the host',
    'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n',
    ['REGISTRY_UNREACHABLE', /registry\.invalid proxy\) answered 403 Forbidden/, /say "direct" as \/v1\/registries/],
  ],
] as const) {
  test(`a proxy that ${title} is told by the registry that it is kept for`, async (t) => {
    const server = createServer()
    server.on('connect', (_request, socket) => socket.on('error', () => undefined).end(answer))
    const host = await listenOnLoopback(t, server)
    const connections = connect(t, { clock: createStepClock() })
    const way = registryWay({ place, proxy: `http://ann:proxy-secret@${host}` })
    const error = await failure(ask(connections, 'registry.invalid', { way }))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    assert.match(error.hint ?? '', hint)
  })
}

test('a proxy at an address that nobody may contact is not contacted', async (t) => {
  for (const plainHttp of [false, true]) {
    const connections = connect(t, { clock: createStepClock() })
    const way = registryWay({ place, proxy: 'http://169.254.169.254:80' })
    const error = await failure(ask(connections, 'registry.invalid', { way, plainHttp }))
    assert.equal(error.code, 'REGISTRY_NOT_ALLOWED')
    assert.match(error.message, /the proxy \(\/v1\/registries\/registry\.invalid proxy\) may not be contacted/)
  }
})

test('a proxy over TLS is believed by the CA of its registry, and is shown no client certificate', async (t) => {
  const proxy = await startTlsServer(t, (_incoming, response) => response.end('{}'))
  const ann = createCertificate(['ann'])
  const clientCertificate = { certificate: ann.certPem, key: ann.keyPem }
  const connections = connect(t, { clock: createStepClock() })
  const way = registryWay({ place, ca: proxy.ca, clientCertificate, proxy: proxy.url })
  assert.equal(await ask(connections, 'registry.invalid', { way, plainHttp: true }), 200)
  assert.ok(proxy.requests.some(({ line }) => line === 'GET http://registry.invalid/v2/a'))
  assert.deepEqual(new Set(proxy.requests.map(({ shown }) => shown)), new Set([undefined]))
  const unknown = await failure(ask(connections, 'registry.invalid', { way: registryWay({ place, proxy: proxy.url }) }))
  assert.match(unknown.message, /has a certificate that does not hold/)
  assert.match(unknown.hint ?? '', /"ca" of the registry/)
})
