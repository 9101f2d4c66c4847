import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAhead } from '../../../src/content/read-ahead.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

test('a read ahead that fails while its consumer is busy is told when the consumer asks, not before', async () => {
  const failed = Promise.withResolvers<void>()
  const stream = readAhead({ start: 0, end: 2 * MIB, signal }, async (_buffer, position) => {
    if (position === 0) return
    setImmediate(failed.resolve)
    throw new Error('damaged')
  })
  const chunks = stream[Symbol.asyncIterator]()
  assert.equal((await chunks.next()).value?.length, MIB)
  // An unhandled rejection is told before the next turn, and fails the test.
  await failed.promise
  await assert.rejects(chunks.next(), /damaged/)
})

test('a consumer that stops early does not hear of a read ahead that failed', async () => {
  const read = readAhead({ start: 0, end: 2 * MIB, signal }, async (_buffer, position) => {
    if (position > 0) throw new Error('damaged')
  })
  for await (const chunk of read) {
    assert.equal(chunk.length, MIB)
    break
  }
})
