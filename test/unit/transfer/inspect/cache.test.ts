import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWeighedCache } from '../../../../src/transfer/inspect/cache.ts'

test('what was used last stays, up to so many bytes', () => {
  const cache = createWeighedCache<string>(10)
  for (const key of ['a', 'b', 'c']) cache.set(key, key, 3)
  assert.equal(cache.get('a'), 'a')
  cache.set('d', 'd', 3)
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((key) => cache.get(key)),
    ['a', undefined, 'c', 'd'],
  )
  assert.equal(cache.bytes, 9)
  cache.set('a', 'A', 4)
  assert.deepEqual([cache.get('a'), cache.bytes], ['A', 10])
})

test('what alone would take more than half is not kept, and what it was before is gone', () => {
  const cache = createWeighedCache<string>(10)
  cache.set('a', 'small', 1)
  cache.set('b', 'b', 5)
  cache.set('a', 'large', 6)
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.bytes], [undefined, 'b', 5])
})
