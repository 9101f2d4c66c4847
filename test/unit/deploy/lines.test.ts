import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLines, LINE_CHARACTERS } from '../../../src/deploy/lines.ts'
import { createMask } from '../../../src/deploy/mask.ts'

/** The lines of a text that comes in pieces of so many bytes. */
function linesOf(text: string, bytes: number, secrets: string[] = []): string[] {
  const found: string[] = []
  const lines = createLines(createMask(secrets), (line) => found.push(line))
  const all = Buffer.from(text)
  for (let at = 0; at < all.length; at += bytes) lines.push(all.subarray(at, at + bytes))
  lines.end()
  return found
}

test('lines are the same however they come', () => {
  const text = 'one\r\ntwö €\n\nthree'
  for (const bytes of [1, 2, 3, 5, 100]) assert.deepEqual(linesOf(text, bytes), ['one', 'twö €', 'three'])
})

test('a long line is cut, and takes no memory', () => {
  const [line = '', next] = linesOf(`${'x'.repeat(1_000_000)}\nnext\n`, 65_536)
  assert.equal(line.length, LINE_CHARACTERS + 1)
  assert.equal(next, 'next')
})

test('a secret is masked in each of its forms, wherever a line comes in pieces or is cut', () => {
  const secret = `pa$$ "w<o>rd" 'ü'`
  const forms = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    Buffer.from(secret).toString('base64'),
    encodeURIComponent(secret),
    String.raw`pa$$ \"w\u003co\u003erd\" 'ü'`,
  ]
  for (const form of forms) {
    assert.deepEqual(linesOf(`a ${form} b\n`, 1, [secret]), ['a *** b'])
    for (const before of [LINE_CHARACTERS - 1, LINE_CHARACTERS - 10, LINE_CHARACTERS]) {
      const [line = ''] = linesOf(`${'x'.repeat(before)}${form}${form}\n`, 4096, [secret])
      assert.match(line, /^x+(?:\*+)?(?:x+)?…?$/)
    }
  }
})

test('of a secret with several lines each line is masked, and the shorter of two that are alike', () => {
  const key = '-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n'
  assert.deepEqual(linesOf(key, 100, [key]), ['***', '***', '***', '***'])
  assert.deepEqual(linesOf('secret secretly\n', 100, ['secret', 'secretly']), ['*** ***'])
  assert.deepEqual(linesOf('$& $1 x\n', 100, ['x']), ['$& $1 ***'])
})
