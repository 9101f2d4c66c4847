import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, type TestContext, test } from 'node:test'
import type { Session } from '../../src/http/schemas/session.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { openedOidc } from '../helpers/access/opened-oidc.ts'
import { BROWSERS, findBrowser, startBrowser } from '../helpers/processes/browser.ts'
import { startApp, type TestAppOptions } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

type Headers = Record<string, string>

/** layerd under the name localhost, and an issuer at 127.0.0.1: to browsers these are two sites. */
async function started(t: TestContext, options: TestAppOptions = {}) {
  const { issuer, oidc, groupsFile } = await openedOidc(t, { clientId: 'layerd', clientSecret: 'client-secret' })
  const bed = await startApp(t, { oidc, ...options })
  const base = (await bed.listen()).replace('127.0.0.1', 'localhost')
  issuer.clients.set('layerd', { id: 'layerd', secret: 'client-secret', redirectUris: [`${base}/v1/session/callback`] })
  const get = (url: string, headers: Headers = {}) =>
    waitFor('Redis to answer', async () => {
      const answer = await fetch(url.startsWith('/') ? base + url : url, { redirect: 'manual', headers })
      return answer.status === 503 ? undefined : answer
    })
  /** To the issuer and back, short of the callback. */
  const sent = async (returnTo = '/v1/session') => {
    const begun = await get(`/v1/session/login?returnTo=${encodeURIComponent(returnTo)}`)
    assert.equal(begun.status, 302, await begun.clone().text())
    const away = await get(begun.headers.get('location') ?? '')
    return { begun, cookie: cookieOf(begun), back: new URL(away.headers.get('location') ?? '') }
  }
  const who = async (cookie: string) => {
    const answer = await get('/v1/session', { cookie })
    return answer.status === 200 ? ((await answer.json()) as Session) : answer.status
  }
  return { ...bed, base, issuer, groupsFile, get, sent, who }
}

function cookieOf(answer: Response, at = 0): string {
  return answer.headers.getSetCookie()[at]?.split(';', 1)[0] ?? ''
}

async function refusalOf(answer: Response): Promise<[number, string]> {
  return [answer.status, ((await answer.json()) as Problem).code]
}

