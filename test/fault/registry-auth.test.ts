import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cleanup } from '../helpers/cleanup.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { bearer, refuse, startTokenServer, type TokenServerOptions } from '../helpers/registries/token-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const users = { ann: 'secret of ann' }
const tags = '/v2/some/package/tags/list'

/** A registry that lets in who brings a token with push for some/package. */
async function startRegistry(t: Cleanup, options: TokenServerOptions = {}) {
  const tokens = await startTokenServer(t, { users, ...options })
  const registry = await startScriptedServer(t, (incoming, response) => {
    incoming.resume()
    if (tokens.allows(incoming.headers.authorization, 'some/package', 'push')) response.end('{}')
    else refuse(response, bearer(tokens, ',scope="repository:some/package:pull,push"'))
  })
  return { tokens, registry }
}

test('auth.harbor-scheme-flip: a Basic challenge to a spent token does not end the use of tokens (Harbor)', async (t) => {
  const tokens = await startTokenServer(t, { users })
  const registry = await startScriptedServer(t, (incoming, response) => {
    const { authorization } = incoming.headers
    if (tokens.allows(authorization, 'some/package', 'pull')) response.end('{}')
    else refuse(response, authorization === undefined ? bearer(tokens) : 'Basic realm="harbor"')
  })
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  await (await transport.send(request(tags))).discard()
  tokens.revokeAll()
  await (await transport.send(request(tags))).discard()
  assert.equal(tokens.requests.length, 2)
  assert.ok(registry.requests.every(({ authorization }) => !authorization?.startsWith('Basic')))
})

for (const [name, challenge] of [
  ['an empty challenge', ''],
  ['no challenge', undefined],
] as const) {
  test(`auth.empty-challenge: a 401 with ${name} says that log-in or project may be missing`, async (t) => {
    const registry = await startScriptedServer(t, (_incoming, response) => refuse(response, challenge))
    const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
    await assert.rejects(transport.send(request(tags)), {
      code: 'REGISTRY_UNAUTHORIZED',
      hint: /project may not exist/,
    })
    assert.equal(registry.requests.length, 1)
  })
}

test('auth.basic-uppercase: a scheme in capitals is understood (Nexus)', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) =>
    incoming.headers.authorization === undefined ? refuse(response, 'BASIC realm="x"') : response.end('{}'),
  )
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  assert.equal((await transport.send(request(tags))).status, 200)
  assert.equal(registry.requests.at(-1)?.authorization, `Basic ${btoa('ann:secret of ann')}`)
})

test('Bearer is taken where Basic stands beside it, with the scope "*" added (Gitea)', async (t) => {
  const tokens = await startTokenServer(t, { users })
  const registry = await startScriptedServer(t, (incoming, response) => {
    if (tokens.allows(incoming.headers.authorization, 'some/package', 'push')) response.end('{}')
    else refuse(response, ['Basic realm="git"', bearer(tokens, ',scope="*"')])
  })
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  assert.equal((await transport.send(request(tags))).status, 200)
  assert.deepEqual(tokens.requests[0]?.scopes, ['repository:some/package:pull,push', '*'])
})

test('insufficient_scope asks for what is listed, once, and then names what is missing', async (t) => {
  const tokens = await startTokenServer(t, { users, rights: () => false })
  const more = ',scope="repository:some/package:delete",error="insufficient_scope"'
  const registry = await startScriptedServer(t, (incoming, response) =>
    refuse(response, bearer(tokens, incoming.headers.authorization === undefined ? '' : more)),
  )
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  await assert.rejects(transport.send(request(tags)), {
    code: 'REGISTRY_DENIED',
    hint: /repository:some\/package:pull,push/,
  })
  assert.deepEqual(
    tokens.requests.map(({ scopes }) => scopes),
    [['repository:some/package:pull,push'], ['repository:some/package:pull,push,delete']],
  )
})

test('callers that need the same token at once share one request for it', async (t) => {
  const { tokens, registry } = await startRegistry(t)
  const connections = connect(t)
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const transport = connections.transport(registry.host, { credential: ann, plainHttp: false })
      await (await transport.send(request(tags))).discard()
    }),
  )
  assert.equal(tokens.requests.length, 1)
})

