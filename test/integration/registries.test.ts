import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Registry } from '../../src/http/schemas/registry.ts'
import { createRegistryRecords } from '../../src/jobs/registries/registry-records.ts'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'

const PASSWORD = 'a-password-of-ann'
const ANN = { username: 'ann', password: PASSWORD }
const at = (host: string) => `/v1/registries/${encodeURIComponent(host)}`

const put = ({ app }: TestApp, host: string, payload: object, headers: Record<string, string> = {}) =>
  app.inject({ method: 'PUT', url: at(host), payload, headers })

test('credentials are written and never read: not by GET, and not in Redis', async (t) => {
  const bed = await startApp(t)
  const bodies: string[] = []
  for (const [host, credentials, told] of [
    ['basic.example', ANN, { kind: 'basic', username: 'ann' }],
    ['identity.example', { username: 'ann', identityToken: PASSWORD }, { kind: 'identity', username: 'ann' }],
    ['bare.example', { identityToken: PASSWORD }, { kind: 'identity', username: '' }],
    ['registry.example:5000', { registryToken: PASSWORD }, { kind: 'registry', username: null }],
    ['[::1]:5000', ANN, { kind: 'basic', username: 'ann' }],
  ] as const) {
    const made = await put(bed, host, { credentials, repositories: ['team/**'] })
    assert.equal(made.statusCode, 201, made.body)
    const read = await bed.app.inject(at(host))
    assert.deepEqual(read.json<Registry>().credentials, told)
    assert.deepEqual(read.json<Registry>().repositories, ['team/**'])
    assert.equal(read.json<Registry>().host, host)
    assert.equal(read.headers.etag, made.headers.etag)
    bodies.push(made.body, read.body)
  }
  const list = await bed.app.inject('/v1/registries')
  assert.deepEqual(
    list.json<{ items: Registry[] }>().items.map(({ host }) => host),
    ['[::1]:5000', 'bare.example', 'basic.example', 'identity.example', 'registry.example:5000'],
  )
  const written = JSON.stringify(await bed.jobs.raw.hgetall('{layerd}:registries'))
  assert.match(written, /basic\.example/)
  for (const text of [...bodies, list.body, written]) {
    assert.ok(!text.includes(PASSWORD))
    assert.ok(!text.includes(Buffer.from(PASSWORD).toString('base64').slice(0, 12)))
  }
})

test('a list of registries has pages', async (t) => {
  const bed = await startApp(t)
  for (const host of ['c.example', 'a.example', 'b.example']) await put(bed, host, {})
  const first = (await bed.app.inject('/v1/registries?pageSize=2')).json()
  const second = (await bed.app.inject(`/v1/registries?pageSize=2&pageToken=${first.nextPageToken}`)).json()
  const hosts = [first, second].map(({ items }) => items.map(({ host }: Registry) => host))
  assert.deepEqual(hosts, [['a.example', 'b.example'], ['c.example']])
  assert.equal(second.nextPageToken, undefined)
})

test('who changes a registry has to have seen it', async (t) => {
  const bed = await startApp(t)
  const host = 'a.example'
  const codeOf = async (answer: ReturnType<typeof put>) => {
    const { statusCode, body } = await answer
    return statusCode < 300 ? statusCode : `${statusCode} ${JSON.parse(body).code}`
  }
  const remove = (headers: Record<string, string>) => bed.app.inject({ method: 'DELETE', url: at(host), headers })
  assert.equal(await codeOf(put(bed, host, {}, { 'if-match': '*' })), '412 PRECONDITION_FAILED')
  const first = await put(bed, host, { credentials: ANN }, { 'if-none-match': '*' })
  assert.equal(first.statusCode, 201)
  const tag = String(first.headers.etag)
  assert.equal(await codeOf(put(bed, host, {}, { 'if-none-match': '*' })), '412 PRECONDITION_FAILED')
  assert.equal(await codeOf(put(bed, host, {})), '428 PRECONDITION_REQUIRED')
  assert.equal(await codeOf(remove({})), '428 PRECONDITION_REQUIRED')
  for (const other of ['"other"', `W/${tag}`]) {
    assert.equal(await codeOf(put(bed, host, {}, { 'if-match': other })), '412 PRECONDITION_FAILED')
    assert.equal(await codeOf(remove({ 'if-match': other })), '412 PRECONDITION_FAILED')
  }
  const same = await bed.app.inject({ url: at(host), headers: { 'if-none-match': tag } })
  assert.equal(same.statusCode, 304)
  const second = await put(bed, host, { repositories: ['team/*'] }, { 'if-match': `"x", ${tag}` })
  assert.equal(second.statusCode, 200)
  assert.notEqual(second.headers.etag, tag)
  // What was not given again stays.
  assert.deepEqual(second.json<Registry>().credentials, { kind: 'basic', username: 'ann' })
  const newest = { 'if-match': String(second.headers.etag) }
  const both = await Promise.all([codeOf(put(bed, host, {}, newest)), codeOf(put(bed, host, {}, newest))])
  assert.deepEqual(new Set(both), new Set([200, '412 PRECONDITION_FAILED']))
  const cleared = await put(bed, host, { credentials: null }, { 'if-match': '*' })
  assert.equal(cleared.json<Registry>().credentials, null)
  assert.equal(await codeOf(remove({ 'if-match': String(cleared.headers.etag) })), 204)
  assert.equal((await bed.app.inject(at(host))).json().code, 'NOT_FOUND')
  assert.equal(await codeOf(remove({ 'if-match': '*' })), '404 NOT_FOUND')
  assert.deepEqual(Object.keys(await bed.jobs.raw.hgetall('{layerd}:registries')), [''])
})

