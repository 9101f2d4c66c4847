import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { CompactEncrypt, type CryptoKey, exportSPKI, generateKeyPair, importJWK, type JWTPayload } from 'jose'
import type { Clock } from '../../../../src/lib/clock.ts'
import { type IssuerKey, KEYS, startIssuer } from '../../../helpers/access/issuer.ts'
import { openedOidc } from '../../../helpers/access/opened-oidc.ts'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const secondsOf = (clock: Clock) => Math.floor(clock.now() / 1000)

function claimsOf(iss: string, clock: Clock): JWTPayload {
  const iat = secondsOf(clock)
  return { iss, aud: 'layerd', sub: 'ada', iat, exp: iat + 600, groups: ['/UDS Core/Admin'] }
}

test('a token without a signature, or one that anybody can make, is none', async (t) => {
  const { issuer, clock, letsIn } = await openedOidc(t)
  const [key] = issuer.keys as [IssuerKey]
  // So that the keys are known, and whoever takes one for a secret has it.
  assert.equal(await letsIn(await issuer.token()), 'oidc:ada ')
  const payload = encode(claimsOf(issuer.url, clock))
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    const unsigned = `${encode({ alg, kid: key.kid })}.${payload}.`
    assert.equal(await letsIn(unsigned), undefined, alg)
    assert.match((await letsIn(`${unsigned}AAAA`)) ?? '', /^UNAUTHENTICATED .* algorithm/, alg)
  }
  const pem = await exportSPKI((await importJWK(key.jwk, 'ES256', { extractable: true })) as CryptoKey)
  for (const secret of [pem, pem.trim(), JSON.stringify(key.jwk), JSON.stringify({ keys: [key.jwk] }), '']) {
    for (const [alg, hash] of Object.entries({ HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' })) {
      const signed = `${encode({ alg, kid: key.kid })}.${payload}`
      const mac = createHmac(hash, secret).update(signed).digest('base64url')
      assert.match((await letsIn(`${signed}.${mac}`)) ?? '', /^UNAUTHENTICATED .* algorithm/)
    }
  }
  const good = await issuer.token({ groups: ['users'] })
  const [head = '', , signature = ''] = good.split('.')
  assert.match((await letsIn(`${head}.${payload}.${signature}`)) ?? '', /^UNAUTHENTICATED .* not signed as it says/)
  const otherAlg = `${encode({ alg: 'RS256', kid: key.kid })}.${good.split('.')[1]}.${signature}`
  assert.match((await letsIn(otherAlg)) ?? '', /^UNAUTHENTICATED /)
})

test('claims of another audience, issuer or time let nobody in, and say why to who was given the token', async (t) => {
  const { issuer, clock, letsIn } = await openedOidc(t)
  const now = secondsOf(clock)
  const cases: ReadonlyArray<readonly [JWTPayload, RegExp | undefined]> = [
    [{ aud: 'another' }, /for another audience/],
    [{ aud: ['another', 'layerd2'] }, /for another audience/],
    [{ aud: undefined as never }, /for another audience/],
    [{ exp: now - 61 }, /has expired/],
    [{ exp: undefined as never }, /no "exp"/],
    [{ exp: 'tomorrow' as never }, /no "exp"/],
    [{ nbf: now + 120 }, /not valid yet/],
    [{ iat: now + 120 }, /issued in the future/],
    [{ sub: undefined as never }, /no "sub"/],
    [{ sub: '' }, /no subject/],
    [{ sub: 7 as never }, /no subject/],
    [{ sub: 'x'.repeat(256) }, /no subject/],
    [{ sub: 'é'.repeat(255) }, /no subject/],
    [{ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, /another type/],
    // What is not of the issuer is nobody's.
    [{ iss: `${issuer.url}/` }, undefined],
    [{ iss: 'https://another.example' }, undefined],
    [{ iss: [issuer.url] as never }, undefined],
  ]
  for (const [claims, why] of cases) {
    const answer = await letsIn(await issuer.token(claims))
    if (why === undefined) assert.equal(answer, undefined, JSON.stringify(claims))
    else
      assert.match(answer ?? '', new RegExp(`^UNAUTHENTICATED the OIDC token .*${why.source}`), JSON.stringify(claims))
  }
  for (const fine of [
    { exp: now - 30 },
    { nbf: now + 30 },
    { iat: now + 30 },
    { aud: ['x', 'layerd'] },
    { exp: 9e15 },
  ]) {
    assert.equal(await letsIn(await issuer.token(fine)), 'oidc:ada ', JSON.stringify(fine))
  }
  for (const typ of ['logout+jwt', 'dpop+jwt', 'JOSE', '']) {
    assert.match((await letsIn(await issuer.token({}, { typ }))) ?? '', /another type/, typ)
  }
  for (const typ of ['JWT', 'at+jwt', 'application/at+JWT']) {
    assert.equal(await letsIn(await issuer.token({}, { typ })), 'oidc:ada ', typ)
  }
})

test('what a header says of its key counts for nothing but the name of one of the issuer', async (t) => {
  const { issuer, letsIn } = await openedOidc(t)
  const elsewhere = await startIssuer(t)
  const [theirs] = elsewhere.keys as [IssuerKey]
  const [ours] = issuer.keys as [IssuerKey]
  const url = elsewhere.url + KEYS
  const pointing = [{ jku: url }, { x5u: url }, { jwk: theirs.jwk }, { x5c: ['MIIB'] }, { jku: url, jwk: theirs.jwk }]
  for (const header of pointing) {
    for (const kid of [theirs.kid, ours.kid, undefined]) {
      const token = await issuer.token({}, { ...header, kid }, theirs)
      assert.match((await letsIn(token)) ?? '', /^UNAUTHENTICATED /, JSON.stringify({ ...header, kid }))
    }
    assert.equal(await letsIn(await issuer.token({}, header)), 'oidc:ada ')
  }
  assert.equal(elsewhere.asked.size, 0)
  for (const kid of ['../../etc/passwd', "' OR 1=1 --", '__proto__', '\u0000', 'k'.repeat(8000), url, 7, {}, null]) {
    const answer = (await letsIn(await issuer.token({}, { kid }, theirs))) ?? ''
    assert.match(answer, /^UNAUTHENTICATED /, JSON.stringify(kid).slice(0, 50))
    assert.ok(answer.length < 200)
  }
  const critical = encode({ alg: 'ES256', kid: ours.kid, crit: ['new'], new: 1 })
  const [, payload, signature] = (await issuer.token()).split('.')
  assert.match((await letsIn(`${critical}.${payload}.${signature}`)) ?? '', /^UNAUTHENTICATED /)
  // The one key that it can mean.
  assert.equal(await letsIn(await issuer.token({}, { kid: undefined })), 'oidc:ada ')
})

test('what is no token of the issuer costs no cryptography and no request', async (t) => {
  const { issuer, clock, letsIn } = await openedOidc(t)
  const { publicKey } = await generateKeyPair('ECDH-ES')
  const inner = new TextEncoder().encode(await issuer.token())
  const header = { alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', kid: 'x' }
  const encrypted = await new CompactEncrypt(inner).setProtectedHeader(header).encrypt(publicKey)
  const head = encode({ alg: 'ES256' })
  const others = [
    encrypted,
    'x'.repeat(1024 * 1024),
    await issuer.token({ padding: 'x'.repeat(1024 * 1024) }),
    await issuer.token({ padding: 'x'.repeat(13_000) }),
    'a.b.c',
    '..',
    `${head}.${encode([])}.AAAA`,
    `${head}.${encode(null)}.AAAA`,
    `${head}.${Buffer.from(await issuer.token()).toString('base64url')}.AAAA`,
    `${encode([])}.${encode(claimsOf(issuer.url, clock))}.AAAA`,
    `${encode({ alg: 7 })}.${encode(claimsOf(issuer.url, clock))}.AAAA`,
    `${head}.${Buffer.from('['.repeat(6000)).toString('base64url')}.AAAA`,
    `${await issuer.token()}\n`,
    '',
  ]
  for (const token of others) assert.equal(await letsIn(token), undefined, token.slice(0, 60))
  assert.equal(issuer.asked.size, 0)
})

test('groups that are no list of texts, or more than anybody is in, are none', async (t) => {
  const { issuer, oidc, letsIn } = await openedOidc(t)
  const many = Array.from({ length: 1001 }, (_, at) => (at === 0 ? 'users' : `g${at}`))
  const none: unknown[] = [{ users: true }, 7, null, [['users']], ['users', 7], 'users,/UDS Core/Admin', many, {}, true]
  for (const groups of none) assert.equal(await letsIn(await issuer.token({ groups })), 'oidc:ada ')
  assert.equal(await letsIn(await issuer.token({ groups: many.slice(0, 1000) })), 'oidc:ada jobs:read')
  assert.equal(await letsIn(await issuer.token({ groups: 'users' })), 'oidc:ada jobs:read')
  const claims = JSON.parse('{"groups": null, "__proto__": {"groups": ["users"]}}') as JWTPayload
  assert.equal(await letsIn(await issuer.token(claims)), 'oidc:ada ')
  const subjects = ['a b', 'a%20b', 'auth0|7', 'a,b', 'a\u202eb', 'ä', 'a\nb']
  const names = await Promise.all(
    subjects.map(async (sub) => (await oidc.source.authenticate(await issuer.token({ sub })))?.name),
  )
  assert.deepEqual(names, [
    'oidc:a%20b',
    'oidc:a%2520b',
    'oidc:auth0|7',
    'oidc:a%2Cb',
    'oidc:a%E2%80%AEb',
    'oidc:%C3%A4',
    'oidc:a%0Ab',
  ])
  assert.match((await letsIn(await issuer.token({ sub: '\ud800' }))) ?? '', /no subject/)
})
