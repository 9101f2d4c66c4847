import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { Session } from '../../src/http/schemas/session.ts'
import { type Cleanup, CleanupStack } from '../helpers/cleanup.ts'
import { startApp, type TestAppOptions } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'

type Headers = Record<string, string>
interface Asked {
  method?: string
  headers?: Headers
  body?: string
}

const JSON_BODY = { 'content-type': 'application/json' }
const line = (name: string, scopes: string) => tokenLine(name, scopes, `${name}-token`)

async function started(t: Cleanup, options: TestAppOptions = {}) {
  const tokensFile = join(await tempDir(t), 'tokens')
  await writeFile(tokensFile, line('ada', '*') + line('eve', 'jobs:read'))
  const bed = await startApp(t, { tokensFile, ...options })
  const base = await bed.listen()
  const ask = (path: string, { headers = {}, ...rest }: Asked = {}) =>
    waitFor('Redis to answer', async () => {
      const answer = await fetch(`${base}${path}`, { redirect: 'manual', headers, ...rest })
      return answer.status === 503 ? undefined : answer
    })
  const logIn = async (name: string, headers: Headers = {}) => {
    const body = JSON.stringify({ token: `${name}-token` })
    const answer = await ask('/v1/session', {
      method: 'POST',
      headers: { ...JSON_BODY, origin: base, ...headers },
      body,
    })
    assert.equal(answer.status, 201, await answer.clone().text())
    return { answer, cookie: cookieOf(answer) }
  }
  const who = async (headers: Headers) => {
    const answer = await ask('/v1/session', { headers })
    return answer.status === 200 ? ((await answer.json()) as Session).principal : answer.status
  }
  return { ...bed, base, ask, logIn, who, tokensFile }
}

const stack = new CleanupStack()
after(() => stack[Symbol.asyncDispose]())
/** For what leaves no trace that another test could find. */
const shared = await started(stack)

function cookieOf(answer: Response): string {
  return answer.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
}

async function problemOf(answer: Response): Promise<[number, string]> {
  return [answer.status, ((await answer.json()) as Problem).code]
}

describe('POST /v1/session', () => {
  test('a token in the body or the header gives a cookie that stands for it', async () => {
    const { base, ask, logIn, who } = shared
    const { answer, cookie } = await logIn('ada')
    const port = new URL(base).port
    assert.match(
      answer.headers.getSetCookie().join('|'),
      new RegExp(`^layerd-session-${port}=[\\w-]{43}; Max-Age=60\\d{4}; Path=/; HttpOnly; SameSite=Strict$`),
    )
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const session = (await answer.json()) as Session
    assert.equal(session.principal, 'ada')
    assert.deepEqual(session.scopes, ['*'])
    assert.equal(session.credential.kind, 'session')
    assert.ok(!JSON.stringify(session).includes(cookie.split('=')[1] ?? '-'))
    assert.equal(await who({ cookie }), 'ada')
    assert.equal(await who({ cookie: `theme=dark; ${cookie}; other="x"` }), 'ada')
    assert.equal((await ask('/v1/jobs', { headers: { cookie } })).status, 200)

    const byHeader = await ask('/v1/session', { method: 'POST', headers: { authorization: 'Bearer eve-token' } })
    assert.equal(byHeader.status, 201)
    assert.equal(await who({ cookie: cookieOf(byHeader) }), 'eve')
    const refused = await ask('/v1/keys', { headers: { cookie: cookieOf(byHeader) } })
    assert.deepEqual(await problemOf(refused), [403, 'SCOPE_MISSING'])
  })

  test('behind TLS browsers insist on it', async (t) => {
    const { app, base, logIn, who } = await started(t, { publicUrl: 'https://layerd.example' })
    const { answer, cookie } = await logIn('ada')
    assert.match(
      answer.headers.getSetCookie().join('|'),
      /^__Host-layerd-session-443=[\w-]{43}; Max-Age=60\d{4}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    )
    assert.equal(await who({ cookie }), 'ada')
    const host = 'layerd.example'
    const change = async (headers: Headers) =>
      (await app.inject({ method: 'POST', url: '/v1/jobs/x/cancel', headers: { cookie, host, ...headers } })).statusCode
    assert.equal(await change({ origin: 'https://layerd.example' }), 404)
    assert.equal(await change({ origin: base, host: new URL(base).host }), 404)
    assert.equal(await change({ origin: 'http://layerd.example' }), 403, 'its page in clear is another')
  })

  test('what is no token, two of them, and a form are refused', async () => {
    const { ask, base } = shared
    const post = (body: string | undefined, headers: Headers = JSON_BODY) =>
      ask('/v1/session', { method: 'POST', headers, ...(body === undefined ? {} : { body }) })
    for (const body of [undefined, '{}', '{"token":"wrong"}', `{"token":"${'x'.repeat(16_384)}"}`, '{"token":"a b"}']) {
      const answer = await post(body)
      assert.deepEqual(answer.headers.getSetCookie(), [], body)
      assert.deepEqual(await problemOf(answer), [401, 'UNAUTHENTICATED'], body)
    }
    for (const body of ['{"token":""}', '{"token":1}', '{"token":"x","y":1}', `{"token":"${'x'.repeat(16_385)}"}`])
      assert.deepEqual(await problemOf(await post(body)), [400, 'BODY_INVALID'], body)
    const token = '{"token":"ada-token"}'
    const both = await post(token, { ...JSON_BODY, authorization: 'Bearer ada-token' })
    assert.deepEqual(await problemOf(both), [400, 'REQUEST_INVALID'])
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      assert.deepEqual(await problemOf(await post(token, { 'content-type': type })), [415, 'UNSUPPORTED_MEDIA_TYPE'])
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: base, 'sec-fetch-site': 'same-site' },
    ])
      assert.deepEqual(await problemOf(await post(token, { ...JSON_BODY, ...headers })), [403, 'ORIGIN_NOT_ALLOWED'])
  })

  test('each log-in has a new secret, and ends what the browser had before', async () => {
    const { logIn, who } = shared
    const first = await logIn('ada')
    const second = await logIn('eve', { cookie: first.cookie })
    assert.notEqual(first.cookie, second.cookie)
    assert.equal(await who({ cookie: first.cookie }), 401)
    assert.equal(await who({ cookie: second.cookie }), 'eve')
    const [name = ''] = first.cookie.split('=')
    const chosen = `${name}=${randomBytes(32).toString('base64url')}`
    const third = await logIn('ada', { cookie: chosen })
    assert.notEqual(third.cookie, chosen)
    assert.equal(await who({ cookie: chosen }), 401)
  })

  test('where no token is required there is nothing to log in to, and cookies are nothing', async (t) => {
    const { listen } = await startApp(t)
    const base = await listen()
    const body = '{"token":"ada-token"}'
    for (const request of [{ method: 'POST', headers: JSON_BODY, body }, { method: 'POST' }, { method: 'DELETE' }]) {
      const answer = await fetch(`${base}/v1/session`, request)
      assert.deepEqual(answer.headers.getSetCookie(), [])
      assert.deepEqual(await problemOf(answer), [409, 'LOG_IN_NOT_NEEDED'])
    }
    const cookie = `layerd-session-${new URL(base).port}=${'a'.repeat(43)}`
    const answer = await fetch(`${base}/v1/session`, { headers: { cookie } })
    assert.equal(((await answer.json()) as Session).principal, 'anonymous')
    assert.deepEqual(answer.headers.getSetCookie(), [])
  })
})

