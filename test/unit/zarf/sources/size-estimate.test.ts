import assert from 'node:assert/strict'
import { test } from 'node:test'
import { estimateContent } from '../../../../src/zarf/sources/size-estimate.ts'

const SEEN = { sourceBytes: 1000, taken: 0, unpacked: 0, position: 0, contentBytes: 0, files: 0, expectedFiles: 2 }

test('nothing is said before anything was decompressed', () => {
  assert.equal(estimateContent(SEEN), undefined)
})

test('the rest is taken to compress as what was read', () => {
  assert.equal(estimateContent({ ...SEEN, taken: 250, unpacked: 50_000 }), 200_000 - 2 * 768)
})

test('headers are left out, by what they took so far', () => {
  const small = { ...SEEN, taken: 500, unpacked: 2560 * 50, position: 2560 * 10, contentBytes: 2048 * 10, files: 10 }
  assert.equal(estimateContent({ ...small, expectedFiles: 100 }), 2048 * 100)
})

test('it is never less than what was read', () => {
  const read = { ...SEEN, taken: 1000, unpacked: 100, contentBytes: 90, expectedFiles: 5 }
  assert.equal(estimateContent(read), 90)
})
