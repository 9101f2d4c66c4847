import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  allowsAllBelow,
  allowsSomeBelow,
  allowsBelow,
  allowsPlace,
  allowsRegistry,
  covers,
} from '../../../src/access/limits.ts'
import { isPlacePattern } from '../../../src/content/repository-pattern.ts'
import type { Principal } from '../../../src/access/principal.ts'
import { hasScope, requireScope, scopesOfJob } from '../../../src/access/scopes.ts'
import { mayChange, sees } from '../../../src/access/sight.ts'

const place = (text: string) => {
  const slash = text.indexOf('/')
  return { registry: text.slice(0, slash), repository: text.slice(slash + 1) }
}
const who = (name: string, scopes: readonly string[], limits: Principal['limits'] = {}): Principal => ({
  name,
  scopes: new Set(scopes),
  limits,
  credential: 'test',
})

describe('limits of a token', () => {
  test('what is left out limits nothing', () => {
    assert.ok(allowsPlace({}, place('ghcr.io/team/nemo')))
    assert.ok(allowsBelow({ kinds: ['pull'] }, { registry: 'ghcr.io', namespace: '' }))
  })

  test('repositories go component by component, hosts by name', () => {
    const limits = { repositories: ['ghcr.io/team/**', '*/mirror/*', 'localhost:5000/one'] }
    for (const [text, allowed] of [
      ['ghcr.io/team/nemo', true],
      ['GHCR.io/team/a/b/c', true],
      ['ghcr.io/team', false],
      ['ghcr.io/teams/nemo', false],
      ['ghcr.io.evil.example/team/nemo', false],
      ['other.example/mirror/x', true],
      ['other.example/mirror/x/y', false],
      ['localhost:5000/one', true],
      ['localhost:5001/one', false],
    ] as const)
      assert.equal(allowsPlace(limits, place(text)), allowed, text)
    assert.equal(allowsPlace({ ...limits, registries: ['ghcr.io'] }, place('other.example/mirror/x')), false)
    const hub = { registries: ['docker.io'], repositories: ['index.docker.io/team/**'] }
    assert.ok(allowsPlace(hub, place('registry-1.docker.io/team/nemo')), 'all of these are Docker Hub')
    assert.equal(allowsPlace(hub, place('docker.io.example/team/nemo')), false)
  })

  test('a publish below a namespace is let through where some name could be', () => {
    for (const [pattern, namespace, allowed] of [
      ['ghcr.io/team/nemo', 'team', true],
      ['ghcr.io/team/nemo', '', false],
      ['ghcr.io/team/nemo', 'team/nemo', false],
      ['ghcr.io/team/**', 'team', true],
      ['ghcr.io/team/**', 'team/a', true],
      ['ghcr.io/team/**', '', false],
      ['ghcr.io/*', '', true],
      ['ghcr.io/a/b/**', 'a', false],
      ['ghcr.io/**', '', true],
    ] as const) {
      const found = allowsBelow({ repositories: [pattern] }, { registry: 'ghcr.io', namespace })
      assert.equal(found, allowed, `${pattern} ${namespace}`)
    }
  })

  test('what counts for a whole place is for who has all of it, and to look at for who has some', () => {
    for (const [pattern, path, all, some] of [
      ['ghcr.io/**', '', true, true],
      ['*/**', 'team', true, true],
      ['ghcr.io/*', '', false, true],
      ['ghcr.io/team/**', '', false, true],
      ['ghcr.io/team/**', 'team', true, true],
      ['ghcr.io/team/**', 'team/a', true, true],
      ['ghcr.io/team/**', 'teams', false, false],
      ['ghcr.io/*/a/**', 'team', false, true],
      ['ghcr.io/*/a/**', 'team/a', true, true],
      ['ghcr.io/team/nemo', 'team', false, true],
      ['ghcr.io/team/nemo', 'team/nemo', false, true],
      ['ghcr.io/team/nemo', 'team/nemo/x', false, false],
      ['docker.io/**', '', false, false],
    ] as const) {
      const limits = { repositories: [pattern] }
      const place = { registry: 'ghcr.io', path }
      assert.deepEqual(
        [allowsAllBelow(limits, place), allowsSomeBelow(limits, place)],
        [all, some],
        `${pattern} ${path}`,
      )
    }
    assert.ok(allowsAllBelow({ registries: ['ghcr.io'] }, { registry: 'ghcr.io', path: '' }))
    assert.ok(
      !allowsAllBelow({ registries: ['docker.io'], repositories: ['ghcr.io/**'] }, { registry: 'ghcr.io', path: '' }),
    )
  })

  test('a registry is touched where something of it may be', () => {
    assert.ok(allowsRegistry({ repositories: ['ghcr.io/team/**'] }, 'ghcr.io'))
    assert.ok(!allowsRegistry({ repositories: ['ghcr.io/team/**'] }, 'docker.io'))
  })

  test('only what is named covers, and a name that is not known yet is covered by a pattern that takes any', () => {
    assert.ok(!covers({}, [place('ghcr.io/team/nemo')]))
    assert.ok(!covers({ kinds: ['pull'] }, [place('ghcr.io/team/nemo')]))
    assert.ok(!covers({ repositories: ['ghcr.io/team/**'] }, []))
    assert.ok(covers({ repositories: ['ghcr.io/team/*'] }, [place('ghcr.io/team/*')]))
    assert.ok(!covers({ repositories: ['ghcr.io/team/nemo'] }, [place('ghcr.io/team/*')]))
    assert.ok(!covers({ repositories: ['ghcr.io/team/**'] }, [place('ghcr.io/team/a'), place('ghcr.io/x/a')]))
  })

  test('a pattern is registry/repository', () => {
    for (const good of ['ghcr.io/**', '*/team/*', 'localhost:5000/a']) assert.ok(isPlacePattern(good), good)
    for (const bad of ['ghcr.io', '/a', 'ghcr.io/', 'ghcr.io/A', 'ghcr.io/**/a', 'ghcr.io/a*'])
      assert.ok(!isPlacePattern(bad), bad)
  })
})

