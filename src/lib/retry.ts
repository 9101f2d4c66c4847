import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { type AppError, toAppError } from './errors.ts'
import type { RetryBudget } from './retry-budget.ts'

export interface RetryPolicy {
  /** Tries in total, the first included. */
  attempts: number
  /** First delay in ms; doubles each time. Source: oci-client.md Y2 (0.5 s, doubling, at most 30 s). */
  baseMs: number
  maxMs: number
  /** A longer Retry-After is not waited for here: the error goes up with it. */
  maxRetryAfterMs: number
}

export const CONTROL_RETRY: RetryPolicy = { attempts: 8, baseMs: 500, maxMs: 30_000, maxRetryAfterMs: 600_000 }

/** The wait before the next try, or undefined when there is none. Pure; `random` is in [0, 1). Full jitter. */
export function retryDelayMs(
  error: AppError,
  attempt: number,
  policy: RetryPolicy,
  random: number,
): number | undefined {
  if (error.retry !== 'transient' || attempt >= policy.attempts) return undefined
  if (error.retryAfterMs !== undefined) {
    return error.retryAfterMs <= policy.maxRetryAfterMs ? error.retryAfterMs : undefined
  }
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1))
  return Math.round(ceiling / 2 + (random * ceiling) / 2)
}

export interface RetryOptions {
  /** A function chooses by error, for faults that deserve less patience than others. */
  policy: RetryPolicy | ((error: AppError) => RetryPolicy)
  signal: AbortSignal
  clock?: Clock
  random?: () => number
  /** A figure that grows with the work done. A try that raised it gives the whole budget back (oci-client.md B6). */
  progress?: () => number
  /** What this call shares with others. */
  budget?: RetryBudget | undefined
  /** Told before each wait, with the time at which the next try starts. */
  onRetry?: (error: AppError, attempt: number, retryAt: number) => void
}

/** Runs `task(attempt)` until it succeeds, fails for good, or its tries or the budget are spent. */
export async function withRetry<T>(task: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock = systemClock, signal, budget } = options
  let best = options.progress?.() ?? 0
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await task(attempt)
    } catch (thrown) {
      if (signal.aborted) throw thrown
      const error = toAppError(thrown)
      const reached = options.progress?.() ?? 0
      if (reached > best) {
        attempt = 1
        budget?.progressed()
      }
      best = Math.max(best, reached)
      const delay = nextDelayMs(error, attempt, options)
      if (delay === undefined) throw error
      options.onRetry?.(error, attempt, clock.now() + delay)
      await clock.sleep(delay, signal)
    }
  }
}

function nextDelayMs(error: AppError, attempt: number, options: RetryOptions): number | undefined {
  const policy = typeof options.policy === 'function' ? options.policy(error) : options.policy
  const delay = retryDelayMs(error, attempt, policy, (options.random ?? Math.random)())
  if (delay === undefined || options.budget?.allows(delay) === false) return undefined
  return delay
}
