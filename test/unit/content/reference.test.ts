import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  formatReference,
  parseDestination,
  parseReference,
  parseTag,
  repositoryFor,
} from '../../../src/content/reference.ts'
import { AppError } from '../../../src/lib/errors.ts'

const SHA = `sha256:${'a'.repeat(64)}`

const good: ReadonlyArray<[string, object]> = [
  ['oci://registry.example/team/nemo:1.2.0', { registry: 'registry.example', repository: 'team/nemo', tag: '1.2.0' }],
  ['OCI://registry.example/nemo', { registry: 'registry.example', repository: 'nemo' }],
  ['oci://registry/team/nemo:1', { registry: 'registry', repository: 'team/nemo', tag: '1' }],
  ['registry.example/nemo', { registry: 'registry.example', repository: 'nemo' }],
  ['localhost/nemo:a', { registry: 'localhost', repository: 'nemo', tag: 'a' }],
  ['oci://127.0.0.1:5000/a/b/c:1', { registry: '127.0.0.1:5000', repository: 'a/b/c', tag: '1' }],
  ['oci://[::1]:5000/a:1', { registry: '[::1]:5000', repository: 'a', tag: '1' }],
  ['oci://Registry.Example/a:1', { registry: 'registry.example', repository: 'a', tag: '1' }],
  [`oci://r.io/a@${SHA}`, { registry: 'r.io', repository: 'a', digest: SHA }],
  [`oci://r.io/a:t@${SHA}`, { registry: 'r.io', repository: 'a', tag: 't', digest: SHA }],
  ['oci://r.io/a--b__c.d_e:_', { registry: 'r.io', repository: 'a--b__c.d_e', tag: '_' }],
]

for (const [text, expected] of good) {
  test(`parses ${text}`, () => {
    assert.deepEqual(parseReference(text), expected)
  })
}

const bad = [
  '',
  'nemo',
  'oci://',
  'oci://registry.example',
  'oci://registry.example/',
  'oci://registry.example/Team/nemo',
  'oci://registry.example/team//nemo',
  'oci://registry.example/team/nemo:',
  'oci://registry.example/team/nemo:a+b',
  `oci://registry.example/team/nemo:${'a'.repeat(129)}`,
  'oci://registry.example/nemo@sha256:abc',
  'oci://registry.example/../nemo',
  'oci://user:pass@registry.example/nemo',
  'https://registry.example/nemo',
  'oci://registry example/nemo',
  'team/nemo:1',
  `oci://registry.example/${'a/'.repeat(130)}b`,
  'oci://registry.example:/nemo',
  'oci://registry.example:0/nemo',
  'oci://registry.example:65536/nemo',
]

for (const text of bad) {
  test(`refuses "${text.slice(0, 60)}" with REFERENCE_INVALID`, () => {
    assert.throws(() => parseReference(text), { name: 'AppError', code: 'REFERENCE_INVALID' })
  })
}

test('an internationalised host is refused with the form that works', () => {
  const refusal = { code: 'REFERENCE_INVALID', hint: 'Write the host as the DNS knows it: xn--bcher-kva.example:5000.' }
  assert.throws(() => parseReference('oci://bücher.example:5000/a:1'), refusal)
  assert.equal(parseReference('oci://xn--bcher-kva.example:5000/a:1').registry, 'xn--bcher-kva.example:5000')
  assert.throws(() => parseReference('oci://a b/c:1'), { hint: /looks like/ })
})

test('a destination is a registry and an optional namespace', () => {
  assert.deepEqual(parseDestination('oci://r.io'), { registry: 'r.io', namespace: '' })
  assert.deepEqual(parseDestination('oci://r.io/'), { registry: 'r.io', namespace: '' })
  assert.deepEqual(parseDestination('r.io:80/a/b/'), { registry: 'r.io:80', namespace: 'a/b' })
  for (const text of ['oci://r.io/a:1', `oci://r.io/a@${SHA}`, 'oci://r.io/A']) {
    assert.throws(() => parseDestination(text), { code: 'REFERENCE_INVALID' })
  }
})

test('the repository is the namespace and the name', () => {
  assert.equal(repositoryFor({ registry: 'r.io', namespace: '' }, 'nemo'), 'nemo')
  assert.equal(repositoryFor({ registry: 'r.io', namespace: 'a/b' }, 'nemo'), 'a/b/nemo')
  assert.throws(() => repositoryFor({ registry: 'r.io', namespace: 'a' }, 'Nemo'), { code: 'REFERENCE_INVALID' })
})

test('a tag with a plus is refused and the error says what helps', () => {
  assert.throws(
    () => parseTag('1.0.0+build'),
    (error: unknown) =>
      error instanceof AppError && error.code === 'TAG_INVALID' && /options\.tag/.test(error.hint ?? ''),
  )
})

test('what parses is written back and parses to the same', () => {
  const component = fc.stringMatching(/^[a-z0-9]+([._-][a-z0-9]+)?$/)
  fc.assert(
    fc.property(
      fc.array(component, { minLength: 1, maxLength: 4 }),
      fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
      (path, tag) => {
        const text = `oci://registry.example:5000/${path.join('/')}${tag === undefined ? '' : `:${tag}`}`
        const parsed = parseReference(text)
        assert.equal(formatReference(parsed), text)
        assert.deepEqual(parseReference(formatReference(parsed)), parsed)
      },
    ),
  )
})

test('no text makes the parser throw anything but its own error', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      try {
        parseReference(text)
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'REFERENCE_INVALID', String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
