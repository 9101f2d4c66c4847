import assert from 'node:assert/strict'
import { test } from 'node:test'
import { covers } from '../../../../src/oci/auth/scope.ts'
import { createTokenCache, type TokenKey } from '../../../../src/oci/auth/token-cache.ts'
import { ANYWHERE, Outbound } from '../../../../src/oci/request/outbound.ts'
import { COMMON_WAY, registryWay } from '../../../../src/oci/request/registry-way.ts'
import { createStepClock } from '../../../helpers/step-clock.ts'

const { signal } = new AbortController()
const base = new URL('https://reg.example')
const reach = new Outbound(ANYWHERE).own('reg.example')
const PULL = ['repository:a/b:pull']
const PUSH = ['repository:a/b:pull,push']

const ANN: TokenKey = {
  registry: 'reg.example',
  base: base.origin,
  way: COMMON_WAY,
  realm: base.href,
  service: 'reg',
  credential: { kind: 'basic', username: 'ann', password: 'pw' },
  scopes: PUSH,
  reach,
}

function start() {
  const asked: TokenKey[] = []
  const clock = createStepClock()
  const cache = createTokenCache(clock, async (key) => {
    asked.push(key)
    return { value: `token-${asked.length}`, lifetimeMs: 300_000 }
  })
  const get = (key: TokenKey, refused?: string) => cache.get(key, { refused, signal })
  return { asked, clock, get }
}

test('a token for more serves for less once something was written with it', async () => {
  const { asked, get } = start()
  const push = await get(ANN)
  const own = await get({ ...ANN, scopes: ['repository:a/b:push'] })
  assert.notEqual(own, push, 'as long as nobody knows what it gives')
  push.proven = true
  assert.equal(await get({ ...ANN, scopes: PULL }), push)
  assert.equal(asked.length, 2)
})

for (const [what, other] of [
  ['another credential', { credential: { kind: 'basic', username: 'bob', password: 'pw' } }],
  ['no credential', { credential: undefined }],
  ['another token service', { realm: 'https://other.example/' }],
  ['another registry', { registry: 'other.example' }],
  ['another way to it', { way: registryWay({ place: '/v1/registries/x', ca: 'another' }) }],
  ['another repository', { scopes: ['repository:a/c:pull'] }],
  ['more than it was asked for', { scopes: ['repository:a/b:delete,pull'] }],
] as const) {
  test(`a token for more does not serve for ${what}`, async () => {
    const { asked, get } = start()
    const push = await get(ANN)
    push.proven = true
    assert.notEqual(await get({ ...ANN, scopes: PULL, ...other }), push)
    assert.equal(asked.length, 2)
  })
}

test('a token for more that is refused, or about to run out, serves for less no longer', async () => {
  const { asked, clock, get } = start()
  const push = await get(ANN)
  push.proven = true
  const pull = { ...ANN, scopes: PULL }
  assert.equal(await get(pull), push)
  const own = await get(pull, push.value)
  assert.notEqual(own, push)
  assert.equal(await get(pull), own, 'its own is kept')
  clock.advance(250_000)
  assert.notEqual(await get(pull), push)
  assert.deepEqual(
    asked.map(({ scopes }) => scopes),
    [PUSH, PULL, PULL],
  )
})

for (const [held, wanted, expected] of [
  [PUSH, PULL, true],
  [PUSH, PUSH, true],
  [['repository:a/b:push,pull'], PUSH, true],
  [PULL, PUSH, false],
  [[...PUSH, 'repository:c:pull'], PULL, true],
  [[...PUSH, 'repository:c:pull'], ['repository:c:pull'], false],
  [PUSH, [...PULL, '*'], false],
  [[...PUSH, '*'], [...PULL, '*'], true],
  [PUSH, [], false],
  [[], PULL, false],
] as const) {
  test(`${held.join(' ') || 'nothing'} ${expected ? 'covers' : 'does not cover'} ${wanted.join(' ') || 'nothing'}`, () => {
    assert.equal(covers(held, wanted), expected)
  })
}