describe('DELETE /v1/session', () => {
  test('ends it; whoever comes with it again is refused, and loses the cookie', async () => {
    const { ask, base, logIn, who } = shared
    const { cookie } = await logIn('ada')
    const other = await logIn('ada')
    const out = () => ask('/v1/session', { method: 'DELETE', headers: { cookie, origin: base } })
    const gone =
      /^layerd-session-\d+=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Strict$/
    const answer = await out()
    assert.equal(answer.status, 204)
    assert.match(answer.headers.getSetCookie().join('|'), gone)
    for (const replay of [await out(), await ask('/v1/jobs', { headers: { cookie } })]) {
      assert.match(replay.headers.getSetCookie().join('|'), gone)
      assert.equal(replay.headers.get('cache-control'), 'no-store')
      assert.deepEqual(await problemOf(replay), [401, 'UNAUTHENTICATED'])
    }
    assert.equal(await who({ cookie: other.cookie }), 'ada')
  })

  test('a token is no session', async () => {
    const { ask, who } = shared
    const authorization = 'Bearer ada-token'
    assert.deepEqual(await problemOf(await ask('/v1/session', { method: 'DELETE', headers: { authorization } })), [
      404,
      'NOT_FOUND',
    ])
    assert.equal(await who({ authorization }), 'ada')
    assert.deepEqual(await problemOf(await ask('/v1/session', { method: 'DELETE' })), [401, 'UNAUTHENTICATED'])
  })
})

