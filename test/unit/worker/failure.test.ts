import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../src/lib/errors.ts'
import { outcomeOf } from '../../../src/worker/failure.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const HOUR = 3_600_000
const context = { jobId: '01890a5d-ac96-774b-bcce-b302099a8057', retries: 0, progressed: false, now: NOW, random: 0 }

for (const [asked, waited] of [
  [0, 1500],
  [HOUR, HOUR],
  // As much as the header can say; a date that far away is none.
  [Number.MAX_SAFE_INTEGER, 24 * HOUR],
] as const) {
  test(`a registry that asks for ${asked} ms is asked again after ${waited} ms`, () => {
    const outcome = outcomeOf(new AppError('REGISTRY_THROTTLED', 'slow', { retryAfterMs: asked }), context)
    assert.ok(outcome !== 'fenced' && outcome.state === 'retrying')
    assert.equal(outcome.retryAt.toISOString(), new Date(NOW + waited).toISOString())
  })
}

test('a registry that lets nobody in spends no run, however often', () => {
  const limited = new AppError('REGISTRY_THROTTLED', 'r.io answered 429; so it did for 10 minutes', {
    retryAfterMs: HOUR,
  })
  for (const retries of [0, 5, 50]) {
    const outcome = outcomeOf(limited, { ...context, retries })
    assert.ok(outcome !== 'fenced' && outcome.state === 'retrying')
    assert.deepEqual([outcome.spared, outcome.retryAt.getTime()], [true, NOW + HOUR])
    assert.match(outcome.reason ?? '', /^r\.io answered 429; so it did for 10 minutes; it comes again at /)
  }
})

test('five runs in a row without a new byte are enough; one that moved some gives them back', () => {
  const lost = new AppError('REGISTRY_CONNECTION_LOST', 'cut')
  const state = (more: Partial<typeof context>) => {
    const outcome = outcomeOf(lost, { ...context, ...more })
    return outcome === 'fenced' ? outcome : outcome.state
  }
  assert.equal(state({ retries: 4 }), 'retrying')
  assert.equal(state({ retries: 5 }), 'failed')
  assert.equal(state({ retries: 5, progressed: true }), 'retrying')
})

test('a transfer that was too slow comes again after a minute as long as something comes of it, and says so', () => {
  const slow = new AppError('TRANSFER_TOO_SLOW', 'brought 312 bytes/s over 5 minutes; gave its place to others')
  const nothingCame = outcomeOf(slow, { ...context, retries: 5, progressed: false, random: 0.5 })
  assert.ok(nothingCame !== 'fenced' && nothingCame.state === 'failed')
  const outcome = outcomeOf(slow, { ...context, retries: 5, progressed: true, random: 0.5 })
  assert.ok(outcome !== 'fenced' && outcome.state === 'retrying')
  assert.equal(outcome.retryAt.getTime(), NOW + 60_000)
  assert.equal(outcome.error.code, 'TRANSFER_TOO_SLOW')
  assert.match(
    outcome.reason ?? '',
    /^brought 312 bytes\/s over 5 minutes; gave its place to others; it comes again at /,
  )
})
