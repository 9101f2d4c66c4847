import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { createIssuerKey, DISCOVERY, KEYS } from '../../../helpers/access/issuer.ts'
import { GROUPS, openedOidc } from '../../../helpers/access/opened-oidc.ts'

const MINUTE = 60_000

test('a token of the issuer lets in as its subject, with what its first group of the file has', async (t) => {
  const { issuer, oidc, clock, letsIn } = await openedOidc(t)
  const exp = Math.floor(clock.now() / 1000) + 600
  const token = await issuer.token({ sub: 'b0b', groups: ['nobody', 'users'], exp })
  const principal = await oidc.source.authenticate(token)
  assert.deepEqual(
    { ...principal, scopes: [...(principal?.scopes ?? [])], credential: principal?.credential.slice(0, 5) },
    {
      name: 'oidc:b0b',
      scopes: ['jobs:read'],
      limits: { registries: ['registry.example'] },
      credential: 'oidc:',
      expiresAt: (exp + 60) * 1000,
    },
  )
  // Of two groups the first of the file counts alone: limits of one never go with scopes of the other.
  const both = await oidc.source.authenticate(await issuer.token({ groups: ['users', '/UDS Core/Admin'] }))
  assert.deepEqual([[...(both?.scopes ?? [])], both?.limits], [['*'], {}])
  assert.equal(await letsIn(await issuer.token({ groups: [] })), 'oidc:ada ')
  assert.equal(await letsIn(await issuer.token()), 'oidc:ada ')
})

test('each algorithm of the issuer is taken', async (t) => {
  const { issuer, letsIn } = await openedOidc(t)
  const algorithms = [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
  ]
  issuer.keys = await Promise.all(algorithms.map((alg) => createIssuerKey(alg)))
  for (const key of issuer.keys) assert.equal(await letsIn(await issuer.token({}, {}, key)), 'oidc:ada ', key.alg)
  assert.deepEqual([issuer.asked.get(DISCOVERY), issuer.asked.get(KEYS)], [1, 1])
})

test('a rotated key counts once the issuer publishes it, and one that it takes back for ten minutes at most', async (t) => {
  const { issuer, oidc, clock, letsIn } = await openedOidc(t)
  const old = await issuer.token()
  const before = await oidc.source.authenticate(old)
  assert.equal(before?.name, 'oidc:ada')
  issuer.keys = [await createIssuerKey()]
  const renewed = await issuer.token()
  assert.match((await letsIn(renewed)) ?? '', /^UNAUTHENTICATED .* a key that the issuer does not publish/)
  assert.equal(await letsIn(old), 'oidc:ada ')
  clock.advance(MINUTE)
  assert.equal(await letsIn(renewed), 'oidc:ada ')
  // It was read again for the new one, so the old one is gone at once.
  assert.match((await letsIn(old)) ?? '', /^UNAUTHENTICATED /)
  assert.equal(await oidc.source.current(before.credential), undefined)
  issuer.keys = [await createIssuerKey()]
  assert.equal(await letsIn(renewed), 'oidc:ada ')
  clock.advance(10 * MINUTE)
  assert.match((await letsIn(renewed)) ?? '', /^UNAUTHENTICATED /)
})

test('a thousand tokens with keys that nobody knows ask the issuer once', async (t) => {
  const { issuer, clock, letsIn } = await openedOidc(t)
  const stranger = await createIssuerKey()
  const tokens = await Promise.all(
    Array.from({ length: 1000 }, (_, at) => issuer.token({}, { kid: `unknown-${at}` }, stranger)),
  )
  const answers = new Set(await Promise.all(tokens.map(letsIn)))
  assert.equal(answers.size, 1)
  assert.match([...answers][0] ?? '', /^UNAUTHENTICATED /)
  for (const token of tokens.slice(0, 50)) await letsIn(token)
  assert.equal(issuer.asked.get(KEYS), 1)
  clock.advance(MINUTE)
  await Promise.all(tokens.map(letsIn))
  assert.equal(issuer.asked.get(KEYS), 2)
})

test('with the issuer away nobody new is let in, with an error that says so, and known keys go on', async (t) => {
  const { issuer, clock, warned, letsIn } = await openedOidc(t)
  const token = await issuer.token()
  const other = await issuer.token({ sub: 'bob' })
  await issuer.away()
  const refusal = `ISSUER_UNAVAILABLE the OIDC issuer ${issuer.url} cannot be asked for its keys and addresses`
  assert.equal(await letsIn(token), refusal)
  await issuer.back()
  // It was just asked.
  assert.equal(await letsIn(token), refusal)
  clock.advance(5000)
  assert.equal(await letsIn(token), 'oidc:ada ')
  assert.equal(warned.length, 1)
  await issuer.away()
  clock.advance(30 * MINUTE)
  for (let round = 0; round < 3; round += 1) {
    assert.deepEqual([await letsIn(token), await letsIn(other)], ['oidc:ada ', 'oidc:bob '])
    clock.advance(MINUTE)
  }
  // Each thing once for each time that it was away.
  const again = warned.slice(1)
  assert.ok(again.length > 0 && new Set(again).size === again.length, warned.join('\n'))
})

test('what an issuer said a day ago counts no longer', async (t) => {
  const { issuer, clock, letsIn } = await openedOidc(t)
  const token = await issuer.token({ exp: Math.floor(clock.now() / 1000) + 200_000 })
  assert.equal(await letsIn(token), 'oidc:ada ')
  await issuer.away()
  clock.advance(24 * 60 * MINUTE)
  assert.match((await letsIn(token)) ?? '', /^ISSUER_UNAVAILABLE /)
})

test('a token is verified once, known by its credential until it expires, and may what the file says now', async (t) => {
  const { issuer, oidc, clock, groupsFile } = await openedOidc(t)
  const token = await issuer.token({ groups: ['users'], exp: Math.floor(clock.now() / 1000) + 600 })
  const { credential = '' } = (await oidc.source.authenticate(token)) ?? {}
  assert.deepEqual([...((await oidc.source.current(credential))?.scopes ?? [])], ['jobs:read'])
  await writeFile(groupsFile, GROUPS.replace('jobs:read', 'jobs:write'))
  assert.deepEqual([...((await oidc.source.current(credential))?.scopes ?? [])], ['jobs:write'])
  for (const none of [
    'oidc:ffffffffffffffffffffffffffffffff',
    'oidc:',
    `oidc:${Buffer.from('[]').toString('base64url')}`,
  ]) {
    assert.equal(await oidc.source.current(none), undefined)
  }
  clock.advance(11 * MINUTE)
  assert.equal(await oidc.source.current(credential), undefined)
  await assert.rejects(oidc.source.authenticate(token), /has expired/)
})

test('groups may stand within other claims, and in a claim whose name has dots', async (t) => {
  for (const groupsClaim of ['realm_access.roles', 'https://example.com/groups']) {
    const { issuer, letsIn } = await openedOidc(t, { groupsClaim })
    const claims = groupsClaim.startsWith('r')
      ? { realm_access: { roles: ['offline_access', 'users'] } }
      : { 'https://example.com/groups': ['users'] }
    assert.equal(await letsIn(await issuer.token(claims)), 'oidc:ada jobs:read')
    assert.equal(await letsIn(await issuer.token({ groups: ['users'] })), 'oidc:ada ')
  }
})
