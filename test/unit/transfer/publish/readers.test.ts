import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxReaders, wantsAnotherReader } from '../../../../src/transfer/publish/readers.ts'

const waiting = { readers: 1, maxReaders: 6, sinkWait: 0.9, idle: 0.8, unclaimed: 10 }

test('another reader joins only while the wire is the limit', () => {
  assert.equal(wantsAnotherReader(waiting), true)
  assert.equal(wantsAnotherReader({ ...waiting, sinkWait: 0.3 }), false, 'the decoder is the limit')
  assert.equal(wantsAnotherReader({ ...waiting, idle: 0.1 }), false, 'no processor is free')
  assert.equal(wantsAnotherReader({ ...waiting, unclaimed: 0 }), false, 'nothing is left')
  assert.equal(wantsAnotherReader({ ...waiting, readers: 6 }), false, 'there are enough')
})

test('readers times decoder window stay under 64 MiB', () => {
  const mib = 1024 * 1024
  assert.equal(maxReaders(6, 8 * mib), 6)
  assert.equal(maxReaders(32, 8 * mib), 8)
  assert.equal(maxReaders(6, 128 * mib), 1)
})