test('another way to a registry wants its credentials again', async (t) => {
  const bed = await startApp(t)
  const ANY = { 'if-match': '*' }
  await put(bed, 'a.example', { credentials: ANN })
  const refused = await put(bed, 'a.example', { plainHttp: true }, ANY)
  assert.equal(refused.statusCode, 400)
  assert.equal(refused.json().errors[0].pointer, '/credentials')
  assert.equal((await bed.app.inject(at('a.example'))).json<Registry>().plainHttp, false)
  assert.equal((await put(bed, 'a.example', { plainHttp: true, credentials: ANN }, ANY)).statusCode, 200)
  assert.equal((await put(bed, 'a.example', { plainHttp: false }, ANY)).statusCode, 400)
  assert.equal((await put(bed, 'a.example', { plainHttp: false, credentials: null }, ANY)).statusCode, 200)
  assert.equal((await put(bed, 'a.example', { plainHttp: true }, ANY)).statusCode, 200)
})

test('Docker Hub is one registry under all of its names', async (t) => {
  const bed = await startApp(t)
  const made = await put(bed, 'index.docker.io', { credentials: ANN })
  assert.equal(made.json<Registry>().host, 'docker.io')
  assert.equal((await put(bed, 'registry-1.docker.io', {})).json().code, 'PRECONDITION_REQUIRED')
})

test('what is no registry, no credential or no pattern is refused, and repeated nowhere', async (t) => {
  const policy = createOutboundPolicy({ allowed: ['a.example', '10.0.0.1:5000'], named: [], anywhere: false })
  const bed = await startApp(t, { mayName: policy.check, mayKeep: (registry) => void policy.reach(registry) })
  for (const [host, body, code] of [
    ['a.example/Team', {}, 'REFERENCE_INVALID'],
    ['a.example/team:1', {}, 'REFERENCE_INVALID'],
    ['~::1', {}, 'REFERENCE_INVALID'],
    ['b.example~team', {}, 'REGISTRY_NOT_ALLOWED'],
    ['b.example', {}, 'REGISTRY_NOT_ALLOWED'],
    ['a.example', { credentials: {} }, 'BODY_INVALID'],
    ['a.example', { credentials: { password: PASSWORD } }, 'BODY_INVALID'],
    ['a.example', { credentials: { username: 'a:b', password: PASSWORD } }, 'BODY_INVALID'],
    ['a.example', { credentials: { ...ANN, registryToken: PASSWORD } }, 'BODY_INVALID'],
    ['a.example', { credentials: { username: 'ann', registryToken: PASSWORD } }, 'BODY_INVALID'],
    ['a.example', { credentials: { registryToken: `${PASSWORD}\r\nx: y` } }, 'BODY_INVALID'],
    ['a.example', { credentials: { ...ANN, secret: PASSWORD } }, 'BODY_INVALID'],
    ['a.example', { credentials: PASSWORD }, 'BODY_INVALID'],
    ['a.example', { repositories: ['team/**/x'] }, 'BODY_INVALID'],
    ['a.example', { repositories: [] }, 'BODY_INVALID'],
    ['a.example', { proxies: 'http://b.example' }, 'BODY_INVALID'],
  ] as const) {
    const answer = await put(bed, host, body)
    assert.equal(answer.json().code, code, answer.body)
    assert.ok(!answer.body.includes(PASSWORD), answer.body)
  }
  // To keep a registry is to name it, so it may be in a private network.
  assert.equal((await put(bed, '10.0.0.1:5000', {})).statusCode, 201)
  assert.deepEqual((await bed.app.inject('/v1/registries')).json().items.length, 1)
})