describe('a request with the cookie', () => {
  test('ends with its token, whatever becomes of that later', async (t) => {
    const { logIn, who, tokensFile } = await started(t)
    const { cookie } = await logIn('ada')
    await writeFile(tokensFile, line('eve', '*'))
    assert.equal(await who({ cookie }), 401)
    await writeFile(tokensFile, line('ada', '*') + line('eve', '*'))
    assert.equal(await who({ authorization: 'Bearer ada-token' }), 'ada')
    assert.equal(await who({ cookie }), 401)
  })

  test('and a token may be two callers, as may two cookies', async () => {
    const { ask, logIn } = shared
    const { cookie } = await logIn('ada')
    const eve = await logIn('eve')
    for (const authorization of ['Bearer ada-token', 'Bearer eve-token', 'Bearer wrong', 'Basic x', '']) {
      const answer = await ask('/v1/jobs', { headers: { cookie, authorization } })
      assert.deepEqual(await problemOf(answer), [400, 'REQUEST_INVALID'], authorization)
    }
    for (const two of [`${cookie}; ${eve.cookie}`, `${cookie};${cookie}`, `${cookie}; ${cookie.split('=')[0]}=`])
      assert.deepEqual(
        await problemOf(await ask('/v1/jobs', { headers: { cookie: two } })),
        [400, 'REQUEST_INVALID'],
        two,
      )
    assert.equal((await ask('/', { headers: { cookie: `${cookie}; ${cookie}` } })).status, 200)
  })

  test('changes something for pages of layerd alone', async () => {
    const { ask, base, logIn, uploads } = shared
    const { cookie } = await logIn('ada')
    const send = (method: string, path: string, headers: Headers, body?: string) =>
      ask(path, { method, headers: { cookie, ...headers }, ...(body === undefined ? {} : { body }) })
    const own = { origin: base }
    assert.equal((await send('POST', '/v1/jobs/x/cancel', own)).status, 404)
    assert.equal((await send('DELETE', '/v1/jobs/x', own)).status, 404)
    const sent = await send('PUT', '/v1/uploads/a.tar', { ...own, 'content-type': 'application/octet-stream' }, 'x')
    assert.equal(sent.status, 201)
    const foreign: Headers[] = [
      {},
      { origin: 'null' },
      { origin: 'http://127.0.0.1' },
      { origin: base.replace('127.0.0.1', 'localhost') },
    ]
    for (const headers of foreign) {
      for (const [method = '', path = ''] of [
        ['POST', '/v1/jobs/x/cancel'],
        ['DELETE', '/v1/jobs/x'],
        ['PUT', '/v1/uploads/b.tar'],
        ['DELETE', '/v1/session'],
        ['POST', '/v1/session'],
      ])
        assert.deepEqual(
          await problemOf(await send(method, path, headers)),
          [403, 'ORIGIN_NOT_ALLOWED'],
          `${method} ${path}`,
        )
    }
    for (const type of [
      'text/plain',
      'TEXT/PLAIN;charset=utf-8',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      for (const [method = '', path = ''] of [
        ['POST', '/v1/jobs'],
        ['PUT', '/v1/uploads/b.tar'],
        ['DELETE', '/v1/jobs/x'],
      ])
        assert.deepEqual(await problemOf(await send(method, path, { ...own, 'content-type': type }, 'x')), [
          415,
          'UNSUPPORTED_MEDIA_TYPE',
        ])
    }
    assert.equal((await uploads.list()).length, 1)
    assert.equal((await ask('/v1/session', { headers: { cookie } })).status, 200, 'none of it logged out')
  })

  test('of elsewhere costs one look-up, is refused and taken away', async (t) => {
    const { ask, logIn, jobs } = await started(t)
    const { cookie } = await logIn('ada')
    const [name = '', secret = ''] = cookie.split('=')
    const wrong = [
      randomBytes(32).toString('base64url'),
      `${secret}.c2lnbmVk`,
      `s%3A${secret}.x`,
      secret.slice(1),
      '',
      `%`,
      `"${secret}x"`,
      'x'.repeat(8000),
    ]
    for (const value of wrong) {
      const answer = await ask('/v1/jobs', { headers: { cookie: `${name}=${value}` } })
      assert.match(answer.headers.getSetCookie().join('|'), /=; Max-Age=0/)
      assert.deepEqual(await problemOf(answer), [401, 'UNAUTHENTICATED'], value)
    }
    for (const other of [`layerd-session-1=${secret}`, `__Host-${cookie}`, secret]) {
      const answer = await ask('/v1/jobs', { headers: { cookie: other } })
      assert.deepEqual(answer.headers.getSetCookie(), [])
      assert.deepEqual(await problemOf(answer), [401, 'UNAUTHENTICATED'])
    }
    assert.equal((await ask('/v1/jobs', { headers: { cookie: `${name}=${'x'.repeat(1024 ** 2)}` } })).status, 431)
    assert.deepEqual(await problemOf(await ask('/v1/jobs', { headers: { authorization: `Bearer ${secret}` } })), [
      401,
      'UNAUTHENTICATED',
    ])
    assert.deepEqual(await jobs.raw.keys('{layerd}:sessions:*').then((keys) => keys.length), 2)
  })

  test('is answered for that browser alone', async () => {
    const { ask, logIn } = shared
    const { cookie } = await logIn('ada')
    for (const path of ['/v1/jobs', '/v1/packages', '/v1/keys', '/metrics', '/v1/session']) {
      const { headers } = await ask(path, { headers: { cookie } })
      assert.match(headers.get('cache-control') ?? '', /private|no-store/, path)
      assert.match(headers.get('vary') ?? '', /\bcookie\b/, path)
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
    }
    const { headers } = await ask('/v1/jobs', { headers: { authorization: 'Bearer ada-token' } })
    assert.equal(headers.get('cache-control'), 'no-cache')
    assert.equal(headers.get('vary')?.includes('cookie') ?? false, false)
  })
})
