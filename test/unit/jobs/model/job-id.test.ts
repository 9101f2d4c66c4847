import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createJobIds, firstIdAt, isJobId } from '../../../../src/jobs/model/job-id.ts'

test('ids sort in the order of their making, also many in one millisecond and when the clock goes back', () => {
  const newId = createJobIds()
  const ids = Array.from({ length: 20_000 }, (_, at) => newId(at < 15_000 ? 1_800_000_000_000 : 1_799_999_999_000))
  assert.deepEqual(ids.toSorted(), ids)
  assert.equal(new Set(ids).size, ids.length)
  assert.ok(ids.every(isJobId))
})

test('the bound of a time lies between the ids made before and from it on', () => {
  const newId = createJobIds()
  const ids = [1000, 1001, 1002].map(newId)
  assert.deepEqual(
    ids.map((id) => id > firstIdAt(1001)),
    [false, true, true],
  )
})

test('what is no UUIDv7 is no job id', () => {
  for (const text of ['', '1', '../x', '6f9619ff-8b86-4011-b42d-00c04fc964ff', `${createJobIds()(1)}:events`]) {
    assert.equal(isJobId(text), false, text)
  }
})
