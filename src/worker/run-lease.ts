import { throwIfAborted } from '../lib/abort.ts'
import { AppError } from '../lib/errors.ts'

/**
 * How long a run may act: as long as its lock must still be there. Past that another worker may run the job, which a
 * process hears late that was stopped, or is cut off from Redis. It ends for good, even when a renewal's answer comes.
 * Where it stops a late run: RunContext.checkLease becomes a hook of every request (oci/request/hooks.ts; docs/adr/0008).
 */
export interface Lease extends Disposable {
  /** Aborts with JOB_FENCED at the end. */
  readonly signal: AbortSignal
  /** The lock was renewed by a call that went out then (ms, performance.now). */
  renewed(sentAt: number): void
  /** Throws JOB_FENCED past the end: the answers that a stopped process finds come before its timers. */
  check(): void
}

/** `takenAt`: ms, performance.now. */
export function createLease(lockMs: number, takenAt: number): Lease {
  const controller = new AbortController()
  let end = takenAt + lockMs
  let timer = arm()
  function arm(): NodeJS.Timeout {
    return setTimeout(lose, Math.max(0, end - performance.now()))
  }
  function lose(): void {
    clearTimeout(timer)
    controller.abort(new AppError('JOB_FENCED', 'this run no longer owns the job: its lock was not renewed in time'))
  }
  return {
    signal: controller.signal,
    renewed(sentAt) {
      if (performance.now() >= end) return lose()
      end = sentAt + lockMs
      clearTimeout(timer)
      timer = arm()
    },
    check() {
      if (performance.now() >= end) lose()
      throwIfAborted(controller.signal)
    },
    [Symbol.dispose]() {
      clearTimeout(timer)
    },
  }
}
