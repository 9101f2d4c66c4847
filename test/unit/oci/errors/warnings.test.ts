import assert from 'node:assert/strict'
import { test } from 'node:test'
import { warningTexts } from '../../../../src/oci/errors/warnings.ts'

const CASES: ReadonlyArray<readonly [header: string, texts: readonly string[]]> = [
  ['299 - "Your token will expire in 30 seconds."', ['Your token will expire in 30 seconds.']],
  [' 299 - "a, \\"b\\" and \\\\"', ['a, "b" and \\']],
  [
    '299 - "one", 299 registry.example:5000 "two" "Wed, 21 Oct 2026 07:28:00 GMT",299 - "three"',
    ['one', 'two', 'three'],
  ],
  ['110 - "Response is Stale", 299 - "news", 199 - "299 - \\"no\\""', ['news']],
  ['299 - "cut off', ['cut off']],
  ['299 - "ends in \\', ['ends in ']],
  ['299 - ""', ['']],
  ['299 - no quotes', []],
  ['299', []],
  ['', []],
  [Buffer.from('299 - "läuft ab"').toString('latin1'), ['läuft ab']],
  ['299 - "l\u00e4uft ab"', ['läuft ab']],
]

for (const [header, texts] of CASES) {
  test(`Warning: ${header}`, () => {
    assert.deepEqual(warningTexts(header), texts)
  })
}
