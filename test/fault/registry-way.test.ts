import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { AppError } from '../../src/lib/errors.ts'
import { registryWay } from '../../src/oci/connections.ts'
import type { RegistryConnections, RegistryRequest, TransportCaller } from '../../src/oci/request/transport.ts'
import { DIRECT_MIN_BYTES } from '../../src/oci/wire/exchanges/direct-exchange.ts'
import { createCertificate, type TestCertificate } from '../helpers/network/certificate.ts'
import { startTlsServer } from '../helpers/network/tls-registry.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** A way to one registry of its own: what is believed of it, and what it is shown. */

const ann = createCertificate(['ann'])
const shownOf = ({ certPem }: TestCertificate) => new X509Certificate(certPem).fingerprint256
const clientCertificate = { certificate: ann.certPem, key: ann.keyPem }
const place = '/v1/registries/x'
const credential = { kind: 'basic', username: 'ann', password: 'secret' } as const

interface Asked extends Partial<TransportCaller> {
  target?: string
  more?: Partial<RegistryRequest>
}

/** The status of an answer, with its body thrown away, or the code of the error. */
async function ask(
  connections: RegistryConnections,
  host: string,
  { target = '/v2/a', more = {}, ...caller }: Asked = {},
) {
  const transport = connections.transport(host, { credential, plainHttp: false, ...caller })
  try {
    const response = await transport.send(request(target, more))
    for await (const _ of response.body);
    return response.status
  } catch (error) {
    return (error as AppError).code
  }
}

/** One request by each of the exchanges: the small one's, a large download's, undici's. */
const EACH: Record<string, Partial<RegistryRequest>> = {
  small: {},
  direct: { lane: 'bulk', expectedBytes: DIRECT_MIN_BYTES },
  undici: {
    lane: 'bulk',
    method: 'PUT',
    contentLength: 4,
    body: async function* () {
      yield Buffer.from('blob')
    },
  },
}

/** The alert, or the connection's end where that is quicker. */
const REFUSED = /^REGISTRY_(?:TLS|CONNECTION_LOST)$/

const large = Buffer.alloc(DIRECT_MIN_BYTES)

test('a CA that is kept for one registry is believed there, whichever way a request goes, and nowhere else', async (t) => {
  const answer: Parameters<typeof startTlsServer>[1] = (incoming, response) =>
    incoming.resume().once('end', () => response.end(incoming.method === 'GET' ? large : ''))
  const [one, other] = [await startTlsServer(t, answer), await startTlsServer(t, answer)]
  for (const [name, more] of Object.entries(EACH)) {
    const connections = connect(t, { clock: createStepClock() })
    const way = registryWay({ place, ca: one.ca })
    assert.equal(await ask(connections, one.host, { way, more: { ...more, method: more.method ?? 'HEAD' } }), 200, name)
    assert.equal(await ask(connections, one.host, { more }), 'REGISTRY_TLS', name)
    assert.equal(await ask(connections, other.host, { way, more }), 'REGISTRY_TLS', name)
    const both = registryWay({ place, ca: one.ca + other.ca })
    assert.equal(
      await ask(connections, other.host, { way: both, more: { ...more, method: more.method ?? 'HEAD' } }),
      200,
      name,
    )
  }
})

test('a registry that wants a client certificate gets it by every exchange, and refuses who has none', async (t) => {
  const registry = await startTlsServer(
    t,
    (incoming, response) =>
      incoming.resume().once('end', () => response.end(incoming.url === '/v2/large' ? large : '')),
    { clients: ann },
  )
  for (const [name, more] of Object.entries(EACH)) {
    const connections = connect(t, { clock: createStepClock() })
    const target = name === 'direct' ? '/v2/large' : '/v2/a'
    const bare = registryWay({ place, ca: registry.ca })
    const way = registryWay({ place, ca: registry.ca, clientCertificate })
    assert.match(String(await ask(connections, registry.host, { way: bare, target, more })), REFUSED, name)
    assert.equal(await ask(connections, registry.host, { way, target, more }), 200, name)
    // What was let in once is nobody else's.
    assert.match(String(await ask(connections, registry.host, { way: bare, target, more })), REFUSED, name)
  }
  assert.deepEqual(new Set(registry.requests.map(({ shown }) => shown)), new Set([shownOf(ann)]))
})

