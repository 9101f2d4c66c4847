import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import { AppError } from '../../src/lib/errors.ts'
import type { Hooks, RemoteAddress } from '../../src/oci/request/hooks.ts'
import type { RegistryRequest } from '../../src/oci/request/transport.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

/** One request for each exchange, and for undici's both ways to send a body. */
const KINDS: Readonly<Record<string, RegistryRequest>> = {
  'a small one': { ...request('/v2/a/blobs/x'), method: 'HEAD' },
  'a large download': { ...request('/v2/a/blobs/large'), lane: 'bulk', expectedBytes: 4 * MIB },
  'one by undici': request('/v2/a/tags/list'),
  'one with a guard': {
    ...request('/v2/a/manifests/x'),
    method: 'PUT',
    body: Buffer.from('{}'),
    guard: async () => undefined,
  },
  'a streamed upload': { ...request('/v2/a/blobs/uploads/x'), method: 'PATCH', lane: 'bulk', body: parts },
}

async function* parts(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(100_000)
  yield Buffer.alloc(100_000)
}

function answer(incoming: IncomingMessage, response: ServerResponse): void {
  incoming.resume().on('end', () => {
    const large = incoming.url?.endsWith('/large') === true
    response.writeHead(200, { 'content-length': large ? 4 * MIB : 2 })
    response.end(incoming.method === 'HEAD' ? undefined : large ? Buffer.alloc(4 * MIB) : '{}')
  })
}

async function send(t: TestContext, host: string, kind: RegistryRequest, hooks: Hooks): Promise<number> {
  const transport = connect(t, { hooks: [hooks] }).transport(host, { credential: undefined, plainHttp: true })
  const response = await transport.send({ ...kind, signal })
  response.abandon()
  return response.status
}

for (const [what, kind] of Object.entries(KINDS)) {
  test(`hooks are asked in their order: ${what}`, async (t) => {
    const registry = await startScriptedServer(t, answer)
    const told: string[] = []
    const path = (kind.target as string).split('/').at(-1)
    const own = (url: URL, moment: string): void => {
      if (url.pathname.endsWith(`/${path}`)) told.push(moment)
    }
    const hooks: Hooks = {
      onConnect: () => told.push('connect'),
      beforeSend: ({ url }) => own(url, 'send'),
      beforePart: ({ url }) => own(url, 'part'),
      onAnswer: ({ url }, status) => own(url, String(status)),
    }
    assert.equal(await send(t, registry.host, kind, hooks), 200)
    assert.equal(told[0], 'connect')
    // undici sends a body's head along with its first part, which is made before; one with a guard is such a body too.
    const partsOf = kind.guard ? ['part'] : typeof kind.body === 'function' ? ['part', 'part'] : []
    assert.deepEqual(told.filter((moment) => moment !== 'connect').toSorted(), ['200', ...partsOf, 'send'])
    assert.equal(told.at(-1), '200')
  })

  test(`what onConnect throws ends ${what}, and nobody is connected to`, async (t) => {
    const registry = await startScriptedServer(t, answer)
    const asked: RemoteAddress[] = []
    const onConnect = (address: RemoteAddress): void => {
      asked.push(address)
      throw new AppError('REGISTRY_NOT_ALLOWED', 'not there')
    }
    const named = registry.host.replace('127.0.0.1', 'localhost')
    for (const host of [registry.host, named]) {
      await assert.rejects(send(t, host, kind, { onConnect }), { code: 'REGISTRY_NOT_ALLOWED', message: 'not there' })
    }
    assert.deepEqual(asked[0], { hostname: '127.0.0.1', address: '127.0.0.1' })
    assert.ok(asked.some(({ hostname, address }) => hostname === 'localhost' && /^(?:127\.0\.0\.1|::1)$/.test(address)))
    assert.equal(registry.requests.length, 0)
  })

  test(`what beforeSend throws ends ${what} before it goes out`, async (t) => {
    const registry = await startScriptedServer(t, answer)
    const refuse = (): void => {
      throw new AppError('JOB_FENCED', 'no longer ours')
    }
    const path = kind.target as string
    const hooks: Hooks = { beforeSend: ({ url }) => (url.pathname === path ? refuse() : undefined) }
    await assert.rejects(send(t, registry.host, kind, hooks), { code: 'JOB_FENCED' })
    assert.ok(registry.requests.every((seen) => seen.path !== path))
  })
}

test('an upload ends at the part that beforePart throws for', async (t) => {
  const registry = await startScriptedServer(t, answer)
  let seen = 0
  const hooks: Hooks = {
    beforePart() {
      seen += 1
      if (seen === 2) throw new AppError('JOB_FENCED', 'no longer ours')
    },
  }
  await assert.rejects(send(t, registry.host, KINDS['a streamed upload'] as RegistryRequest, hooks), {
    code: 'JOB_FENCED',
  })
  assert.equal(seen, 2)
})

test('the token service and the question of the scheme are asked about too', async (t) => {
  const tokens = await startTokenServer(t, {})
  const registry = await startScriptedServer(t, (incoming, response) => {
    incoming.resume()
    const known = tokens.allows(incoming.headers.authorization, 'a', 'pull')
    if (!known) response.setHeader('www-authenticate', `Bearer realm="${tokens.realm}",service="${tokens.service}"`)
    response.writeHead(known ? 200 : 401).end()
  })
  const seen = new Set<string>()
  const hooks: Hooks = { onAnswer: ({ op, url }, status) => void seen.add(`${op} ${url.host} ${status}`) }
  const scoped = { ...request('/v2/a/tags/list'), scopes: [{ repository: 'a', actions: ['pull'] as const }] }
  assert.equal(await send(t, registry.host, scoped, hooks), 200)
  const issuer = new URL(tokens.realm).host
  assert.deepEqual(
    [...seen].map((line) => line.replace(registry.host, 'registry').replace(issuer, 'tokens')).toSorted(),
    ['connect registry 200', 'get a token tokens 200', `${scoped.op} registry 200`, `${scoped.op} registry 401`],
  )
})

for (const [what, kind] of [
  ['a small one', request('/v2/a/tags/list')],
  ['one by undici', request('/v2/a/blobs/x', { lane: 'bulk' })],
] as const) {
  test(`onBody is told of a body while it comes, and once when nobody reads it any more: ${what}`, async (t) => {
    const told: Array<number | undefined> = []
    const half = Promise.withResolvers<void>()
    const registry = await startScriptedServer(t, (_incoming, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('hello')
      void half.promise.then(() => response.end('world'))
    })
    const onBody = (_facts: unknown, bytes: number | undefined): void => {
      told.push(bytes)
      if (bytes === 5) half.resolve()
    }
    const transport = connect(t).transport(registry.host, { credential: undefined, plainHttp: true, onBody })
    const response = await transport.send({ ...kind, signal })
    assert.equal((await response.bytes(100)).toString(), 'helloworld')
    assert.deepEqual(
      told.filter((bytes) => bytes !== 0),
      [5, 5, undefined],
    )
  })
}