test('tokens are not shared between credentials', async (t) => {
  const { tokens, registry } = await startRegistry(t, { users: { ann: 'secret of ann', bob: 'b' } })
  const connections = connect(t)
  for (const credential of [ann, { kind: 'basic', username: 'bob', password: 'b' } as const, undefined]) {
    const sent = connections.transport(registry.host, { credential, plainHttp: false }).send(request(tags))
    if (credential) await (await sent).discard()
    else await assert.rejects(sent, { code: 'REGISTRY_UNAUTHORIZED' })
  }
  assert.deepEqual(
    tokens.requests.map(({ account }) => account),
    ['ann', 'bob', undefined],
  )
})

test('a token about to expire is renewed before the request that needs it', async (t) => {
  const { tokens, registry } = await startRegistry(t, { ttlSeconds: 100 })
  const clock = createStepClock()
  const transport = connect(t, { clock }).transport(registry.host, { credential: ann, plainHttp: false })
  await (await transport.send(request(tags))).discard()
  clock.advance(74_000)
  await (await transport.send(request(tags))).discard()
  assert.equal(tokens.requests.length, 1)
  clock.advance(2000)
  await transport.refreshAuth([{ repository: 'some/package', actions: ['pull', 'push'] }], AbortSignal.timeout(10_000))
  assert.equal(tokens.requests.length, 2)
  assert.equal(registry.requests.filter(({ authorization }) => authorization === undefined).length, 1)
})

test('auth.no-expires-in: a token without a word about its life is used for three quarters of a minute', async (t) => {
  const { tokens, registry } = await startRegistry(t, { silentAboutLife: true, field: 'access_token', ttlSeconds: 60 })
  const clock = createStepClock()
  const transport = connect(t, { clock }).transport(registry.host, { credential: ann, plainHttp: false })
  for (const ms of [0, 44_000, 2000]) {
    clock.advance(ms)
    await (await transport.send(request(tags))).discard()
  }
  assert.equal(tokens.requests.length, 2)
})

test('a token that ran out between two requests is renewed and the request repeated, body and all', async (t) => {
  const { tokens, registry } = await startRegistry(t)
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  await (await transport.send(request(tags))).discard()
  tokens.revokeAll()
  const put = request('/v2/some/package/blobs/uploads/1?digest=x', { method: 'PUT', body: Buffer.from('body') })
  assert.equal((await transport.send({ ...put, lane: 'bulk' })).status, 200)
  assert.equal(tokens.requests.length, 2)
})

test('a streamed body is sent once: its 401 renews the token and comes back as transient, a second one as permanent', async (t) => {
  const { tokens, registry } = await startRegistry(t)
  const clock = createStepClock()
  const transport = connect(t, { clock }).transport(registry.host, { credential: ann, plainHttp: false })
  await (await transport.send(request(tags))).discard()
  let opened = 0
  const body = async function* () {
    opened += 1
    yield Buffer.from('some bytes')
  }
  const patch = request('/v2/some/package/blobs/uploads/1', { method: 'PATCH', lane: 'bulk', body })
  const stale = { code: 'REGISTRY_UNAUTHORIZED', retry: 'transient', details: { reauthenticated: true } }
  tokens.revokeAll()
  await assert.rejects(transport.send(patch), stale)
  assert.equal(opened, 1)
  assert.equal((await transport.send(patch)).status, 200)
  tokens.revokeAll()
  await assert.rejects(transport.send(patch), stale)
  tokens.revokeAll()
  clock.advance(10_000)
  await assert.rejects(transport.send(patch), { code: 'REGISTRY_DENIED', retry: 'permanent' })
})

test('a streamed body goes out with its token even as the first request of all', async (t) => {
  const tokens = await startTokenServer(t, { users })
  const registry = await startScriptedServer(
    t,
    (incoming, response) => {
      incoming.resume()
      response.end('{}')
    },
    { pingChallenge: bearer(tokens) },
  )
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  const body = async function* () {
    yield Buffer.from('some bytes')
  }
  await (
    await transport.send(request('/v2/some/package/blobs/uploads/1', { method: 'PATCH', lane: 'bulk', body }))
  ).discard()
  assert.deepEqual(
    tokens.requests.map(({ scopes }) => scopes),
    [['repository:some/package:pull,push']],
  )
  assert.match(registry.requests.at(-1)?.authorization ?? '', /^Bearer /)
})

