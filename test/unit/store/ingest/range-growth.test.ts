import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RANGE_TUNING, RangeGrowth } from '../../../../src/store/ingest/range-growth.ts'

const MIB = 1024 * 1024

/** Steps of half a second; `mibPerSecond` by the number of streams, a tenth of it from `slowAfter` ms on. Returns how many there were at the end, and most. */
function grow(mibPerSecond: readonly number[], places = 9, slowAfter = Infinity): { streams: number; most: number } {
  const growth = new RangeGrowth(RANGE_TUNING)
  let streams = 1
  let bytes = 0
  for (let now = 0; now < 60_000; now += 500) {
    if (growth.isTime(now, bytes, streams) && streams < places) streams += 1
    streams = Math.min(streams, growth.most)
    bytes += ((mibPerSecond[streams - 1] ?? 0) * MIB) / (now < slowAfter ? 2 : 20)
  }
  return { streams, most: growth.most }
}

test('streams are added as long as each makes it faster, up to four', () => {
  assert.deepEqual(grow([10, 20, 30, 40, 50]), { streams: 4, most: 4 })
  assert.deepEqual(grow([10, 20, 21, 22]), { streams: 2, most: 2 })
  assert.deepEqual(grow([10, 10]), { streams: 1, most: 1 })
})

test('a stream that is fast enough stays alone', () => {
  assert.deepEqual(grow([300, 600]), { streams: 1, most: 4 })
})

test('a link that gets slower keeps its streams', () => {
  assert.deepEqual(grow([10, 20, 30, 40], 9, 30_000), { streams: 4, most: 4 })
})

test('without a place nothing is concluded', () => {
  assert.deepEqual(grow([10, 20, 30, 40], 2), { streams: 2, most: 4 })
})

test('requests take about ten seconds, and leave something to each stream', () => {
  const growth = new RangeGrowth(RANGE_TUNING)
  assert.equal(growth.requestBytes(10_000 * MIB), 16 * MIB)
  growth.isTime(0, 0, 1)
  growth.isTime(2000, 20 * MIB, 1)
  assert.equal(growth.requestBytes(10_000 * MIB), 100 * MIB)
  assert.equal(growth.requestBytes(200 * MIB), 50 * MIB)
  growth.isTime(4000, 220 * MIB, 1)
  assert.equal(growth.requestBytes(10_000 * MIB), 256 * MIB)
})
