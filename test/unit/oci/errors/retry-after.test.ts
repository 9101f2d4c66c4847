import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseRetryAfter } from '../../../../src/oci/errors/retry-after.ts'

const now = Date.parse('2026-03-01T12:00:00Z')

const CASES: ReadonlyArray<[value: string | undefined, expected: number | undefined]> = [
  [undefined, undefined],
  ['', undefined],
  ['0', 0],
  ['120', 120_000],
  [' 2.5 ', 2500],
  ['-5', undefined],
  ['soon', undefined],
  ['99999999999999999999', Number.MAX_SAFE_INTEGER],
  ['Sun, 01 Mar 2026 12:00:30 GMT', 30_000],
  ['Sunday, 01-Mar-26 12:00:30 GMT', 30_000],
  ['Sun Mar  1 12:00:30 2026 GMT', 30_000],
  ['Sun, 01 Mar 2026 11:00:00 GMT', 0],
  ['2026', 2_026_000],
  ['2026-03-01', undefined],
]

for (const [value, expected] of CASES) {
  test(`Retry-After ${JSON.stringify(value)} is ${expected} ms`, () =>
    assert.equal(parseRetryAfter(value, now), expected))
}

test('Retry-After is never negative, whatever comes', () => {
  fc.assert(fc.property(fc.string(), (value) => (parseRetryAfter(value, now) ?? 0) >= 0))
})
