import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { parseSecretKeys } from '../../../src/daemon/secret-keys.ts'

const [A = '', B = '', C = ''] = [1, 2, 3].map(() => randomBytes(32).toString('base64'))
const FILE = '/keys/secret.key'
const read = (content: string) => parseSecretKeys(content, FILE).map((key) => key.toString('base64'))

test('a file holds keys one a line, the first one before the others; notes and empty lines are none', () => {
  assert.deepEqual(read(A), [A])
  assert.deepEqual(read(`${A}\n`), [A])
  assert.deepEqual(read(`# of May\n${B}\r\n\n  ${A}  \n# the end`), [B, A])
  assert.deepEqual(read(A.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')), [A])
})

for (const [what, content, told] of [
  ['a short line', `${A}\nc2hvcnQ=\n`, /secret\.key, line 2, does not hold 32 bytes as base64$/],
  ['a long line', `# note\n${A}${B}`, /line 2, does not hold 32 bytes/],
  ['what is no base64', `${A}\n${B.slice(0, -2)}$=`, /line 2, does not hold 32 bytes/],
  ['one key twice', `${A}\n\n${B}\n${A}`, /line 4, is the key of line 1 again$/],
  [
    'a key written in another way',
    `${A}\n${A.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}`,
    /line 2, is the key of line 1/,
  ],
  ['no key', '\n# none\n', /secret\.key does not hold 32 bytes/],
  [
    'too many keys',
    Array.from({ length: 17 }, () => randomBytes(32).toString('base64')).join('\n'),
    /line 17, is one key too many: 16/,
  ],
] as const) {
  test(`${what} is refused by file and line, and not repeated`, () => {
    assert.throws(
      () => read(content),
      (error: Error & { code: string; hint: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.match(error.message, told)
        for (const line of content.split('\n').filter((one) => one.length > 8)) assert.ok(!error.message.includes(line))
        assert.match(error.hint, /newest first/)
        return true
      },
    )
  })
}

test('a file of a million lines is refused at its first wrong one', () => {
  assert.throws(() => read('x\n'.repeat(1_000_000)), /line 1, does not hold/)
  assert.deepEqual(read(`${'\n'.repeat(1_000_000)}${C}`), [C])
})
