import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'
import type { CodeFlow } from '../../../../src/access/oidc/code-flow.ts'
import { AUTHORIZE, createIssuerKey, discoveryOf, DISCOVERY, TOKEN } from '../../../helpers/access/issuer.ts'
import { openedOidc } from '../../../helpers/access/opened-oidc.ts'

const redirectUri = 'http://127.0.0.1:8420/callback'
/** One that Basic has to escape. */
const SECRET = 'a:secret/with+signs &%é'

async function opened(t: TestContext, clientSecret: string | undefined = SECRET) {
  const bed = await openedOidc(t, { clientId: 'the layerd', audience: 'api', clientSecret })
  const secret = clientSecret === undefined ? {} : { secret: clientSecret }
  bed.issuer.clients.set('the layerd', { id: 'the layerd', ...secret, redirectUris: [redirectUri] })
  const flow = bed.oidc.codeFlow as CodeFlow
  /** As a browser does: what the issuer sends back with it. */
  const visit = async (url: string) => {
    const { status, headers } = await fetch(url, { redirect: 'manual' })
    assert.equal(status, 302)
    return new URL(headers.get('location') ?? '').searchParams
  }
  const begin = async () => {
    const { url, state } = await flow.begin({ redirectUri })
    const query = await visit(url)
    assert.equal(query.get('state'), state.state)
    return { state, code: query.get('code') ?? '' }
  }
  const logIn = async () => flow.finish({ ...(await begin()), redirectUri })
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => 'let in',
      (error: Error & { code?: string }) => `${error.code} ${error.message}`,
    )
  return { ...bed, flow, begin, logIn, refusal, visit }
}

test('a browser logs in, and may what its groups may at that time, for half a day', async (t) => {
  for (const secret of [SECRET, undefined]) {
    const { issuer, logIn, clock } = await opened(t, secret)
    issuer.user = { sub: 'ada', groups: ['/UDS Core/Admin'] }
    const principal = await logIn()
    assert.deepEqual([principal.name, [...principal.scopes]], ['oidc:ada', ['*']])
    // Of any process, however the issuer's keys are by then.
    issuer.keys = [await createIssuerKey()]
    const other = await openedOidc(t)
    await writeFile(other.groupsFile, JSON.stringify([{ group: '/UDS Core/Admin', scopes: ['jobs:read'] }]))
    const later = await other.oidc.source.current(principal.credential)
    assert.deepEqual([later?.name, [...(later?.scopes ?? [])]], ['oidc:ada', ['jobs:read']])
    assert.equal(later?.expiresAt, principal.expiresAt)
    const hours = ((principal.expiresAt ?? 0) - clock.now()) / 3_600_000
    assert.ok(hours > 11 && hours <= 12)
    other.clock.advance(12 * 3_600_000)
    assert.equal(await other.oidc.source.current(principal.credential), undefined)
  }
})

test('a secret goes where the issuer wants it: in the header, or in the form where that is all it takes', async (t) => {
  const { issuer, logIn } = await opened(t)
  issuer.clientAuthentication = 'client_secret_post'
  assert.equal((await logIn()).name, 'oidc:ada')
})

test('the address has all that protects a log-in, each time other, and keeps what the issuer has there', async (t) => {
  const { issuer, flow } = await opened(t)
  const document = { ...discoveryOf(issuer), authorization_endpoint: `${issuer.url}${AUTHORIZE}?tenant=7` }
  issuer.instead.set(DISCOVERY, (_request, response) => void response.end(JSON.stringify(document)))
  const [first, second] = [await flow.begin({ redirectUri }), await flow.begin({ redirectUri })]
  const query = new URL(first.url).searchParams
  const { code_challenge: challenge, ...rest } = Object.fromEntries(query)
  assert.deepEqual(rest, {
    tenant: '7',
    response_type: 'code',
    response_mode: 'query',
    client_id: 'the layerd',
    redirect_uri: redirectUri,
    scope: 'openid profile email',
    state: first.state.state,
    nonce: first.state.nonce,
    code_challenge_method: 'S256',
  })
  assert.equal(challenge?.length, 43)
  const all = [first, second].flatMap(({ state }) => Object.values(state))
  assert.equal(new Set(all).size, 6)
  assert.ok(!first.url.includes(first.state.verifier))
})

