import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobPackage } from '../../../../src/jobs/model/job-package.ts'

test('what a package says of itself is told as bounded text', () => {
  const identity = { name: 'nemo', version: undefined, flavor: undefined, architecture: 'amd64' }
  assert.deepEqual(jobPackage(identity), { name: 'nemo', version: null, flavor: null, architecture: 'amd64' })
  const long = '😀'.repeat(500)
  const hostile = { name: `x${long}`, version: 'a\u001b[31m\r\nb\u202ec', flavor: '<b>"', architecture: '\ud800' }
  const told = jobPackage(hostile)
  assert.equal(told.name.length, 256)
  assert.ok(told.name.isWellFormed(), 'no half of a character')
  assert.deepEqual([told.version, told.flavor, told.architecture], ['a [31m b c', '<b>"', '\ufffd'])
})