describe('scopes', () => {
  test('* is all of them, and who may write may read', () => {
    assert.ok(hasScope(who('a', ['*']), 'audit:read'))
    assert.ok(hasScope(who('a', ['jobs:write']), 'jobs:read'))
    assert.ok(!hasScope(who('a', ['jobs:write']), 'jobs:cancel'))
    assert.ok(!hasScope(who('a', ['jobs:read']), 'jobs:write'))
    assert.throws(() => requireScope(who('a', ['jobs']), ['jobs:read']), { code: 'SCOPE_MISSING' })
  })

  test('a kind of job asks for what it does, and for where its source lies', () => {
    const asked = (kind: string, source: string, destination?: string) => scopesOfJob({ kind, source, destination })
    assert.deepEqual(asked('publish', 'upload:x', 'oci://a/b'), [['jobs:write'], ['uploads:write']])
    assert.deepEqual(asked('publish', 'store:sha256:x', 'oci://a/b'), [['jobs:write'], ['packages:read']])
    assert.deepEqual(asked('pull', 'oci://a/b:1'), [['jobs:write'], ['packages:write']])
    assert.deepEqual(asked('pull', 'oci://a/b:1', 'file:/x'), [['jobs:write']])
    assert.deepEqual(asked('copy', 'oci://a/b:1', 'oci://c'), [['jobs:write']])
    assert.deepEqual(asked('deploy', 'oci://a/b:1'), [['deploy']])
    assert.deepEqual(asked('delete', 'oci://a/b:1'), [['delete']])
    assert.deepEqual(asked('retention', 'oci://a/b'), [['delete']])
  })
})

test('a thing shows to its owner, to whom its repositories were given, and to system:read, who may not change it', () => {
  const thing = { owners: ['ann'], places: [place('ghcr.io/team/nemo')] }
  const all = ['jobs:read']
  for (const [caller, seen, changed] of [
    [who('ann', all), true, true],
    [who('bob', all), false, false],
    [who('bob', all, { repositories: ['ghcr.io/team/**'] }), true, true],
    [who('bob', all, { repositories: ['ghcr.io/other/**'] }), false, false],
    [who('bob', ['system:read']), true, false],
    [who('bob', ['system:admin']), true, true],
    [who('bob', ['*']), true, true],
    [who('bob', ['*'], { kinds: ['pull'] }), true, true],
    [who('bob', ['*'], { repositories: ['ghcr.io/other/**'] }), false, false],
    [who('bob', ['*'], { registries: ['other.example'] }), false, false],
    [who('bob', ['*'], { registries: ['ghcr.io'] }), true, true],
  ] as const) {
    assert.equal(sees(caller, thing), seen)
    assert.equal(mayChange(caller, thing), changed)
  }
})
