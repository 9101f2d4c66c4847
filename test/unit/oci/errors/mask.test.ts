import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createMask } from '../../../../src/oci/errors/mask.ts'

function hide(secrets: readonly string[], text: string, seen = '', known = ''): string {
  const mask = createMask(known)
  mask.keep(...secrets)
  return mask.hide(text, { seen })
}

const HARD = 'p@ss "w/rd+&<ö>'

const CASES: ReadonlyArray<[name: string, secret: string, text: string, expected: string]> = [
  ['as it is', 'hunter22', 'no hunter22, not "hunter22"', 'no ***, not "***"'],
  ['in another case', 'Hunter22', 'HUNTER22', '***'],
  ['in base64', 'hunter22', 'aHVudGVyMjI=, aHVudGVyMjI', '***, ***'],
  ['in a URL', HARD, `/x/${encodeURIComponent(HARD)}/y`, '/x/***/y'],
  ['in a URL in small letters', HARD, `/x/${encodeURIComponent(HARD).toLowerCase()}/y`, '/x/***/y'],
  ['in a form', HARD, new URLSearchParams({ a: HARD, b: '1' }).toString(), 'a=***&b=1'],
  ['in JSON', HARD, JSON.stringify({ a: HARD }), '{"a":"***"}'],
  ['as a header is read', HARD, Buffer.from(HARD).toString('latin1'), '***'],
  ['of which half stands there: nothing is told', 'abcdefghijklmnop', 'no abcdefghijklmn…', '***'],
  ['that goes on in another escape: nothing is told', 'abcdefghijkl&mnop', 'no abcdefghijkl&amp;mnop', '***'],
  ['with a line end that is none of it', 'hunter22\n', 'no hunter22', 'no ***'],
  [
    'escaped by two rules: nothing is told',
    HARD,
    `a ${JSON.stringify(encodeURIComponent(HARD)).replace('%', '\\u0025')}`,
    '***',
  ],
  ['escaped twice', HARD, `a ${encodeURIComponent(encodeURIComponent(HARD))}`, '***'],
  ['escaped in part', HARD, 'a p%40ss "w/rd+&<ö>', '***'],
  ['in HTML', HARD, 'a p@ss &#34;w/rd+&amp;&lt;ö&gt;', '***'],
  ['in JSON of Go', HARD, 'a p@ss \\"w/rd+\\u0026\\u003cö\\u003e', '***'],
  ['nowhere', 'hunter22', 'hunter2 is another', 'hunter2 is another'],
]

for (const [name, secret, text, expected] of CASES) {
  test(`a secret is masked ${name}`, () => assert.equal(hide([secret], text), expected))
}

test('a mask says nothing of the length', () => {
  for (const secret of ['abcd', 'a much longer one', 'x'.repeat(500)]) {
    assert.equal(hide([secret], `"${secret}" and "${Buffer.from(secret).toString('base64')}"`), '"***" and "***"')
  }
})

test('of a password of less than four characters no text is told, whether it stands there or not', () => {
  assert.equal(hide(['abc'], 'nothing of it'), '***')
  assert.equal(hide(['a'], ''), '')
})

test('a password that everybody sees in the address or as the user would be told by its mask: the whole text goes', () => {
  assert.equal(hide(['team'], 'no team here', 'registry.example/team/nemo'), '***')
  assert.equal(hide(['admin'], 'admin may not', '', 'registry.example admin'), '***')
  assert.equal(hide(['team'], 'nothing here', 'registry.example/team/nemo'), 'nothing here')
})

test('a code holds a secret, or is a short one', () => {
  const mask = createMask()
  mask.keep('hunter22', 'no')
  assert.deepEqual(
    ['x-hunter22', 'NO', 'DENIED', 'UNKNOWN'].map((word) => mask.holds(word)),
    [true, true, false, false],
  )
})

test('one of two tokens that begin alike is masked, and so is a password that lies in another', () => {
  const [one, two] = ['eyJhbGciOiJFUzI1NiJ9.one', 'eyJhbGciOiJFUzI1NiJ9.two']
  assert.equal(hide([one, two], `no ${two} here`), 'no *** here')
  assert.equal(hide(['hunter22', 'a hunter22 b'], 'no a hunter22 b, hunter22'), 'no ***, ***')
})

test('the sixteen newest tokens are known, what is kept always', () => {
  const mask = createMask()
  mask.keep('hunter22')
  for (let at = 10; at < 30; at += 1) mask.add(`token-${at}`)
  mask.add('token-14')
  assert.equal(mask.hide('hunter22 token-13 token-14 token-15 token-29'), '*** token-13 *** *** ***')
})

test('no form of any secret stays in any text', () => {
  const secret = fc.string({ unit: 'binary', minLength: 4, maxLength: 40 })
  const forms: ReadonlyArray<(text: string) => string> = [
    (text) => text,
    (text) => JSON.stringify(text).slice(1, -1),
    (text) => encodeURIComponent(text.toWellFormed()),
    (text) => Buffer.from(text).toString('base64'),
    (text) => Buffer.from(text).toString('base64url'),
  ]
  fc.assert(
    fc.property(secret, fc.nat(forms.length - 1), fc.lorem(), fc.lorem(), (password, which, before, after) => {
      const shown = forms[which]?.(password) ?? ''
      fc.pre(!`${before}  ${after}***`.includes(shown))
      const told = hide([password], `${before} ${shown} ${after}`)
      assert.ok(!told.includes(shown), told)
    }),
  )
})
