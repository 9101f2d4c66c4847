import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../src/lib/errors.ts'
import { withRetry } from '../../../src/lib/retry.ts'
import { createRetryBudget } from '../../../src/lib/retry-budget.ts'
import { createStepClock } from '../../helpers/step-clock.ts'

const MINUTE = 60_000
const { signal } = new AbortController()
const policy = { attempts: 99, baseMs: MINUTE, maxMs: MINUTE, maxRetryAfterMs: 10 * MINUTE }
const busy = new AppError('REGISTRY_THROTTLED', 'slow', { retryAfterMs: 4 * MINUTE })

test('ten minutes without anything done are all that the calls of one job wait, however many they are', async () => {
  const clock = createStepClock()
  const budget = createRetryBudget(clock)
  const failing = () => withRetry(() => Promise.reject(busy), { policy, signal, clock, budget })
  await assert.rejects(failing(), busy)
  assert.deepEqual(clock.slept, [4 * MINUTE, 4 * MINUTE])
  await assert.rejects(failing(), busy)
  assert.equal(clock.slept.length, 2, 'what was spent is spent for the next call, too')
  budget.progressed()
  await assert.rejects(failing(), busy)
  assert.equal(clock.slept.length, 4)
})

test('what was waited for another reason than a failure is not counted', () => {
  const clock = createStepClock()
  const budget = createRetryBudget(clock)
  assert.equal(budget.allows(4 * MINUTE), true)
  clock.advance(9 * MINUTE)
  assert.equal(budget.allows(4 * MINUTE), false)
  budget.excuse(5 * MINUTE)
  assert.equal(budget.allows(4 * MINUTE), true)
  assert.equal(budget.allows(7 * MINUTE), false)
  // Calls that waited side by side.
  for (const _ of [1, 2, 3]) budget.excuse(5 * MINUTE)
  assert.equal(budget.allows(10 * MINUTE), true)
  assert.equal(budget.allows(11 * MINUTE), false)
})

test('a try that moved something gives the budget back', async () => {
  const clock = createStepClock()
  let moved = 0
  const task = async () => {
    moved += 1
    if (moved < 9) throw busy
  }
  await withRetry(task, { policy, signal, clock, budget: createRetryBudget(clock), progress: () => moved })
  assert.equal(clock.slept.length, 8)
})