describe('log-in at the issuer', () => {
  test('leads there with PKCE, state and nonce, and back into a session', async (t) => {
    const { base, issuer, get, sent, who } = await started(t)
    const { begun, cookie, back } = await sent('/v1/session?a=%22&b=1')
    const asked = new URL(begun.headers.get('location') ?? '')
    assert.equal(asked.origin, issuer.url)
    assert.equal(asked.searchParams.get('redirect_uri'), `${base}/v1/session/callback`)
    assert.equal(asked.searchParams.get('response_mode'), 'query')
    assert.equal(asked.searchParams.get('code_challenge_method'), 'S256')
    const port = new URL(base).port
    assert.match(
      begun.headers.getSetCookie().join('|'),
      new RegExp(`^layerd-log-in-${port}=[\\w-]+; Max-Age=600; Path=/; HttpOnly; SameSite=Lax$`),
    )
    for (const name of ['state', 'nonce', 'code_challenge'])
      assert.ok(
        !Buffer.from(cookie.split('=')[1] ?? '', 'base64url')
          .toString('latin1')
          .includes(asked.searchParams.get(name) ?? '-'),
      )

    const answer = await get(back.href, { cookie })
    const page = await answer.text()
    assert.equal(answer.status, 200, page)
    assert.match(page, /<meta http-equiv="refresh" content="0; url=\/v1\/session\?a=%22&amp;b=1">/)
    assert.match(page, /Logged in as oidc:ada/)
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
    const set = answer.headers.getSetCookie()
    assert.match(set[0] ?? '', new RegExp(`^layerd-log-in-${port}=; Max-Age=0`))
    assert.match(
      set[1] ?? '',
      new RegExp(`^layerd-session-${port}=[\\w-]{43}; Max-Age=4\\d{4}; Path=/; HttpOnly; SameSite=Strict$`),
    )
    const session = await who(cookieOf(answer, 1))
    assert.ok(typeof session === 'object')
    assert.equal(session.principal, 'oidc:ada')
    assert.deepEqual(session.scopes, ['jobs:read'])
    assert.equal(session.credential.kind, 'session')

    const again = await get(back.href, { cookie })
    assert.deepEqual(await refusalOf(again), [401, 'UNAUTHENTICATED'], 'a code counts once')
  })

  test('a group that is taken out of the file ends what its members have', async (t) => {
    const { get, groupsFile, sent, who } = await started(t)
    const { cookie, back } = await sent()
    const session = cookieOf(await get(back.href, { cookie }), 1)
    const before = await who(session)
    assert.ok(typeof before === 'object')
    await writeFile(groupsFile, '[{"group":"users","scopes":["audit:read"]}]')
    const after = await who(session)
    assert.ok(typeof after === 'object')
    assert.deepEqual(after.scopes, ['audit:read'])
  })

  test('who has not begun it, or begun another, is not let in', async (t) => {
    const { get, sent, issuer } = await started(t)
    const mine = await sent()
    const other = await sent()
    const asked = () => issuer.asked.get('/token') ?? 0
    const [name = '', sealed = ''] = mine.cookie.split('=')
    const cookies = [
      '',
      other.cookie,
      `${name}=x`,
      `${name}=${sealed.slice(0, -4)}AAAA`,
      `${name}=`,
      `${name}=${'A'.repeat(4000)}`,
    ]
    for (const cookie of cookies) {
      const answer = await get(mine.back.href, { cookie, accept: 'text/html' })
      assert.equal(answer.status, 401, cookie)
      assert.match(answer.headers.get('content-type') ?? '', /^text\/html/)
      assert.deepEqual(answer.headers.getSetCookie(), [])
    }
    assert.deepEqual(await refusalOf(await get(mine.back.href, { cookie: `${mine.cookie}; ${other.cookie}` })), [
      400,
      'REQUEST_INVALID',
    ])
    assert.equal(asked(), 0, 'the issuer was not asked')
    assert.equal((await get(mine.back.href, { cookie: mine.cookie })).status, 200)
  })

  test('what the issuer says no with is told to whom it answers alone, as text', async (t) => {
    const { get, sent, issuer } = await started(t)
    issuer.user = undefined
    const { cookie, back } = await sent()
    assert.equal(back.searchParams.get('error'), 'access_denied')
    back.searchParams.set('error_description', `<script>alert(1)</script>\u202e${'x'.repeat(400)}`)
    const shown = async (headers: Headers) => {
      const answer = await get(back.href, { accept: 'text/html', ...headers })
      assert.equal(answer.status, 401)
      return await answer.text()
    }
    assert.doesNotMatch(await shown({}), /alert|access_denied/, 'whoever makes up a link')
    const page = await shown({ cookie })
    assert.match(
      page,
      /the issuer refused the log-in: access_denied: &lt;script&gt;alert\(1\)&lt;\/script&gt;\\u202exxx/,
    )
    assert.doesNotMatch(page, /x{300}|<script/)
    assert.match(page, /href="\/v1\/session\/login"/)
  })

  test('members of no group, and a code that the issuer does not know, get no session', async (t) => {
    const { get, sent, issuer } = await started(t)
    issuer.user = { sub: 'eve', groups: ['nobody'] }
    const eve = await sent()
    const refused = await get(eve.back.href, { cookie: eve.cookie })
    assert.equal(refused.headers.getSetCookie().filter((set) => set.includes('layerd-session')).length, 0)
    assert.deepEqual(await refusalOf(refused), [403, 'SCOPE_MISSING'])
    const { cookie, back } = await sent()
    back.searchParams.set('code', 'another')
    assert.deepEqual(await refusalOf(await get(back.href, { cookie })), [401, 'UNAUTHENTICATED'])
  })

  test('a token of the issuer logs in too, and the session ends with it', async (t) => {
    const { app, issuer } = await started(t)
    const exp = Math.floor(Date.now() / 1000) + 600
    const logIn = async (claims: Record<string, unknown>) =>
      app.inject({ method: 'POST', url: '/v1/session', payload: { token: await issuer.token(claims) } })
    const answer = await logIn({ groups: ['users'], exp })
    assert.equal(answer.statusCode, 201, answer.body)
    assert.equal(answer.json<Session>().principal, 'oidc:ada')
    assert.equal(answer.json<Session>().expiresAt, new Date((exp + 60) * 1000).toISOString(), 'clocks may differ')
    const foreign = await logIn({ aud: 'another' })
    assert.deepEqual([foreign.statusCode, foreign.headers['set-cookie']], [401, undefined])
  })

  test('the audit tells who came back, and who did not, without codes', async (t) => {
    const { get, sent, issuer } = await started(t)
    issuer.user = { sub: 'root', groups: ['/UDS Core/Admin'] }
    const { cookie, back } = await sent()
    await get(back.href)
    const session = cookieOf(await get(back.href, { cookie }), 1)
    const told = await waitFor('both to be told', async () => {
      const text = await (await get('/v1/audit', { cookie: session })).text()
      const { items } = JSON.parse(text) as { items: Array<Record<string, unknown>> }
      const found = items.filter(({ action }) => action === 'finishLogIn')
      return found.length === 2 ? { text, found } : undefined
    })
    const outcomes = told.found.map(({ principal, status, code }) => [principal, status, code].map(String).join(' '))
    assert.deepEqual(outcomes.toSorted(), ['null 401 UNAUTHENTICATED', 'oidc:root 200 null'])
    for (const secret of [back.searchParams.get('code'), back.searchParams.get('state'), session.split('=')[1]])
      assert.ok(!told.text.includes(secret ?? '-'))
  })

  test('returnTo leads nowhere else', async (t) => {
    const { get } = await started(t)
    const wrong = [
      '//evil.example',
      '/\\evil.example',
      '/\t/evil.example',
      'https://evil.example',
      'evil',
      '',
      'javascript:alert(1)',
      '/a\\b',
      '/a b',
      `/${'a'.repeat(1000)}`,
      '/v1/session/login',
      '/v1/./session/callback?x',
      '/%0a/\n',
    ]
    for (const path of wrong) {
      const answer = await get(`/v1/session/login?returnTo=${encodeURIComponent(path)}`)
      assert.deepEqual(answer.headers.getSetCookie(), [])
      assert.deepEqual(await refusalOf(answer), [400, 'REQUEST_INVALID'], path)
    }
    for (const path of ['/', '/docs/', '/v1/session', '/?a=//b', '/v1/jobs?state=running#x', `/${'a'.repeat(999)}`])
      assert.equal((await get(`/v1/session/login?returnTo=${encodeURIComponent(path)}`)).status, 302, path)
  })

  test('without an issuer, or where nothing is required, it says so', async (t) => {
    const { oidc } = await openedOidc(t)
    const { app } = await startApp(t, { oidc })
    const { app: open } = await startApp(t)
    for (const url of ['/v1/session/login', '/v1/session/callback?code=x&state=y']) {
      assert.equal((await app.inject(url)).json<Problem>().code, 'NOT_FOUND')
      assert.equal((await open.inject(url)).json<Problem>().code, 'LOG_IN_NOT_NEEDED')
      assert.equal((await app.inject({ method: 'HEAD', url })).statusCode, 401, 'nothing is used up by a look')
    }
  })

  test('only names of this machine are sent back to without LAYERD_PUBLIC_URL', async (t) => {
    const { app } = await started(t)
    const asked = async (host: string) => {
      const answer = await app.inject({ url: '/v1/session/login', headers: { host } })
      const to = answer.headers.location ?? ''
      return to === '' ? answer.json<Problem>().code : new URL(to).searchParams.get('redirect_uri')
    }
    assert.equal(await asked('localhost:8420'), 'http://localhost:8420/v1/session/callback')
    assert.equal(await asked('layerd.example'), 'CONFIG_INVALID')
  })

  test('links from the issuer open both, in no frame', async (t) => {
    const { app } = await started(t)
    const link = {
      host: 'localhost',
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    const status = async (url: string, headers: Headers) => (await app.inject({ url, headers })).statusCode
    for (const [path = '', expected] of [
      ['/v1/session/login', 302],
      ['/v1/session/callback', 401],
    ] as const) {
      assert.equal(await status(path, link), expected)
      for (const other of [{ 'sec-fetch-dest': 'iframe' }, { 'sec-fetch-mode': 'no-cors' }, { origin: 'null' }])
        assert.equal(await status(path, { ...link, ...other }), 403)
    }
  })

  test('an issuer that is away is a page that says so', async (t) => {
    const { app, issuer } = await started(t)
    await issuer.away()
    const answer = await app.inject({ url: '/v1/session/login', headers: { host: 'localhost', accept: 'text/html' } })
    assert.equal(answer.statusCode, 503)
    assert.match(answer.body, /The OIDC issuer cannot be asked/)
    assert.equal(answer.headers['set-cookie'], undefined)
  })

  test('behind TLS it is the public address', async (t) => {
    const { app } = await started(t, { publicUrl: 'https://layerd.example/' })
    const answer = await app.inject({ url: '/v1/session/login', headers: { host: 'backend:8420' } })
    assert.equal(
      new URL(String(answer.headers.location)).searchParams.get('redirect_uri'),
      'https://layerd.example/v1/session/callback',
    )
    assert.match(
      String(answer.headers['set-cookie']),
      /^__Host-layerd-log-in-443=[\w-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
  })
})

test('a real browser goes to the issuer at another site and comes back logged in', async (t) => {
  const program = findBrowser()
  if (program === undefined) return t.skip(`not on PATH: ${BROWSERS.join(', ')}`)
  const { base, issuer } = await started(t)
  const browser = await startBrowser(t, program)
  const shown = async (text: string) =>
    waitFor(`the page to show ${text}`, async () =>
      (await browser.evaluate<string>('document.body.innerText')).includes(text),
    )
  // A page of another site, whose link it is.
  await browser.open(`${issuer.url}/nothing`)
  await browser.evaluate(`void (location.href = '${base}/v1/session/login?returnTo=%2Fv1%2Fsession%3Fx%3D1')`)
  await shown('"principal":"oidc:ada"')
  assert.equal(await browser.evaluate('location.href'), `${base}/v1/session?x=1`)
  assert.equal(await browser.evaluate('document.cookie'), '')
  assert.equal(await browser.evaluate('document.referrer'), '', 'the code is told to nobody')

  issuer.user = undefined
  await browser.open(`${base}/v1/session/login`)
  await shown('the issuer refused the log-in: access_denied')
})
