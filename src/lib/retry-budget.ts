import type { Clock } from './clock.ts'

/** How long one job may wait with nothing getting done before it gives its place up. Source: oci-client.md Y2. */
const BUDGET_MS = 600_000

/**
 * The waits of all calls of one job together. Each call has a count of tries of its own; a job with many of them could
 * still stand in a worker's place for hours without moving.
 */
export interface RetryBudget {
  /** Whether a wait of `ms` from now on still is within it. */
  allows(ms: number): boolean
  /** So many ms until now were waited for another reason than a failure. */
  excuse(ms: number): void
  /** Something got done: new bytes moved, or an answer that the job needed came. */
  progressed(): void
}

export function createRetryBudget(clock: Clock, budgetMs = BUDGET_MS): RetryBudget {
  /** When the first wait began since something got done. */
  let since: number | undefined
  return {
    allows(ms) {
      since ??= clock.now()
      return clock.now() + ms - since <= budgetMs
    },
    excuse(ms) {
      if (since !== undefined) since = Math.min(clock.now(), since + ms)
    },
    progressed() {
      since = undefined
    },
  }
}
