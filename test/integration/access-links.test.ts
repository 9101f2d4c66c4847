import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { createAuthenticator } from '../../src/access/authenticator.ts'
import { openTokenFile } from '../../src/access/token-file.ts'
import { digestOf } from '../../src/content/digest.ts'
import type { PackageLink } from '../../src/http/schemas/package.ts'
import { openAccessConnection } from '../../src/jobs/access/connection.ts'
import { createLinkRecords } from '../../src/jobs/access/link-records.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { createRateCounts } from '../../src/jobs/access/rate-counts.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { startApp, type TestAppOptions } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { ask, bearer, told, tokensFor, WORKS, writeTokens } from '../helpers/streams/principals.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
const DIGEST = digestOf(publishedManifest('nemo'))
const UNKNOWN = 'A'.repeat(43)

const PRINCIPALS = { ada: WORKS, eve: WORKS, sight: `${WORKS},system:read`, looks: 'packages:read' }

async function withNemo(t: TestContext, { owner = 'ada', ...changes }: TestAppOptions & { owner?: string } = {}) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  const tokensFile = await tokensFor(t, PRINCIPALS)
  const started = await startApp(t, { tokensFile, ...changes })
  await pullFrom(t, `${registry.host}/team/nemo:1.2.0`, { architecture: 'amd64', store: started.store, owner })
  const make = (who: string, payload?: object) =>
    ask(started.app, who, { method: 'POST', url: `/v1/packages/${DIGEST}/links`, ...(payload ? { payload } : {}) })
  const link = async (who: string, payload?: object) => (await make(who, payload)).json<PackageLink>().url
  return { ...started, tokensFile, make, link }
}

test('a link lets in whoever has it to GET and HEAD of one archive, by ranges too', async (t) => {
  const { app, make, audit } = await withNemo(t)
  const before = Date.now()
  const made = await make('ada', { expiresInSeconds: 60 })
  const { url, expiresAt } = made.json<PackageLink>()
  assert.deepEqual([made.statusCode, made.headers['cache-control']], [201, 'no-store'])
  assert.match(url, new RegExp(`^/v1/packages/${DIGEST}/archive\\?link=[A-Za-z0-9_-]{43}$`))
  assert.ok(Date.parse(expiresAt) >= before + 60_000 && Date.parse(expiresAt) <= Date.now() + 60_000)
  const whole = await ask(app, 'ada', { url: `/v1/packages/${DIGEST}/archive` })
  for (const headers of [{}, { authorization: 'Bearer nonsense' }, bearer('eve')]) {
    const got = await app.inject({ url, headers })
    assert.equal(got.statusCode, 200, got.body.slice(0, 300))
    assert.ok(got.rawPayload.equals(whole.rawPayload))
    assert.deepEqual(
      [got.headers['cache-control'], got.headers['referrer-policy']],
      ['private, no-store', 'no-referrer'],
    )
  }
  const head = await app.inject({ method: 'HEAD', url })
  assert.deepEqual([head.statusCode, head.headers['content-length']], [200, whole.headers['content-length']])
  const part = await app.inject({ url, headers: { range: 'bytes=5-9' } })
  assert.deepEqual([part.statusCode, part.rawPayload], [206, whole.rawPayload.subarray(5, 10)])
  const again = await app.inject({ url, headers: { 'if-none-match': String(whole.headers['etag']) } })
  assert.equal(again.statusCode, 304)
  const entries = await waitFor('the audit to tell of it', async () => {
    const { items } = await audit.trail.list({ principal: 'ada' }, { size: 50 })
    return items.length >= 7 ? items : undefined
  })
  const downloads = entries.filter(({ method }) => method !== 'POST')
  assert.equal(downloads.length, 6)
  for (const { target } of downloads) assert.deepEqual(target, { by: 'link', digest: DIGEST })
})

