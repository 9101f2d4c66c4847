import assert from 'node:assert/strict'
import { test } from 'node:test'
import { includes, requireIncluded } from '../../../src/access/grants.ts'
import type { Limits } from '../../../src/access/limits.ts'

const of = (scopes: string, limits: Limits = {}) => ({ name: 'ada', scopes: new Set(scopes.split(' ')), limits })

test('nobody gives scopes that they do not have', () => {
  const cases: Array<[string, string, boolean]> = [
    ['*', '*', true],
    ['*', 'jobs:read deploy', true],
    ['*', 'no:such', true],
    ['jobs:read', 'no:such', false],
    ['old', 'old', true],
    ['jobs:write', 'jobs:read', true],
    ['jobs:read', 'jobs:write', false],
    ['jobs:read packages:read', 'packages:read', true],
    ['jobs:read', 'packages:read', false],
    ['system:admin tokens:admin', '*', false],
  ]
  for (const [own, given, may] of cases) assert.equal(includes(of(own), of(given)), may, `${own} gives ${given}`)
  assert.throws(() => requireIncluded(of('jobs:read'), of('*')), { code: 'SCOPE_MISSING', details: { scope: '*' } })
})

test('who is limited gives what lies inside, and leaves no limit out', () => {
  const repositories = ['r.example/team/**', '*/common/*']
  const cases: Array<[Limits, Limits, boolean]> = [
    [{ kinds: ['pull', 'copy'] }, { kinds: ['pull'] }, true],
    [{ kinds: ['pull'] }, { kinds: ['pull', 'copy'] }, false],
    [{ kinds: ['pull'] }, {}, false],
    [{ registries: ['r.example'] }, { registries: ['R.example'] }, true],
    [{ registries: ['r.example'] }, { registries: ['r.example', 's.example'] }, false],
    [{ registries: ['r.example'] }, { repositories: ['r.example/a'] }, false],
    [{ registries: ['r.example'] }, { registries: ['r.example'], repositories: ['s.example/a'] }, true],
    [{ repositories }, { repositories }, true],
    [{ repositories }, { repositories: ['*/common/*'] }, true],
    [{ repositories }, { repositories: ['r.example/team/a/b', 's.example/common/a'] }, true],
    [{ repositories }, { repositories: ['r.example/team'] }, false],
    [{ repositories }, { repositories: ['s.example/common/a/b'] }, false],
    // Inside, and yet not one of those that are looked at: patterns are compared as they stand.
    [{ repositories }, { repositories: ['r.example/team/*'] }, false],
    [{ repositories }, { repositories: ['*/team/a'] }, false],
    [{ repositories }, {}, false],
    [{ repositories: [] }, { repositories: ['r.example/a'] }, false],
  ]
  for (const [own, given, may] of cases) {
    assert.equal(includes(of('*', own), of('*', given)), may, JSON.stringify([own, given]))
  }
  assert.throws(() => requireIncluded(of('*', { kinds: ['pull'] }), of('*')), { code: 'TOKEN_LIMITED' })
})

test('repositories show what others do there: who was given none, and does not see all, gives none', () => {
  const given: Limits[] = [{ repositories: ['*/**'] }, { registries: ['r.example'] }]
  for (const limits of given) {
    assert.equal(includes(of('jobs:read system:read'), of('jobs:read', limits)), false)
    assert.equal(includes(of('jobs:read', { kinds: ['pull'] }), of('jobs:read', { ...limits, kinds: ['pull'] })), false)
    assert.equal(includes(of('jobs:read system:admin'), of('jobs:read', limits)), true)
    assert.equal(includes(of('jobs:read', limits), of('jobs:read', limits)), true)
  }
  assert.equal(includes(of('jobs:read'), of('jobs:read', { kinds: ['pull'] })), true)
})
