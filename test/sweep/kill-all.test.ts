import { test } from 'node:test'
import { CleanupStack } from '../helpers/cleanup.ts'
import { killAllAt } from '../helpers/sweeps/kill-all.ts'

const ROUNDS = 200
/** At once. */
const LANES = 2
/** A round takes ten seconds, and half a minute on a busy machine. */
const LONG_MS = 7_200_000
/** The first daemon is killed by then, before its jobs are through. */
const REQUESTS = 100

test('a kill of daemon, API, workers and Redis at once costs a job one more run at most, wherever it is', {
  timeout: LONG_MS,
}, async (t) => {
  let round = 0
  const lane = async (): Promise<void> => {
    for (let own = round++; own < ROUNDS; own = round++) {
      await using stack = new CleanupStack()
      // Every other one as soon as the jobs are accepted, while workers fetch them.
      const { before, all } = await killAllAt(stack, own % 2 === 0 ? 0 : (own * 7) % REQUESTS)
      t.diagnostic(`round ${own + 1}: killed after ${before} of ${all} requests`)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
})
