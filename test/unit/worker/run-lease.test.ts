import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLease } from '../../../src/worker/run-lease.ts'
import { waitFor } from '../../helpers/wait-for.ts'

const LONG_MS = 60_000

test('a lease ends by itself, with the reason that its run ends with', async () => {
  using lease = createLease(20, performance.now())
  await waitFor('the end', () => lease.signal.aborted)
  assert.throws(() => lease.check(), { code: 'JOB_FENCED' })
})

test('a lease whose end has passed is over before any timer says so, and no late renewal revives it', () => {
  using lease = createLease(LONG_MS, performance.now() - 2 * LONG_MS)
  assert.equal(lease.signal.aborted, false)
  lease.renewed(performance.now())
  assert.throws(() => lease.check(), { code: 'JOB_FENCED' })
  assert.equal(lease.signal.aborted, true)
})

test('a renewal counts from when it went out, not from when it was answered', async () => {
  using lease = createLease(LONG_MS, performance.now())
  lease.check()
  lease.renewed(performance.now() - LONG_MS + 20)
  await waitFor('the end', () => lease.signal.aborted)
  using kept = createLease(20, performance.now())
  kept.renewed(performance.now() + LONG_MS)
  kept.check()
})