test('a client certificate is shown to the origin of its registry, and to nobody that it names', async (t) => {
  const storage = await startTlsServer(t, (_incoming, response) => response.end('{"token":"t"}'))
  const registry = await startTlsServer(t, ({ url = '', headers }, response) => {
    if (url.startsWith('/v2/moved')) return response.writeHead(307, { location: `${storage.url}/moved` }).end()
    if (headers.authorization === undefined) {
      const challenge = `Bearer realm="${storage.url}/token",service="x"`
      return response.writeHead(401, { 'www-authenticate': challenge }).end()
    }
    return response.end('{}')
  })
  const connections = connect(t, { clock: createStepClock() })
  const way = registryWay({ place, ca: registry.ca + storage.ca, clientCertificate })
  assert.equal(await ask(connections, registry.host, { way }), 200)
  assert.equal(await ask(connections, registry.host, { way, target: '/v2/moved' }), 200)
  const transport = connections.transport(registry.host, { credential, plainHttp: false, way })
  const elsewhere = await transport.send(
    request(new URL(`${storage.url}/upload`), {
      method: 'PUT',
      lane: 'bulk',
      contentLength: 4,
      body: async function* () {
        yield Buffer.from('blob')
      },
    }),
  )
  await elsewhere.discard()
  assert.deepEqual(
    storage.requests.map(({ line }) => line.split('?')[0]),
    ['GET /token', 'GET /moved', 'PUT /upload'],
  )
  assert.deepEqual(new Set(storage.requests.map(({ shown }) => shown)), new Set([undefined]))
  assert.deepEqual(new Set(registry.requests.map(({ shown }) => shown)), new Set([shownOf(ann)]))
})

test('connections of the settings before serve no later ones, and are closed once nobody uses them', async (t) => {
  const registry = await startTlsServer(t, (incoming, response) =>
    incoming.resume().once('end', () => response.writeHead(200, { 'keep-alive': 'timeout=600' }).end()),
  )
  const ben = createCertificate(['ben'])
  const connections = connect(t, { clock: createStepClock(), timeouts: { wayIdleMs: 200 } })
  const first = registryWay({ place, ca: registry.ca, clientCertificate })
  const second = registryWay({
    place,
    ca: registry.ca,
    clientCertificate: { certificate: ben.certPem, key: ben.keyPem },
  })
  const more = EACH['undici'] ?? {}
  assert.equal(await ask(connections, registry.host, { way: first, more }), 200)
  assert.equal(await ask(connections, registry.host, { way: first, more }), 200)
  assert.equal(await ask(connections, registry.host, { way: second, more }), 200)
  const puts = registry.requests.filter(({ line }) => line.startsWith('PUT')).map(({ shown }) => shown)
  assert.deepEqual(puts, [shownOf(ann), shownOf(ann), shownOf(ben)])
  await waitFor('connections that nobody uses to close', () => registry.connections.open === 0)
  // They are made anew for who still needs them.
  assert.equal(await ask(connections, registry.host, { way: first, more }), 200)
})

test('a CA that is kept is believed beside those that the process believes', async (t) => {
  const answer: Parameters<typeof startTlsServer>[1] = (_incoming, response) => response.end()
  const [one, other] = [await startTlsServer(t, answer), await startTlsServer(t, answer)]
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, one.ca])
  t.after(() => setDefaultCACertificates(before))
  const connections = connect(t, { clock: createStepClock() })
  const way = registryWay({ place, ca: other.ca })
  assert.equal(await ask(connections, one.host, { way }), 200)
  assert.equal(await ask(connections, other.host, { way }), 200)
  const shown = registryWay({ place, clientCertificate })
  assert.equal(await ask(connections, one.host, { way: shown }), 200)
  assert.equal(await ask(connections, other.host, { way: shown }), 'REGISTRY_TLS')
})
