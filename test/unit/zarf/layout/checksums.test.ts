import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isAppError } from '../../../../src/lib/errors.ts'
import { checksumMismatch, parseChecksums } from '../../../../src/zarf/layout/checksums.ts'
import { digestOf } from '../../../../src/content/digest.ts'

const HEX = 'a'.repeat(64)

test('a package without files has a checksums.txt of one line feed', () => {
  assert.equal(parseChecksums(Buffer.from('\n')).size, 0)
})

for (const [name, text] of Object.entries({
  'no path': `${HEX}\n`,
  'two spaces': `${HEX}  a\n`,
  'a path with a space': `${HEX} a b\n`,
  'a short digest': `${HEX.slice(1)} a\n`,
  'an upper-case digest': `${HEX.toUpperCase()} a\n`,
  'a tab': `${HEX}\ta\n`,
  'a path twice': `${HEX} a\n${HEX} ./a\n`,
  'zarf.yaml itself': `${HEX} zarf.yaml\n`,
  'a signature': `${HEX} zarf.bundle.sig\n`,
})) {
  test(`${name} is refused, naming the line`, () => {
    assert.throws(() => parseChecksums(Buffer.from(text)), {
      code: 'PACKAGE_INVALID',
      message: /^line [12] of checksums/,
    })
  })
}

for (const path of [
  '../a',
  '/a',
  'a/../../b',
  'a\\b',
  'a//b',
  'a/./b',
  'a\0b',
  'a\u001bb',
  'a\u009bb',
  'a\u202eb',
  'a\u2028b',
]) {
  test(`the path ${JSON.stringify(path)} is unsafe`, () => {
    assert.throws(() => parseChecksums(Buffer.from(`${HEX} ${path}\n`)), { code: 'PACKAGE_UNSAFE_PATH' })
  })
}

test('any list of files is read back; the order of lines does not matter', () => {
  const path = fc
    .stringMatching(/^[a-zé😀0-9._-]{1,8}(\/[a-z0-9_-]{1,8}){0,3}$/u)
    .filter((text) => !/(^|\/)\.\.?($|\/)/.test(text))
  fc.assert(
    fc.property(fc.uniqueArray(path), (paths) => {
      const lines = paths.map((path) => ({ path, text: `${digestOf(path).slice(7)} ${path}` }))
      const parsed = parseChecksums(
        Buffer.from(
          `${lines
            .map(({ text }) => text)
            .toSorted()
            .join('\n')}\n`,
        ),
      )
      assert.deepEqual(parsed, new Map(lines.map(({ path }) => [path, digestOf(path)])))
    }),
  )
})

test('whatever bytes come, the answer is a list or a named error', () => {
  const line = fc.oneof(fc.string(), fc.constant(`${HEX} `), fc.constant(HEX), fc.constant('\n'), fc.constant('../'))
  fc.assert(
    fc.property(fc.array(line), (parts) => {
      try {
        for (const path of parseChecksums(Buffer.from(parts.join(''))).keys())
          assert.doesNotMatch(path, /(^|\/)\.\.($|\/)|^\//)
      } catch (error) {
        assert.ok(isAppError(error) && error.code.startsWith('PACKAGE_'))
      }
    }),
  )
})

test('a mismatch names the file and both digests', () => {
  const error = checksumMismatch('components/a.tar', digestOf('a')).mismatch?.('b'.repeat(64))
  assert.equal(error?.code, 'PACKAGE_CHECKSUM_MISMATCH')
  assert.match(error.message, /^components\/a\.tar has the sha256 b{64}; checksums\.txt says ca978112/)
})

test('as many files as no manifest could name are refused; so are millions of lines, empty as they are', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, at) => `${HEX} f${at}\n`).join('')
  assert.equal(parseChecksums(Buffer.from(lines(25_000))).size, 25_000)
  assert.throws(() => parseChecksums(Buffer.from(lines(25_001))), {
    code: 'PACKAGE_TOO_LARGE',
    message: /has more than 25000 files/,
  })
  assert.equal(parseChecksums(Buffer.from(`${'\n'.repeat(999_000)}${HEX} a`)).size, 1)
  assert.throws(() => parseChecksums(Buffer.from(`${'\n'.repeat(2 ** 20)}${HEX} a`)), {
    code: 'PACKAGE_TOO_LARGE',
    message: /has more than 1000000 lines/,
  })
  assert.throws(() => parseChecksums(Buffer.from(`\n\n${HEX} a\nx`)), { message: /^line 4 of/ })
})
