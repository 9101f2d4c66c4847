import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../src/lib/errors.ts'
import { CONTROL_RETRY, retryDelayMs, withRetry } from '../../../src/lib/retry.ts'

const lost = new AppError('REGISTRY_CONNECTION_LOST', 'cut')

function stillClock() {
  const slept: number[] = []
  return { slept, clock: { now: () => 0, sleep: async (ms: number) => void slept.push(ms) } }
}

test('the wait doubles up to its ceiling, between half and the whole of it', () => {
  const at = (attempt: number, random: number) =>
    retryDelayMs(lost, attempt, { ...CONTROL_RETRY, attempts: 99 }, random)
  assert.deepEqual([at(1, 0), at(1, 1)], [250, 500])
  assert.deepEqual([at(3, 0), at(3, 1)], [1000, 2000])
  assert.deepEqual([at(20, 0), at(20, 1)], [15_000, 30_000])
})

test('what is permanent or spent is not tried again', () => {
  assert.equal(retryDelayMs(new AppError('REGISTRY_DENIED', 'no'), 1, CONTROL_RETRY, 0), undefined)
  assert.equal(retryDelayMs(lost, CONTROL_RETRY.attempts, CONTROL_RETRY, 0), undefined)
})

test('Retry-After is obeyed, and one past the cap goes up to the caller', () => {
  const throttled = (retryAfterMs: number) => new AppError('REGISTRY_THROTTLED', 'slow', { retryAfterMs })
  assert.equal(retryDelayMs(throttled(90_000), 1, CONTROL_RETRY, 0), 90_000)
  assert.equal(retryDelayMs(throttled(3_600_000), 1, CONTROL_RETRY, 0), undefined)
})

test('tries until it succeeds and tells each wait', async () => {
  const { slept, clock } = stillClock()
  const told: number[] = []
  const value = await withRetry(
    async (attempt) => {
      if (attempt < 3) throw lost
      return attempt
    },
    {
      policy: CONTROL_RETRY,
      signal: new AbortController().signal,
      clock,
      random: () => 0,
      onRetry: (_, attempt) => told.push(attempt),
    },
  )
  assert.equal(value, 3)
  assert.deepEqual(slept, [250, 500])
  assert.deepEqual(told, [1, 2])
})

test('an abort ends the trying at once', async () => {
  const controller = new AbortController()
  let calls = 0
  const trying = withRetry(
    async () => {
      calls += 1
      controller.abort(new AppError('JOB_CANCELED', 'stop'))
      throw lost
    },
    { policy: CONTROL_RETRY, signal: controller.signal },
  )
  await assert.rejects(trying)
  assert.equal(calls, 1)
})