test('another verifier, address, client, or a code that was used is refused, and no error tells a secret', async (t) => {
  const { issuer, flow, begin, refusal } = await opened(t)
  const used = await begin()
  await flow.finish({ ...used, redirectUri })
  const [a, b, c] = [await begin(), await begin(), await begin()]
  const answers = [
    await refusal(flow.finish({ ...used, redirectUri })),
    await refusal(flow.finish({ ...a, redirectUri, state: { ...a.state, verifier: b.state.verifier } })),
    await refusal(flow.finish({ ...b, redirectUri: `${redirectUri}/x` })),
    await refusal(flow.finish({ ...b, code: '', redirectUri })),
    await refusal(flow.finish({ ...b, code: 'c'.repeat(5000), redirectUri })),
  ]
  for (const answer of answers) assert.match(answer, /^UNAUTHENTICATED the log-in failed: /)
  issuer.clients.set('the layerd', { id: 'the layerd', secret: 'another', redirectUris: [redirectUri] })
  answers.push(await refusal(flow.finish({ ...c, redirectUri })))
  assert.match(answers.at(-1) ?? '', /^CONFIG_INVALID the OIDC issuer .* does not take the client id or secret/)
  const secrets = [a, b, c, used].flatMap(({ code, state }) => [code, ...Object.values(state)])
  for (const secret of [...secrets, SECRET]) {
    assert.ok(!answers.join().includes(secret), secret)
  }
})

test('an ID token of another log-in, client, time or issuer lets nobody in', async (t) => {
  const { issuer, clock, logIn, refusal } = await opened(t)
  const now = Math.floor(clock.now() / 1000)
  const cases: ReadonlyArray<readonly [Record<string, unknown>, RegExp]> = [
    [{ nonce: 'another' }, /of another log-in/],
    [{ nonce: undefined }, /of another log-in/],
    [{ aud: 'api' }, /for another audience/],
    [{ aud: ['the layerd', 'api'] }, /for another client/],
    [{ azp: 'another' }, /for another client/],
    [{ iat: now - 400 }, /issued too long ago/],
    [{ iat: undefined }, /issued too long ago/],
    [{ exp: now - 61 }, /has expired/],
    [{ iss: 'https://another.example' }, /none of the issuer/],
    [{ sub: undefined }, /no "sub"/],
    [{ padding: 'x'.repeat(32 * 1024) }, /none of the issuer, or too long/],
  ]
  for (const [claims, why] of cases) {
    issuer.idClaims = claims
    assert.match(
      await refusal(logIn()),
      new RegExp(`^UNAUTHENTICATED .*${why.source}`),
      JSON.stringify(claims).slice(0, 80),
    )
  }
  issuer.idClaims = {
    aud: ['the layerd', 'api'],
    azp: 'the layerd',
    groups: Array.from({ length: 1000 }, (_, at) => `group-${at}`),
  }
  assert.equal((await logIn()).name, 'oidc:ada')
})

test('a token endpoint that answers nothing of use is told as that, or as the issuer being away', async (t) => {
  const { issuer, flow, begin, refusal } = await opened(t)
  const cases: ReadonlyArray<readonly [number, string, RegExp]> = [
    [500, '{}', /^ISSUER_UNAVAILABLE/],
    [429, '{}', /^ISSUER_UNAVAILABLE/],
    [200, '<html>', /^UNAUTHENTICATED .* no ID token/],
    [200, '{"id_token": 7}', /^UNAUTHENTICATED .* no ID token/],
    [200, '{"id_token": "a.b.c"}', /^UNAUTHENTICATED .* none of the issuer/],
    [302, '', /^UNAUTHENTICATED .*\(302\)/],
    [400, '{"error": "<script>"}', /^UNAUTHENTICATED .*\(400\)/],
    [400, '{"error": "unauthorized_client"}', /^CONFIG_INVALID/],
  ]
  for (const [status, body, why] of cases) {
    issuer.instead.set(TOKEN, (_request, response) => void response.writeHead(status, { location: '/x' }).end(body))
    assert.match(await refusal(flow.finish({ ...(await begin()), redirectUri })), why)
  }
  const { code, state } = await begin()
  await issuer.away()
  assert.match(await refusal(flow.finish({ code, state, redirectUri })), /^ISSUER_UNAVAILABLE/)
})

test('who says no at the issuer comes back without a code', async (t) => {
  const { issuer, flow, visit } = await opened(t)
  issuer.user = undefined
  const query = await visit((await flow.begin({ redirectUri })).url)
  assert.deepEqual([query.get('error'), query.get('code')], ['access_denied', null])
})
