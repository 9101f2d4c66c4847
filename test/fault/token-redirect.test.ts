import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const

/** A registry whose token service answers as `token` says; a token that it hands out lets in. */
async function setUp(t: TestContext, token: (incoming: IncomingMessage, response: ServerResponse) => void) {
  const registry = await startScriptedServer(t, (incoming, response) => {
    const { pathname } = new URL(incoming.url ?? '', 'http://x')
    if (pathname.startsWith('/token')) return token(incoming, response)
    if (incoming.headers.authorization === 'Bearer good') return response.end('{}')
    const realm = `http://${incoming.headers.host}/token`
    return response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` }).end()
  })
  const ask = async (credential: Parameters<ReturnType<typeof connect>['transport']>[1]['credential']) => {
    const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
    const response = await transport.send(request('/v2/some/package/tags/list'))
    return response.status
  }
  const tokens = () => registry.requests.filter(({ path }) => path.startsWith('/token'))
  return { registry, ask, tokens }
}

const give = (response: ServerResponse) => response.end('{"token":"good"}')

for (const status of [301, 302, 303, 307, 308]) {
  test(`a token service may send on by ${status}, with the log-in on the same host`, async (t) => {
    const { ask, tokens } = await setUp(t, (incoming, response) => {
      if (incoming.url?.startsWith('/token/v2')) return give(response)
      return response.writeHead(status, { location: incoming.url?.replace('/token', '/token/v2') }).end()
    })
    assert.equal(await ask(ann), 200)
    assert.deepEqual(
      tokens().map(({ path, authorization }) => [path.split('?')[0], authorization?.split(' ')[0]]),
      [
        ['/token', 'Basic'],
        ['/token/v2', 'Basic'],
      ],
    )
    assert.match(tokens()[1]?.path ?? '', /scope=repository%3Asome%2Fpackage/)
  })
}

test('on another host or port no password comes, nor on a way back', async (t) => {
  const elsewhere = await startScriptedServer(t, (incoming, response) => {
    const { searchParams } = new URL(incoming.url ?? '', 'http://x')
    response.writeHead(307, { location: `${searchParams.get('back')}` }).end()
  })
  for (const host of [elsewhere.host, elsewhere.host.replace('127.0.0.1', 'localhost')]) {
    const { ask, tokens } = await setUp(t, (incoming, response) => {
      const back = encodeURIComponent(`http://${incoming.headers.host}/token/last`)
      if (incoming.url?.startsWith('/token/last')) give(response)
      else response.writeHead(307, { location: `http://${host}/?back=${back}` }).end()
    })
    assert.equal(await ask(ann), 200)
    const [first, last] = tokens()
    assert.match(first?.authorization ?? '', /^Basic /)
    assert.equal(last?.authorization, undefined)
  }
  assert.deepEqual(
    elsewhere.requests.map(({ authorization }) => authorization),
    [undefined, undefined],
  )
})

test('a form with an identity token follows on the same host by the same method alone', async (t) => {
  const identity = { kind: 'identity', username: 'ann', token: 'identity of ann' } as const
  const elsewhere = await startScriptedServer(t, (_incoming, response) => give(response))
  const forms: string[] = []
  const sendOn = (status: number, location: string) => (incoming: IncomingMessage, response: ServerResponse) => {
    let form = ''
    incoming.on('data', (part) => (form += String(part)))
    incoming.on('end', () => {
      if (incoming.method === 'GET') give(response)
      else if (incoming.url === '/token/next') void (forms.push(form), give(response))
      else response.writeHead(status, { location }).end()
    })
  }
  for (const status of [307, 308])
    assert.equal(await (await setUp(t, sendOn(status, '/token/next'))).ask(identity), 200)
  assert.equal(forms.length, 2)
  assert.match(forms[0] ?? '', /refresh_token=identity\+of\+ann/)
  // By another method, or elsewhere, the service takes the password way or none.
  const moved = await setUp(t, sendOn(302, '/token/next'))
  assert.equal(await moved.ask(identity), 200)
  assert.deepEqual(
    moved.tokens().map(({ method }) => method),
    ['POST', 'GET'],
  )
  const away = await setUp(t, sendOn(307, `${elsewhere.url}/token`))
  assert.equal(await away.ask(identity), 200)
  assert.deepEqual([forms.length, elsewhere.requests.length], [2, 0])
})

test('a ring of redirects ends, and no scheme but http and https is followed', async (t) => {
  const ring = await setUp(t, (incoming, response) => response.writeHead(302, { location: incoming.url }).end())
  await assert.rejects(ring.ask(ann), { code: 'REGISTRY_PROTOCOL_VIOLATION', message: /redirects more than 5 times/ })
  assert.equal(ring.tokens().length, 6)
  for (const location of ['file:///etc/passwd', 'http://169.254.169.254/token', undefined]) {
    const odd = await setUp(t, (_incoming, response) => response.writeHead(302, location ? { location } : {}).end())
    await assert.rejects(odd.ask(ann), { retry: 'permanent' }, location)
    assert.equal(odd.tokens().length, 1)
  }
})

test('a token is read out of a gzip that nobody asked for', async (t) => {
  const { ask } = await setUp(t, (_incoming, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"token":"good"}'))
  })
  assert.equal(await ask(ann), 200)
})
