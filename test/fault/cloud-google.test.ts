import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CloudSecret } from '../../src/content/clouds.ts'
import { cloudsOf, toldBy } from '../helpers/clouds/asking.ts'
import { startFakeGoogle } from '../helpers/clouds/fake-google.ts'
import { createStepClock } from '../helpers/step-clock.ts'

const REGISTRY = '127.0.0.1:5000'

/** The clock's time is now, so that what the fake judges fits. */
function movingClock() {
  const clock = createStepClock()
  clock.advance(Date.now() - clock.now())
  return clock
}

async function bed(t: TestContext) {
  const google = await startFakeGoogle(t)
  const clock = movingClock()
  return { google, clock, ask: cloudsOf(t, { clock }) }
}

test('a key of a service account gets an access token by what it signs', async (t) => {
  const { google, ask, clock } = await bed(t)
  const found = await ask(REGISTRY, google.secret)
  assert.partialDeepStrictEqual(found, { kind: 'basic', username: 'oauth2accesstoken', password: google.tokens[0] })
  const now = Math.floor(clock.now() / 1000)
  assert.deepEqual(google.claims, [
    {
      iss: google.key['client_email'],
      scope: 'https://www.googleapis.com/auth/cloud-platform',
      aud: google.key['token_uri'],
      iat: now,
      exp: now + 3600,
    },
  ])
})

test('one token serves all until three quarters of its life are over, and one that was refused no one', async (t) => {
  const { google, ask, clock } = await bed(t)
  const first = await ask(REGISTRY, google.secret)
  clock.advance(44 * 60_000)
  assert.deepEqual(await ask(REGISTRY, google.secret), first)
  clock.advance(60_000)
  google.skewMs = 45 * 60_000
  const second = await ask(REGISTRY, google.secret)
  assert.equal(google.tokens.length, 2)
  const third = await ask(REGISTRY, google.secret, second)
  assert.equal(third?.kind === 'basic' && third.password, google.tokens[2])
  // Who comes with one from before gets what there is.
  for (const before of [first, second]) assert.deepEqual(await ask(REGISTRY, google.secret, before), third)
  // It is seconds old, and the one before it was refused too: another one would fare no better.
  assert.deepEqual(await ask(REGISTRY, google.secret, third), third)
  clock.advance(60_000)
  assert.notDeepEqual(await ask(REGISTRY, google.secret, third), third)
  assert.equal(google.tokens.length, 4)
})

test('while the token service fails, the token that still holds is used, and none that has ended', async (t) => {
  const { google, ask, clock } = await bed(t)
  const first = await ask(REGISTRY, google.secret)
  clock.advance(50 * 60_000)
  google.answerNext(503, 'no')
  assert.deepEqual(await ask(REGISTRY, google.secret), first)
  // It is not asked again at once.
  assert.deepEqual(await ask(REGISTRY, google.secret), first)
  clock.advance(10 * 60_000)
  google.answerNext(503, 'no')
  await assert.rejects(ask(REGISTRY, google.secret), { code: 'CREDENTIALS_INVALID', retry: 'transient' })
})

for (const [name, status, body, expected] of [
  [
    'a deleted key',
    400,
    { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' },
    { retry: 'permanent', message: /answered 400 invalid_grant: Invalid JWT Signature/, hint: /key was deleted/ },
  ],
  [
    'a clock that is wrong',
    400,
    {
      error: 'invalid_grant',
      error_description:
        'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
    },
    { retry: 'permanent', hint: /clock/ },
  ],
  [
    'an account that is gone',
    400,
    { error: 'invalid_grant', error_description: 'Invalid grant: account not found' },
    { retry: 'permanent', hint: /account was deleted/ },
  ],
  ['a failure', 500, { error: 'internal_failure' }, { retry: 'transient' }],
  ['no token', 200, { id_token: 'x' }, { retry: 'permanent', message: /without an access token/ }],
  ['a token that is none', 200, { access_token: 'a b\nc' }, { retry: 'permanent', message: /without an access token/ }],
  ['a list', 200, [1], { retry: 'permanent', message: /without an access token/ }],
  ['a redirect', 302, {}, { retry: 'permanent', message: /answered 302/ }],
] as const) {
  test(`${name} is told in plain words`, async (t) => {
    const { google, ask } = await bed(t)
    google.answerNext(status, JSON.stringify(body))
    await assert.rejects(ask(REGISTRY, google.secret), { code: 'CREDENTIALS_INVALID', ...expected })
  })
}

test('nothing is sent to a token service that is none of Google’s', async (t) => {
  const { google, ask } = await bed(t)
  const elsewhere: CloudSecret[] = [
    'https://evil.example/token',
    'http://oauth2.googleapis.com/token',
    'https://oauth2.googleapis.com.evil.example/token',
    'https://u:p@oauth2.googleapis.com/token',
    'https://oauth2.googleapis.com:8443/token',
    'file:///token',
  ].map((tokenUri) => ({ ...google.secret, tokenUri }))
  for (const secret of elsewhere) {
    await assert.rejects(ask(REGISTRY, secret), { code: 'CREDENTIALS_INVALID', message: /none of Google's/ })
  }
  // One of this machine is for registries of this machine.
  await assert.rejects(ask('europe-docker.pkg.dev', google.secret), { message: /none of Google's/ })
  assert.equal(google.claims.length, 0)
})

test('what the token service repeats of key and assertion is not told', async (t) => {
  const { google, ask } = await bed(t)
  google.answerNext(
    400,
    JSON.stringify({ error: 'invalid_grant', error_description: `bad key ${google.secret.privateKey}` }),
  )
  await assert.rejects(ask(REGISTRY, google.secret), (error: Error) => {
    assert.ok(!toldBy(error).includes(google.secret.privateKey.slice(60, 90)))
    return true
  })
})
