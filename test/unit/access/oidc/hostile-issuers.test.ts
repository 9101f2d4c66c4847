import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import { createIssuerKey, DISCOVERY, discoveryOf, type IssuerKey, KEYS } from '../../../helpers/access/issuer.ts'
import { openedOidc } from '../../../helpers/access/opened-oidc.ts'
import type { WebAnswer } from '../../../helpers/network/web-server.ts'

const answering =
  (body: unknown, status = 200, headers = {}) =>
  (_request: unknown, response: ServerResponse) => {
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
  }

test('an issuer that answers nothing of use lets nobody in; the log says what it is, callers are told whose it is', async (t) => {
  const { issuer, clock, warned, letsIn } = await openedOidc(t)
  const token = await issuer.token()
  const doc = discoveryOf(issuer)
  const cases: ReadonlyArray<readonly [string, WebAnswer, RegExp]> = [
    [
      DISCOVERY,
      answering({ ...doc, issuer: 'https://another.example' }),
      /of another issuer: "https:\/\/another\.example"/,
    ],
    [DISCOVERY, answering({ ...doc, issuer: `${doc.issuer}/` }), /of another issuer/],
    [DISCOVERY, answering({ ...doc, jwks_uri: 'file:///etc/passwd' }), /jwks_uri is no https URL/],
    [DISCOVERY, answering({ ...doc, jwks_uri: 'http://registry.example/keys' }), /jwks_uri is no https URL/],
    [DISCOVERY, answering({ ...doc, token_endpoint: 'http://registry.example' }), /token_endpoint is no https URL/],
    [DISCOVERY, answering({ ...doc, jwks_uri: 'http://169.254.169.254/keys' }), /jwks_uri is no https URL/],
    [DISCOVERY, answering([]), /is no object/],
    [DISCOVERY, answering('<html>'), /is not JSON/],
    [DISCOVERY, answering(doc, 500), /answered with 500/],
    [DISCOVERY, answering('', 302, { location: `${issuer.url}/elsewhere` }), /answered with 302/],
    [KEYS, answering({}), /is no JWK Set/],
    [KEYS, answering({ keys: {} }), /is no JWK Set/],
    [KEYS, answering('', 307, { location: `${issuer.url}/elsewhere` }), /answered with 307/],
  ]
  for (const [path, instead, why] of cases) {
    issuer.instead.clear()
    issuer.instead.set(path, instead)
    assert.match(
      (await letsIn(token)) ?? '',
      /^ISSUER_UNAVAILABLE the OIDC issuer http:\/\/127\.0\.0\.1:\d+ cannot be asked/,
    )
    assert.ok(
      warned.some((text) => why.test(text)),
      warned.join('\n'),
    )
    // Past what discovery is kept for.
    clock.advance(600_000)
  }
  assert.equal(issuer.asked.get('/elsewhere'), undefined)
  issuer.instead.clear()
  assert.equal(await letsIn(await issuer.token({ exp: Math.floor(clock.now() / 1000) + 600 })), 'oidc:ada ')
})

test('keys and discovery documents that do not end are read for 128 KiB', async (t) => {
  for (const path of [DISCOVERY, KEYS]) {
    const { issuer, warned, letsIn } = await openedOidc(t)
    let sent = 0
    const closed = Promise.withResolvers<void>()
    issuer.instead.set(path, (_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, ' ')
      const more = (): void => {
        if (response.destroyed || sent >= 50 * 1024 * 1024) return
        sent += chunk.length
        if (response.write(chunk)) setImmediate(more)
      }
      response.on('drain', more).on('close', () => closed.resolve())
      more()
    })
    assert.match((await letsIn(await issuer.token())) ?? '', /^ISSUER_UNAVAILABLE /)
    await closed.promise
    // What lay in buffers of both sides goes with it.
    assert.ok(sent < 50 * 1024 * 1024, String(sent))
    assert.match(warned.at(-1) ?? '', /131072|128 KiB/)
  }
})

test('an issuer that does not answer is waited for so long, and all wait for the same', async (t) => {
  const { issuer, letsIn } = await openedOidc(t, {}, { answerMs: 50 })
  issuer.instead.set(KEYS, () => undefined)
  const tokens = await Promise.all(['a', 'b', 'c'].map((sub) => issuer.token({ sub })))
  for (const answer of await Promise.all(tokens.map(letsIn))) assert.match(answer ?? '', /^ISSUER_UNAVAILABLE /)
  assert.ok((issuer.asked.get(KEYS) ?? 0) <= 1)
})

test('keys that are none, too short, or secrets count for nothing, and spoil no others', async (t) => {
  const { issuer, clock, letsIn } = await openedOidc(t)
  const [good] = issuer.keys as [IssuerKey]
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const jwk = short.publicKey.export({ format: 'jwk' })
  const bad = [
    {
      kty: 'RSA',
      n: generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey.export({ format: 'jwk' }).n,
      e: 'AQAB',
      kid: 'tiny',
    },
    { ...jwk, kid: 'short' },
    { kty: 'oct', k: Buffer.from('secret').toString('base64url'), kid: 'oct', alg: 'HS256' },
    { ...good.jwk, kid: 'enc', use: 'enc' },
    { ...good.jwk, kid: 'wrong', x: 'AAAA' },
    { ...good.jwk, kid: 7 },
    { kty: 'RSA', n: Buffer.alloc(4096, 1).toString('base64url'), e: 'AQAB', kid: 'giant' },
    { kty: 'RSA', kid: 'empty' },
    null,
    'text',
    [],
  ]
  issuer.instead.set(KEYS, answering({ keys: [...bad, good.jwk] }))
  assert.equal(await letsIn(await issuer.token()), 'oidc:ada ')
  for (const kid of ['oct', 'enc', 'wrong', 'giant', 'empty', 'tiny']) {
    for (const key of [good, await createIssuerKey('RS256')]) {
      assert.match((await letsIn(await issuer.token({}, { kid }, key))) ?? '', /^UNAUTHENTICATED /, kid)
    }
  }
  const iat = Math.floor(clock.now() / 1000)
  const claims = { iss: issuer.url, aud: 'layerd', sub: 'ada', iat, exp: iat + 600 }
  const head = Buffer.from(JSON.stringify({ alg: 'RS256', kid: 'short' })).toString('base64url')
  const signed = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  const signature = createSign('sha256').update(signed).sign(short.privateKey, 'base64url')
  assert.match((await letsIn(`${signed}.${signature}`)) ?? '', /^UNAUTHENTICATED /)
  // Two that a token can mean: it names none, so it means none.
  issuer.instead.set(KEYS, answering({ keys: [good.jwk, (await createIssuerKey()).jwk] }))
  clock.advance(600_000)
  const nameless = await new SignJWT({ ...claims, exp: iat + 6000 })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(good.private)
  assert.match((await letsIn(nameless)) ?? '', /^UNAUTHENTICATED /)
})