test('registries are read with one scope and written with another', async (t) => {
  const scopes = { all: '*', admin: 'registries:admin', reader: 'registries:read', other: 'jobs:write' }
  const tokensFile = await tokensFileOf(t, scopes)
  const { app } = await startApp(t, { tokensFile })
  const ask = async (token: string, method: 'GET' | 'PUT' | 'DELETE', url: string) => {
    const headers = { authorization: `Bearer ${token}`, 'if-match': '*' }
    const { statusCode } = await app.inject({ method, url, headers, ...(method === 'PUT' ? { payload: {} } : {}) })
    return statusCode
  }
  for (const [token, expected] of [
    ['all', [200, 404, 412, 404, 200, 204]],
    ['admin', [200, 404, 412, 404, 200, 204]],
    ['reader', [200, 404, 403, 403, 200, 403]],
    ['other', [403, 403, 403, 403, 403, 403]],
    ['nobody', [401, 401, 401, 401, 401, 401]],
  ] as const) {
    const found = [
      await ask(token, 'GET', '/v1/registries'),
      await ask(token, 'GET', at('a.example')),
      await ask(token, 'PUT', at('a.example')),
      await ask(token, 'DELETE', at('a.example')),
      await ask(token, 'GET', `${at('a.example')}/profile`),
      await ask(token, 'DELETE', `${at('a.example')}/profile`),
    ]
    assert.deepEqual(found, expected, token)
  }
})

test('what one process writes another knows once it has looked, and what was changed in Redis does not open', async (t) => {
  const bed = await startApp(t)
  const other = createRegistryRecords({ ...bed.jobs.options, role: 'worker' })
  t.after(() => other.close())
  await other.refresh()
  assert.equal(other.known('a.example'), undefined)
  await put(bed, 'a.example', { credentials: ANN })
  await other.refresh()
  const record = other.known('A.example')
  assert.ok(record)
  assert.deepEqual(other.secretOf(record), { kind: 'basic', ...ANN })
  // Somebody who can write to Redis, and wants the password in clear, or shown to another registry.
  const key = '{layerd}:registries'
  const text = (await bed.jobs.raw.hget(key, 'a.example')) ?? ''
  const way = text.replace('"plainHttp":false', '"plainHttp":true')
  const host = text.replaceAll('a.example', 'b.example')
  await bed.jobs.raw.hset(key, { '': 'another', 'a.example': way, 'b.example': host })
  await other.refresh()
  for (const name of ['a.example', 'b.example']) {
    const changed = other.known(name)
    assert.ok(changed)
    assert.throws(() => other.secretOf(changed), { code: 'CREDENTIALS_INVALID' })
  }
})

test('without Redis a registry is neither read nor written, and nobody waits for it', async (t) => {
  const bed = await startApp(t)
  await bed.jobs.redis.stop()
  for (const answer of [await bed.app.inject('/v1/registries'), await put(bed, 'a.example', {})]) {
    assert.equal(answer.statusCode, 503)
    assert.equal(answer.json().code, 'QUEUE_UNAVAILABLE')
  }
})

test('limits are kept beside the credentials, which need not be given again', async (t) => {
  const bed = await startApp(t)
  const host = 'a.example'
  const first = await put(bed, host, { credentials: ANN })
  assert.equal(first.json<Registry>().limits, null)
  const limits = { jobs: 12, concurrency: 64, requestsPerSecond: 0.5, bytesPerSecond: 65_536 }
  const limited = await put(bed, host, { limits }, { 'if-match': String(first.headers.etag) })
  assert.equal(limited.statusCode, 200, limited.body)
  const read = (await bed.app.inject(at(host))).json<Registry>()
  assert.deepEqual([read.limits, read.credentials], [limits, { kind: 'basic', username: 'ann' }])
  const fewer = { limits: { concurrency: 1, bytesPerSecond: null } }
  const changed = await put(bed, host, fewer, { 'if-match': String(limited.headers.etag) })
  const none = { jobs: null, requestsPerSecond: null, bytesPerSecond: null }
  assert.deepEqual(changed.json<Registry>().limits, { concurrency: 1, ...none })
  for (const nothing of [{ limits: null }, { limits: {} }, {}]) {
    const freed = await put(bed, host, nothing, { 'if-match': '*' })
    assert.deepEqual([freed.statusCode, freed.json<Registry>().limits], [200, null], freed.body)
  }
})

for (const [name, values, said] of [
  ['concurrency', [0, -1, 65, 1.5], 'a whole number from 1 to 64 (bodies at once)'],
  ['requestsPerSecond', [0, -5, 0.001, 1e9], 'a number from 0.01 to 100000 (requests a second)'],
  ['bytesPerSecond', [0, -1, 65_535, 70_000.5], 'a whole number from 65536 to 1099511627776 (bytes a second)'],
] as const) {
  test(`a ${name} that limits nothing or everything is refused with what it may be`, async (t) => {
    const bed = await startApp(t)
    for (const value of values) {
      const { statusCode, body } = await put(bed, 'a.example', { limits: { [name]: value } })
      const { code, detail, errors } = JSON.parse(body)
      assert.deepEqual([statusCode, code, errors[0].pointer], [400, 'BODY_INVALID', `/limits/${name}`], body)
      assert.ok(detail.includes(`${value} is no limit: ${name} is ${said}`), detail)
    }
    assert.equal((await bed.app.inject(at('a.example'))).statusCode, 404)
  })
}
