import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../../src/lib/clock.ts'
import { createCallerCredential } from '../../../../src/oci/auth/caller-credential.ts'
import { createAuthorizer, type Plan } from '../../../../src/oci/auth/authorizer.ts'
import { ANYWHERE, Outbound } from '../../../../src/oci/request/outbound.ts'
import { COMMON_WAY, registryWay } from '../../../../src/oci/request/registry-way.ts'
import { createTokenCache, type TokenKey } from '../../../../src/oci/auth/token-cache.ts'

const { signal } = new AbortController()
const SCOPES = [{ repository: 'team/one', actions: ['pull'] as const }]

test('what was learnt over plain HTTP leads nobody who speaks TLS, nor the caller who learnt it', async () => {
  const asked: TokenKey[] = []
  const tokens = createTokenCache(systemClock, async (key) => {
    asked.push(key)
    return { value: 'token', lifetimeMs: 60_000 }
  })
  const plans = new Map<string, Plan>()
  const authorizer = (password?: string, way = COMMON_WAY) =>
    createAuthorizer({
      registry: 'reg.example',
      way,
      credential: createCallerCredential({
        credential: password === undefined ? undefined : { kind: 'basic', username: 'ann', password },
        renew: undefined,
        clock: systemClock,
        onFound: () => undefined,
      }),
      tokens,
      clock: systemClock,
      outbound: new Outbound(ANYWHERE),
      plans,
    })
  const clear = new URL('http://reg.example')
  const secure = new URL('https://reg.example')
  const facts = { op: 'list tags', registry: 'reg.example', method: 'GET', url: new URL('/v2/', clear) } as never
  const challenge = 'Bearer realm="http://thief.example/token"'
  const misled = authorizer()
  const refusal = { facts, base: clear, scopes: SCOPES, challenge, used: undefined, again: false }
  assert.equal((await misled.answer(refusal, signal))?.header, 'Bearer token')
  assert.equal(misled.knows(SCOPES, clear), true)
  assert.equal(asked.length, 1)
  for (const caller of [misled, authorizer('secret')]) {
    assert.equal(caller.knows(SCOPES, secure), false)
    assert.equal(await caller.authorize(SCOPES, secure, signal), undefined)
  }
  assert.equal(asked.length, 1, 'nobody else was shown anything')
  const another = registryWay({ place: '/v1/registries/x', proxy: 'http://thief.example:3128' })
  assert.equal(authorizer().knows(SCOPES, clear), true)
  assert.equal(authorizer('secret', another).knows(SCOPES, clear), false, 'nor is who comes another way')
})