test('it is of one choice, and of nothing else anywhere', async (t) => {
  const { app, link, make } = await withNemo(t)
  const part = await link('ada', { components: ['vessel'], images: [] })
  const asked = await ask(app, 'ada', { url: `/v1/packages/${DIGEST}/archive?components=vessel&images=` })
  assert.ok((await app.inject(part)).rawPayload.equals(asked.rawPayload))
  for (const more of [
    '&components=instruments',
    '&images=',
    '&metadataOnly=true',
    '&forJob=01900000-0000-7000-8000-000000000000',
  ]) {
    assert.equal((await app.inject(part + more)).statusCode, 400, more)
  }
  const secret = part.split('=').at(-1) ?? ''
  for (const path of [
    `/v1/packages/${DIGEST}`,
    `/v1/packages/${DIGEST}/definition`,
    '/v1/packages',
    '/v1/jobs',
    '/v1/session',
  ]) {
    assert.equal((await app.inject(`${path}?link=${secret}`)).statusCode, 401, path)
    assert.equal(
      (await app.inject({ url: path, headers: { authorization: `Bearer ${secret}` } })).statusCode,
      401,
      path,
    )
  }
  for (const method of ['DELETE', 'POST', 'PUT'] as const) {
    for (const url of [part, `/v1/packages/${DIGEST}?link=${secret}`, `/v1/packages/${DIGEST}/links?link=${secret}`]) {
      assert.ok([401, 404, 405].includes((await app.inject({ method, url })).statusCode), `${method} ${url}`)
    }
  }
  const refusals: Array<[object, number, string]> = [
    [{ expiresInSeconds: 59 }, 400, 'BODY_INVALID'],
    [{ expiresInSeconds: 3601 }, 400, 'BODY_INVALID'],
    [{ metadataOnly: true, components: ['vessel'] }, 400, 'REQUEST_INVALID'],
    [{ components: ['nothing'] }, 422, 'COMPONENTS_INVALID'],
    [{ components: Array.from({ length: 100 }, (_, at) => `${at}`.repeat(60)) }, 400, 'BODY_INVALID'],
  ]
  for (const [body, status, code] of refusals) {
    const answer = await make('ada', body)
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [status, code], answer.body)
  }
})

test('unknown, mistaken and ended links answer alike, and so does one for what its maker does not see any more', async (t) => {
  const { app, store, link, tokensFile } = await withNemo(t)
  const archive = `/v1/packages/${DIGEST}/archive?link=`
  const unknown = told(await app.inject(archive + UNKNOWN), UNKNOWN)
  const isGone = async (url: string, why: string) =>
    assert.deepEqual(
      told(await app.inject(url), new URL(url, 'http://x').searchParams.get('link') || 'none'),
      unknown,
      why,
    )
  assert.equal((await app.inject(archive + UNKNOWN)).statusCode, 404)
  for (const wrong of ['', 'short', `${UNKNOWN}A`, `${UNKNOWN}&link=${UNKNOWN}`, '%00']) {
    const answer = await app.inject(archive + wrong)
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [404, 'NOT_FOUND'], wrong)
  }
  const adas = await link('ada')
  const seen = await link('sight')
  assert.equal((await app.inject(adas)).statusCode, 200)
  const other = adas.replace(DIGEST, `sha256:${'0'.repeat(64)}`)
  assert.equal((await app.inject(other)).json<Problem>().code, 'NOT_FOUND')

  await writeTokens(tokensFile, { ...PRINCIPALS, sight: WORKS })
  await isGone(seen, 'who made it does not see the package any more')
  await writeTokens(tokensFile, { ...PRINCIPALS, ada: 'jobs:read' })
  await isGone(adas, 'who made it may read no packages any more')
  const { ada: _, ...others } = PRINCIPALS
  await writeTokens(tokensFile, others)
  await isGone(adas, 'the token was taken away')
  await writeTokens(tokensFile, PRINCIPALS)
  assert.equal((await app.inject(adas)).statusCode, 200)
  await store.packages.delete(DIGEST)
  await isGone(adas, 'the package is gone')
})

test('a package that one does not see is linked to by nobody; links are for who may read packages', async (t) => {
  const { app, make } = await withNemo(t)
  const hidden = await make('eve', {})
  const none = `sha256:${'0'.repeat(64)}`
  const absent = await ask(app, 'eve', { method: 'POST', url: `/v1/packages/${none}/links`, payload: {} })
  assert.deepEqual(told(hidden, DIGEST), told(absent, none))
  assert.equal(hidden.json<Problem>().code, 'PACKAGE_NOT_STORED')
})

