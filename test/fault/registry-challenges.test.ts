import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { bearer, refuse, startTokenServer } from '../helpers/registries/token-server.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const users = { ann: 'secret of ann' }
const tags = '/v2/some/package/tags/list'

test('what one repository answers wrongly keeps nobody from another, nor from that one when it is right again', async (t) => {
  const tokens = await startTokenServer(t, { users })
  const junk = await startScriptedServer(t, (_incoming, response) => response.end('no token'))
  let isRight = false
  const registry = await startScriptedServer(t, (incoming, response) => {
    const open = incoming.url?.startsWith('/v2/open/') === true
    if (open || tokens.allows(incoming.headers.authorization, 'some/package', 'pull')) response.end('{}')
    else refuse(response, isRight ? bearer(tokens) : `Bearer realm="http://${junk.host}/token"`)
  })
  const connections = connect(t)
  const send = async (path: string, repository: string) => {
    const scopes = [{ repository, actions: ['pull' as const] }]
    const transport = connections.transport(registry.host, { plainHttp: true, credential: ann })
    return (await transport.send(request(path, { scopes }))).status
  }
  await assert.rejects(send(tags, 'some/package'))
  assert.equal(await send('/v2/open/one/tags/list', 'open/one'), 200)
  isRight = true
  assert.equal(await send(tags, 'some/package'), 200)
})

for (const [how, gone] of [
  ['answers 404', (response: ServerResponse) => response.writeHead(404).end()],
  ['breaks connections', (response: ServerResponse) => response.destroy()],
] as const) {
  test(`a registry that wants passwords itself by now is shown them, when its token service of before ${how}`, async (t) => {
    let isBearer = true
    const service = await startScriptedServer(t, (_incoming, response) =>
      isBearer ? response.end('{"token":"t","expires_in":61}') : gone(response),
    )
    const basic = `Basic ${Buffer.from('ann:secret of ann').toString('base64')}`
    const registry = await startScriptedServer(t, ({ headers: { authorization } }, response) => {
      if (authorization === (isBearer ? 'Bearer t' : basic)) response.end('{}')
      else refuse(response, isBearer ? `Bearer realm="${service.url}/token"` : 'Basic realm="r"')
    })
    const clock = createStepClock()
    const transport = connect(t, { clock }).transport(registry.host, { plainHttp: true, credential: ann })
    const send = async () => (await transport.send(request(tags))).status
    assert.equal(await send(), 200)
    isBearer = false
    clock.advance(61_000)
    assert.equal(await send(), 200)
    const asked = service.requests.length
    assert.equal(await send(), 200)
    assert.equal(service.requests.length, asked, 'it is not asked again')
  })

  test(`a body that streams waits until it is known how to ask, when the token service ${how}`, async (t) => {
    let isGone = false
    const service = await startScriptedServer(t, (_incoming, response) =>
      isGone ? gone(response) : response.end('{"token":"t","expires_in":61}'),
    )
    const registry = await startScriptedServer(
      t,
      (incoming, response) => {
        incoming.resume().on('end', () => {
          if (incoming.headers.authorization === 'Bearer t') response.end('{}')
          else refuse(response, `Bearer realm="${service.url}/token"`)
        })
      },
      { records: true },
    )
    const clock = createStepClock()
    const transport = connect(t, { clock }).transport(registry.host, { plainHttp: true, credential: ann })
    const body = async function* () {
      yield Buffer.alloc(10)
    }
    const send = () => transport.send({ ...request('/v2/a/x'), method: 'PATCH', lane: 'bulk', body })
    assert.equal((await send()).status, 200)
    isGone = true
    clock.advance(61_000)
    for (let attempt = 0; attempt < 2; attempt += 1) await assert.rejects(send())
    isGone = false
    assert.equal((await send()).status, 200)
    const bodies = registry.requests.filter(({ method }) => method === 'PATCH')
    assert.deepEqual(
      bodies.map(({ authorization }) => authorization),
      ['Bearer t', 'Bearer t'],
    )
  })
}

test('a token service that takes no more requests for now is no reason to ask the registry', async (t) => {
  let isFull = false
  const service = await startScriptedServer(t, (_incoming, response) => {
    if (isFull) response.writeHead(429, { 'retry-after': '86400' }).end()
    else response.end('{"token":"t","expires_in":61}')
  })
  const registry = await startScriptedServer(t, ({ headers: { authorization } }, response) => {
    if (authorization === 'Bearer t') response.end('{}')
    else refuse(response, `Bearer realm="${service.url}/token"`)
  })
  const clock = createStepClock()
  const transport = connect(t, { clock }).transport(registry.host, { plainHttp: true, credential: ann })
  assert.equal((await transport.send(request(tags))).status, 200)
  const asked = registry.requests.length
  isFull = true
  clock.advance(61_000)
  await assert.rejects(transport.send(request(tags)), { retry: 'transient' })
  isFull = false
  clock.advance(86_400_000)
  assert.equal((await transport.send(request(tags))).status, 200)
  assert.equal(registry.requests.length, asked + 1)
})

for (const realm of [
  'file:///etc/passwd',
  'ftp://127.0.0.1/token',
  'javascript:alert(1)',
  'data:application/json,{"token":"t"}',
  'http://169.254.169.254/latest/token',
  'http://[64:ff9b::a9fe:a9fe]/token',
]) {
  test(`a token service at ${realm} is not asked, and the refusal says that it may not be`, async (t) => {
    const registry = await startScriptedServer(t, (_incoming, response) =>
      response
        .writeHead(401, { 'www-authenticate': `Bearer realm="${realm.replaceAll('"', '\\"')}",service="s"` })
        .end(),
    )
    const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
    await assert.rejects(transport.send(request('/v2/some/package/tags/list')), {
      code: 'REGISTRY_NOT_ALLOWED',
      retry: 'permanent',
      message: /refers to an address that may not be contacted/,
    })
    assert.equal(registry.requests.filter(({ authorization }) => authorization !== undefined).length, 0)
  })
}
