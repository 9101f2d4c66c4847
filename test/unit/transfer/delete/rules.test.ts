import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../../src/content/digest.ts'
import { judge, type RetentionRule, ruleOfEach, takesAll } from '../../../../src/transfer/delete/rules.ts'
import { compareVersions, versionOf } from '../../../../src/transfer/delete/versions.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 5, 30)
const digest = digestOf(Buffer.from('x'))
const goes = (rule: RetentionRule, tags: Record<string, number | undefined>): string[] => {
  const candidates = Object.entries(tags).map(([tag, days]) => ({
    tag,
    digest,
    created: days === undefined ? undefined : NOW - days * DAY,
  }))
  return [...judge(rule, candidates, NOW).going.keys()]
}
const undated = (...tags: string[]) => Object.fromEntries(tags.map((tag) => [tag, undefined]))

test('versions are compared as semver has it, numbers as numbers, releases after what comes before them', () => {
  const sorted = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    'v1.0.1',
    '1.2',
    '1.10.0',
    '2',
  ]
  const read = sorted.map((tag) => versionOf(tag))
  for (const [at, one] of read.entries()) {
    for (const [place, other] of read.entries()) {
      assert.ok(one && other)
      assert.equal(Math.sign(compareVersions(one, other)), Math.sign(at - place), `${sorted[at]} and ${sorted[place]}`)
    }
  }
  for (const none of ['latest', 'nightly-1', '1.2.3.4', 'v', '1.x']) assert.equal(versionOf(none), undefined, none)
  assert.deepEqual(versionOf('1.2.3_build.7'), versionOf('1.2.3'))
})

test('the newest stay, by version or by when they were made; what cannot be told stays', () => {
  assert.deepEqual(goes({ tags: ['*'], keepNewest: 2 }, undated('1.9.0', '1.10.0', '1.2.0', 'latest')), ['1.2.0'])
  assert.deepEqual(goes({ tags: ['*'], keepNewest: 1 }, undated('1.0.0-rc.1', '1.0.0')), ['1.0.0-rc.1'])
  const byAge = { tags: ['*'], keepNewest: 1, newestBy: 'created' } as const
  assert.deepEqual(goes(byAge, { '9.0.0': 5, '1.0.0': 1, '2.0.0': undefined }), ['9.0.0'])
})

test('age alone, and age beside a number: what either keeps stays', () => {
  assert.deepEqual(goes({ tags: ['*'], olderThanDays: 30 }, { a: 31, b: 29, c: undefined }), ['a'])
  const both = { tags: ['*'], keepNewest: 1, olderThanDays: 30 } as const
  assert.deepEqual(goes(both, { '1.0.0': 90, '1.1.0': 10, '1.2.0': 60 }), ['1.0.0'])
  assert.deepEqual(goes({ tags: ['*'] }, undated('a', 'b')), ['a', 'b'])
})

test('the first rule that matches judges a tag, and what any rule excepts stays', () => {
  const rules = [{ tags: ['nightly-*'] }, { tags: ['*-lts', '1.*'], except: ['1.5*', 'nightly-keep'] }]
  const found = ruleOfEach(['nightly-1', '1.4.0', '1.5.1', '2.0.0', '1.0-lts'], rules)
  assert.deepEqual(
    [...found].map(([tag, rule]) => [tag, rules.indexOf(rule as (typeof rules)[number])]),
    [
      ['nightly-1', 0],
      ['1.4.0', 1],
      ['1.0-lts', 1],
    ],
  )
  const stays = ruleOfEach(['1.5.1'], [{ tags: ['1.*'] }, { tags: ['1.5.*'], except: ['1.5.1'] }])
  assert.deepEqual([...stays.keys()], [])
})

test('a pattern that takes any tag is known', () => {
  assert.deepEqual(['*', '**', '*?', '?*'].map(takesAll), [true, true, true, true])
  assert.deepEqual(['', '?', '??*', 'v*', '*-*', '[a-z]*'].map(takesAll), [false, false, false, false, false, false])
})