test('a link ends in time, and one owner has no more than so many', async (t) => {
  const { jobs } = await withNemo(t)
  const clock = { now: () => now }
  let now = Date.now()
  const connection = openAccessConnection(jobs.options)
  t.after(() => connection.close())
  const records = createLinkRecords(connection, { clock, most: 2 })
  const add = (id: string, owner: string, ms: number) =>
    records.add({ id, owner, credential: 'x', digest: DIGEST, choice: {}, expiresAt: now + ms })
  await add('a', 'ada', 60_000)
  await add('b', 'ada', 90_000)
  await assert.rejects(add('c', 'ada', 60_000), { code: 'LINKS_TOO_MANY', retryAfterMs: 60_000 })
  assert.equal(await records.get('c'), undefined)
  await add('d', 'bob', 60_000)
  const large = {
    owner: 'bob',
    credential: 'x'.repeat(9 * 2 ** 20),
    digest: DIGEST,
    choice: {},
    expiresAt: now + 60_000,
  }
  await assert.rejects(records.add({ id: 'e', ...large }), { code: 'LINKS_TOO_MANY' })
  now += 60_000
  await add('c', 'ada', 60_000)
  assert.equal((await records.get('c'))?.owner, 'ada')
})

test('its secret is in no log, no answer, no error, and not in Redis', async (t) => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const { app, link, listen, jobs } = await withNemo(t, { logger: pino({ level: 'trace' }, stream) })
  const url = await link('ada')
  const secret = url.split('=').at(-1) ?? ''
  const base = await listen()
  const answers: string[] = []
  for (const path of [
    url,
    `${url}&components=a`,
    `${url}&nothing=1`,
    url.replace(DIGEST, '%zz'),
    url.replace('archive', 'nothing'),
    url.replace('sha256', 'sha257'),
  ]) {
    const answer = await fetch(base + path)
    answers.push(JSON.stringify([...answer.headers]), answer.status === 200 ? '' : await answer.text())
    await answer.body?.cancel().catch(() => undefined)
  }
  const broken = await app.inject({ url, headers: { range: 'bytes=99999999-' } })
  answers.push(broken.body, JSON.stringify(broken.headers))
  assert.equal(broken.statusCode, 416)
  const keys = await jobs.raw.keys('*')
  const kept = await Promise.all(keys.filter((key) => key.includes('link:')).map((key) => jobs.raw.get(key)))
  assert.equal(kept.length, 1)
  assert.ok(lines.some((line) => line.includes('download link made')))
  for (const [what, texts] of Object.entries({ lines, answers, keys, kept })) {
    assert.ok(!texts.some((text) => text?.includes(secret)), what)
  }
})

test('a browser may follow one from anywhere, and nothing else of the API', async (t) => {
  const { app, link } = await withNemo(t)
  const url = await link('ada')
  const cross = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  assert.equal((await app.inject({ url, headers: cross })).statusCode, 200)
  const scripts = { ...cross, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty' }
  assert.equal((await app.inject({ url, headers: scripts })).statusCode, 403)
  const plain = url.replace(/\?.*/, '')
  assert.equal((await app.inject({ url: plain, headers: { ...cross, ...bearer('ada') } })).statusCode, 403)
})

test('whoever follows a link, however often, keeps its maker from nothing', async (t) => {
  const redis = await startRedis(t)
  const rateConnection = openAccessConnection({ redis: { socketPath: redis.socketPath } })
  defer(t, () => rateConnection.close())
  const counter = createRateCounts(rateConnection)
  const once = { max: 1, windowMs: 1 }
  await waitFor('the counter to be connected', () => counter.count('none', once).catch(() => undefined))
  const { app, link } = await withNemo(t, {
    rates: { perPrincipal: 3, perAddress: 1, counter, windowMs: 3_600_000 },
  })
  const url = await link('ada')
  const follow = async () => (await app.inject({ method: 'HEAD', url })).statusCode
  assert.deepEqual([await follow(), await follow(), await follow(), await follow()], [200, 200, 200, 429])
  assert.equal((await ask(app, 'ada', { url: '/v1/packages' })).statusCode, 200)
})

test('where no token is asked for links work too, absolute where layerd knows its address; not once tokens are', async (t) => {
  const { app, store, jobs } = await withNemo(t, {
    owner: 'anonymous',
    authenticator: createAuthenticator([]),
    publicUrl: 'https://layerd.example',
  })
  const made = await app.inject({ method: 'POST', url: `/v1/packages/${DIGEST}/links` })
  const url = new URL(made.json<PackageLink>().url)
  assert.equal(url.origin, 'https://layerd.example')
  assert.equal((await app.inject(url.pathname + url.search)).statusCode, 200)
  const connection = openAccessConnection(jobs.options)
  t.after(() => connection.close())
  const tokensFile = await tokensFor(t, PRINCIPALS)
  const later = await startApp(t, {
    store,
    linkRecords: createLinkRecords(connection),
    authenticator: createAuthenticator([await openTokenFile(tokensFile, silentLogger)]),
  })
  assert.equal((await later.app.inject(url.pathname + url.search)).statusCode, 404)
})
