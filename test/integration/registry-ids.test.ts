import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import { test, type TestContext } from 'node:test'
import type { Registry } from '../../src/http/schemas/registry.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { startApp } from '../helpers/streams/http-app.ts'

const ANN = { username: 'ann', password: 'a-password' }

/** The API, and a proxy before it that decodes a path and writes it anew, as nginx does with proxy_pass http://x/. */
async function bed(t: TestContext) {
  const started = await startApp(t)
  const api = new URL(await started.listen())
  const server = createServer((request, response) => {
    const path = encodeURI(decodeURIComponent(request.url ?? ''))
    const onward = httpRequest({
      host: api.hostname,
      port: api.port,
      path,
      method: request.method,
      headers: request.headers,
    })
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    request.pipe(onward)
  })
  const proxy = `http://${await listenOnLoopback(t, server)}`
  const call = async (method: string, url: string, body?: object) => {
    const headers = { ...(body ? { 'content-type': 'application/json' } : {}), 'if-match': '*' }
    const answer = await fetch(url, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    const text = await answer.text()
    return { status: answer.status, registry: (text === '' ? {} : JSON.parse(text)) as Registry & { code: string } }
  }
  const keep = (host: string) =>
    started.app.inject({
      method: 'PUT',
      url: `/v1/registries/${encodeURIComponent(host)}`,
      payload: { credentials: ANN },
    })
  return { ...started, api: api.origin, proxy, call, keep }
}

for (const [place, id, host, path] of [
  ['harbor.example/team-a/deep', 'harbor.example~team-a~deep', 'harbor.example', 'team-a/deep'],
  ['[::1]:5000', '~::1~:5000', '[::1]:5000', null],
  ['[::1]:5000/team', '~::1~:5000~team', '[::1]:5000', 'team'],
  ['registry.example:5000', 'registry.example:5000', 'registry.example:5000', null],
] as const) {
  test(`${place} is named by its id, through whatever stands before the API`, async (t) => {
    const { api, proxy, call, keep } = await bed(t)
    const made = (await keep(place)).json<Registry>()
    assert.deepEqual([made.id, made.host, made.path], [id, host, path])
    for (const base of [api, proxy]) {
      const read = await call('GET', `${base}/v1/registries/${id}`)
      assert.equal(read.status, 200)
      assert.deepEqual(read.registry, made)
      assert.equal((await call('GET', `${base}/v1/registries/${encodeURIComponent(id)}`)).status, 200)
    }
    assert.equal((await call('GET', `${api}/v1/registries/${encodeURIComponent(place)}`)).status, 200)
    const edited = await call('PUT', `${proxy}/v1/registries/${id}`, {})
    assert.deepEqual(edited.registry.credentials, { kind: 'basic', username: 'ann' })
    const { items } = (await (await fetch(`${proxy}/v1/registries`)).json()) as { items: Registry[] }
    assert.deepEqual(
      items.map((one) => one.id),
      [id],
    )
    assert.equal((await call('DELETE', `${proxy}/v1/registries/${id}`)).status, 204)
    assert.equal((await call('GET', `${api}/v1/registries/${id}`)).status, 404)
  })
}

test('a path has credentials and repositories below it, and nothing of the way to its registry', async (t) => {
  const { app } = await bed(t)
  const put = (body: object, host = 'harbor.example~team-a') =>
    app.inject({ method: 'PUT', url: `/v1/registries/${host}`, payload: body, headers: { 'if-none-match': '*' } })
  const plain = await put({ credentials: ANN, plainHttp: true })
  assert.equal(plain.json().code, 'BODY_INVALID')
  assert.equal(plain.json().errors[0].pointer, '/plainHttp')
  assert.match(plain.json().hint, /Keep it for harbor\.example/)
  for (const pattern of ['**', 'team-b/*', 'team-ab', 'team-*']) {
    const refused = await put({ credentials: ANN, repositories: ['team-a/x', pattern] })
    assert.equal(refused.json().errors[0].pointer, '/repositories/1', pattern)
  }
  assert.equal((await put({ credentials: ANN, repositories: ['team-a', 'team-a/*'] })).statusCode, 201)
  const profile = await app.inject('/v1/registries/harbor.example~team-a/profile')
  assert.equal(profile.json().code, 'REFERENCE_INVALID')
  assert.equal((await put({}, 'index.docker.io~ann')).json<Registry>().id, 'docker.io~ann')
})

test('a name in other letters is refused by the one that the DNS knows, as in references', async (t) => {
  const { app } = await bed(t)
  const refused = await app.inject({
    method: 'PUT',
    url: `/v1/registries/${encodeURIComponent('bücher.example:5000')}`,
    payload: {},
  })
  assert.equal(refused.statusCode, 400)
  assert.equal(refused.json().code, 'REFERENCE_INVALID')
  assert.match(refused.json().hint, /xn--bcher-kva\.example:5000/)
  const taken = await app.inject({ method: 'PUT', url: '/v1/registries/xn--bcher-kva.example:5000', payload: {} })
  assert.equal(taken.statusCode, 201)
})

test('what was kept before registries had ids goes on to work', async (t) => {
  const { app, keep, jobs } = await bed(t)
  await keep('old.example')
  const key = '{layerd}:registries'
  const text = JSON.parse((await jobs.raw.hget(key, 'old.example')) ?? '{}') as Record<string, unknown>
  assert.deepEqual(Object.keys(text).includes('id') || Object.keys(text).includes('path'), false)
  const read = (await app.inject('/v1/registries/old.example')).json<Registry>()
  assert.deepEqual([read.id, read.path], ['old.example', null])
})