test('an identity token goes by POST, and a new one in the answer takes its place', async (t) => {
  const { tokens, registry } = await startRegistry(t, { identityTokens: { first: 'ann', second: 'ann' } })
  const clock = createStepClock()
  const credential = { kind: 'identity', username: '<token>', token: 'first' } as const
  const transport = connect(t, { clock }).transport(registry.host, { credential, plainHttp: false })
  tokens.rotateTo('second')
  await (await transport.send(request(tags))).discard()
  clock.advance(3_600_000)
  await (await transport.send(request(tags))).discard()
  assert.deepEqual(
    tokens.requests.map(({ method, grantType, refreshToken }) => [method, grantType, refreshToken]),
    [
      ['POST', 'refresh_token', 'first'],
      ['POST', 'refresh_token', 'second'],
    ],
  )
})

for (const status of [404, 405, 401, 400]) {
  test(`auth.oauth-post-404-get: a token service that answers POST with ${status} is asked by GET where there is a user`, async (t) => {
    const { tokens, registry } = await startRegistry(t, { postStatus: status })
    const credential = { kind: 'identity', username: 'ann', token: 'secret of ann' } as const
    const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
    assert.equal((await transport.send(request(tags))).status, 200)
    assert.deepEqual(
      tokens.requests.map(({ method, status: answered }) => [method, answered]),
      [
        ['POST', status],
        ['GET', 200],
      ],
    )
  })
}

test('a refusal of the token service is final and names it', async (t) => {
  const { tokens, registry } = await startRegistry(t, { users: { ann: 'changed' } })
  const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
  await assert.rejects(transport.send(request(tags)), (error: Error & { code: string; upstream: { url: string } }) => {
    assert.equal(error.code, 'REGISTRY_UNAUTHORIZED')
    assert.match(error.message, /get a token: .* answered 401 UNAUTHORIZED: incorrect username or password/)
    assert.equal(error.upstream.url, `${tokens.realm}?…`)
    return true
  })
  assert.equal(tokens.requests.length, 1)
})

test('a token service that fails for a moment is asked again', async (t) => {
  const { tokens, registry } = await startRegistry(t)
  const clock = createStepClock()
  tokens.answerNext(503, 'down')
  tokens.answerNext(429, 'slow', { 'retry-after': '3' })
  const transport = connect(t, { clock }).transport(registry.host, { credential: ann, plainHttp: false })
  assert.equal((await transport.send(request(tags))).status, 200)
  const [, asked = 0] = clock.slept
  assert.ok(asked >= 3000 && asked <= 3600, `${asked} ms`)
})

for (const [name, body] of [
  ['a web page', '<html><title>Log in</title></html>'],
  ['no token', '{"token":""}'],
  ['a token that would break the header', '{"token":"a\\r\\nX-Evil: b"}'],
  ['more than 128 KiB', `{"token":"${'a'.repeat(140_000)}"}`],
] as const) {
  test(`a token service that answers ${name} breaks the protocol`, async (t) => {
    const { tokens, registry } = await startRegistry(t)
    tokens.answerNext(200, body)
    const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: false })
    await assert.rejects(transport.send(request(tags)), { code: 'REGISTRY_PROTOCOL_VIOLATION', op: 'get a token' })
  })
}

test('a password that ran out is looked up again, once for each new one', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) => {
    if (incoming.headers.authorization === `Basic ${btoa('AWS:new')}`) response.end('{}')
    else if (incoming.headers.authorization === undefined) refuse(response, 'Basic realm="https://ecr/"')
    else response.writeHead(403).end(EXPIRED)
  })
  const found = ['old', 'new']
  const renew = async () => ({ kind: 'basic', username: 'AWS', password: found.shift() ?? 'new' }) as const
  const credential = await renew()
  const transport = connect(t).transport(registry.host, { credential, plainHttp: false, renew })
  assert.equal((await transport.send(request(tags))).status, 200)
  const without = connect(t).transport(registry.host, { credential, plainHttp: false })
  await assert.rejects(without.send(request(tags)), { code: 'REGISTRY_UNAUTHORIZED', hint: /get-login-password/ })
})

const EXPIRED = JSON.stringify({
  errors: [{ code: 'DENIED', message: 'Your authorization token has expired. Reauthenticate and try again.' }],
})
