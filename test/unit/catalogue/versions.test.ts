import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareVersions, isNewer, isPrerelease, parseVersion } from '../../../src/catalogue/versions.ts'

test('versions are put in order by SemVer, and what has none comes after them', () => {
  const sorted = [
    '2.0.0',
    'v1.10.0',
    '1.9',
    '2.0.0-rc.2',
    '2.0.0-rc.10',
    '2',
    'latest',
    'build-9',
    'build-10',
    '1.2.3+b',
    '1.2.3+a',
  ]
  assert.deepEqual(sorted.toSorted(compareVersions), [
    '2.0.0',
    '2',
    '2.0.0-rc.10',
    '2.0.0-rc.2',
    'v1.10.0',
    '1.9',
    '1.2.3+b',
    '1.2.3+a',
    'latest',
    'build-10',
    'build-9',
  ])
  for (const one of sorted) assert.equal(compareVersions(one, one), 0)
})

test('what is newer is told by precedence, pre-releases as asked', () => {
  const than = (text: string, prereleases = false) => {
    const version = parseVersion(text)
    assert.ok(version)
    return { than: version, prereleases }
  }
  assert.equal(isNewer('1.2.1', than('1.2')), true)
  assert.equal(isNewer('v1.2.0', than('1.2.0')), false)
  assert.equal(isNewer('1.2.0+build', than('1.2.0')), false)
  assert.equal(isNewer('1.3.0-rc.1', than('1.2.0')), false)
  assert.equal(isNewer('1.3.0-rc.1', than('1.2.0', true)), true)
  assert.equal(isNewer('1.2.0', than('1.2.0-rc.1')), true)
  assert.equal(isNewer('nightly', than('1.2.0', true)), false)
  assert.equal(isPrerelease('1.2.3-uds.0'), true)
  assert.equal(isPrerelease('1.2.3'), false)
})

test('what is no version has no order, however long it is', () => {
  const bad = [
    '',
    'latest',
    '1.2.3.4',
    '01.2.3',
    `1.${'9'.repeat(400)}.0`,
    `1.0.0-${'a.'.repeat(100_000)}b`,
    '-1',
    '1..2',
  ]
  for (const text of bad) assert.equal(parseVersion(text), undefined, text.slice(0, 20))
})
