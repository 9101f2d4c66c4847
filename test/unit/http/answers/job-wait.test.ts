import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readWait } from '../../../../src/http/answers/job-wait.ts'

test('Prefer: wait is found among other preferences and capped', () => {
  const cases: Array<[string | string[] | undefined, number | undefined]> = [
    [undefined, undefined],
    ['respond-async', undefined],
    ['wait=30', 30],
    ['wait="30"', 30],
    ['Wait = 5; x', 5],
    ['respond-async, wait=10, handling=lenient', 10],
    [['respond-async', 'wait=7'], 7],
    ['wait=0', 0],
    ['wait=3600', 60],
    ['wait=-1', undefined],
    ['wait=soon', undefined],
    ['await=3', undefined],
  ]
  for (const [prefer, expected] of cases) assert.equal(readWait(prefer), expected, String(prefer))
})
