import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const blob = '/v2/some/package/blobs/sha256:1'

test('redirect.drops-auth: credentials stay with the registry when it sends a download on, the range goes along', async (t) => {
  const storage = await startScriptedServer(t, (_incoming, response) => response.writeHead(206).end('content'))
  const registry = await startScriptedServer(t, (incoming, response) => {
    if (incoming.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    } else if (incoming.url === blob) response.writeHead(307, { location: '/v2/inside' }).end()
    else response.writeHead(302, { location: `${storage.url}/bucket?signature=1`, 'set-cookie': 'sid=1' }).end()
  })
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  const response = await transport.send(request(blob, { lane: 'bulk', headers: { range: 'bytes=3-' } }))
  assert.equal(response.status, 206)
  assert.equal(response.url.href, `${storage.url}/bucket?signature=1`)
  assert.equal((await response.bytes(100)).toString(), 'content')
  assert.match(registry.requests.at(-1)?.authorization ?? '', /^Basic /)
  const { headers } = storage.requests[0] ?? {}
  assert.deepEqual([headers?.authorization, headers?.cookie, headers?.range], [undefined, undefined, 'bytes=3-'])
  assert.equal(headers?.['accept-encoding'], 'identity')
  assert.equal(headers?.['user-agent'], 'layerd/0.0.0-test')
})

test('HEAD stays HEAD on its way', async (t) => {
  const storage = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(200, { 'content-length': 9 }).end(),
  )
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(303, { location: `${storage.url}/bucket` }).end(),
  )
  const transport = connect(t).transport(registry.host, { credential: undefined, plainHttp: false })
  const response = await transport.send(request(blob, { method: 'HEAD' }))
  assert.deepEqual([storage.requests[0]?.method, response.header('Content-Length')], ['HEAD', '9'])
})

for (const status of [401, 403]) {
  test(`${status} from storage is about its address, not about the log-in`, async (t) => {
    const storage = await startScriptedServer(t, (_incoming, response) =>
      response
        .writeHead(status, { 'www-authenticate': 'Basic realm="storage"' })
        .end('<Error>Request has expired</Error>'),
    )
    const registry = await startScriptedServer(t, (_incoming, response) =>
      response.writeHead(307, { location: `${storage.url}/bucket` }).end(),
    )
    const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
    await assert.rejects(transport.send(request(blob, { lane: 'bulk' })), {
      code: 'REGISTRY_DENIED',
      retry: 'transient',
      details: { redirected: true },
    })
    assert.deepEqual([storage.requests.length, registry.requests.length], [1, 1])
  })
}

test('an absolute target elsewhere, as a Location of an upload, gets no credentials', async (t) => {
  const elsewhere = await startScriptedServer(t, (incoming, response) => {
    incoming.resume()
    response.writeHead(201).end()
  })
  const registry = await startScriptedServer(t, (_incoming, response) => response.end('{}'))
  const credential = { kind: 'bearer', token: 'ready-made' } as const
  const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
  await (await transport.send(request('/v2/some/package/tags/list'))).discard()
  assert.equal(registry.requests.at(-1)?.authorization, 'Bearer ready-made')
  const put = request(new URL(`${elsewhere.url}/upload`), { method: 'PUT', body: Buffer.from('x'), lane: 'bulk' })
  assert.equal((await transport.send(put)).status, 201)
  assert.equal(elsewhere.requests[0]?.authorization, undefined)
})

test('a redirect without end is followed five times', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) =>
    response.writeHead(302, { location: `${incoming.url}x` }).end(),
  )
  const transport = connect(t).transport(registry.host, { credential: undefined, plainHttp: false })
  await assert.rejects(transport.send(request(blob)), {
    code: 'REGISTRY_PROTOCOL_VIOLATION',
    message: /more than 5 times/,
  })
  assert.equal(registry.requests.length, 6)
})

for (const status of [301, 302, 307, 308]) {
  test(`requests of an upload are sent on as they are by ${status}, and without a password elsewhere`, async (t) => {
    const bodies: string[] = []
    const other = await startScriptedServer(t, (incoming, response) => {
      let body = ''
      incoming.on('data', (part) => (body += String(part)))
      incoming.on('end', () => {
        bodies.push(body)
        response.writeHead(202).end()
      })
    })
    const registry = await startScriptedServer(t, (incoming, response) => {
      if (incoming.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      } else if (incoming.url === '/v2/a') response.writeHead(status, { location: '/v2/b' }).end()
      else response.writeHead(status, { location: `${other.url}/c` }).end()
    })
    const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
    for (const more of [
      { method: 'POST' },
      { method: 'PUT', body: Buffer.from('manifest') },
      { method: 'PUT', body: Buffer.from('guarded'), guard: async () => undefined },
      { method: 'DELETE' },
    ] as const) {
      const response = await transport.send(request('/v2/a', more))
      assert.deepEqual([response.status, response.url.href], [202, `${other.url}/c`])
      assert.match(registry.requests.at(-1)?.authorization ?? '', /^Basic /)
    }
    assert.deepEqual(
      other.requests.map(({ method, authorization }) => [method, authorization]),
      ['POST', 'PUT', 'PUT', 'DELETE'].map((method) => [method, undefined]),
    )
    assert.deepEqual(bodies, ['', 'manifest', 'guarded', ''])
  })
}

for (const [name, more] of [
  ['a POST by 303', { method: 'POST' }],
  ['a body that streams', { method: 'PATCH', lane: 'bulk', body: async function* () {} }],
  ['a GET that asked not to', { followRedirects: false }],
] as const) {
  test(`${name} is not sent on: the redirect is handed back`, async (t) => {
    const status = name.endsWith('303') ? 303 : 307
    const registry = await startScriptedServer(t, (incoming, response) => {
      incoming.resume().on('end', () => response.writeHead(status, { location: '/elsewhere' }).end())
    })
    const transport = connect(t).transport(registry.host, { credential: undefined, plainHttp: false })
    const response = await transport.send(request(blob, more))
    const asked = registry.requests.filter(({ path }) => path === blob)
    assert.deepEqual([response.status, asked.length], [status, 1])
  })
}
