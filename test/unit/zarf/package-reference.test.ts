import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packageTag } from '../../../src/zarf/package-reference.ts'

const identity = { name: 'nemo', version: '1.2.0', flavor: undefined, architecture: 'amd64' }

test('the tag is the version, with the flavor behind it', () => {
  assert.equal(packageTag(identity), '1.2.0')
  assert.equal(packageTag({ ...identity, flavor: 'iron' }), '1.2.0-iron')
})

test('an override replaces all of it', () => {
  assert.equal(packageTag({ ...identity, flavor: 'iron' }, 'latest'), 'latest')
  assert.throws(() => packageTag(identity, 'not a tag'), { code: 'TAG_INVALID' })
})

test('a version is needed, even with an override', () => {
  for (const version of [undefined, '']) {
    assert.throws(() => packageTag({ ...identity, version }), { code: 'PACKAGE_VERSION_MISSING' })
    assert.throws(() => packageTag({ ...identity, version }, 'latest'), { code: 'PACKAGE_VERSION_MISSING' })
  }
})

test('a + in the version is no tag; the error says how to choose one', () => {
  assert.throws(() => packageTag({ ...identity, version: '1.0.0+build.5' }), {
    code: 'TAG_INVALID',
    message: /a tag holds no \+/,
    hint: /options\.tag.*"1\.0\.0_build\.5"/,
  })
  assert.equal(packageTag({ ...identity, version: '1.0.0+build.5' }, '1.0.0'), '1.0.0')
})
