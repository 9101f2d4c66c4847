/** One writer per tag among all of layerd's processes. */
export interface TagLocks {
  /**
   * Waits for the lock of `reference` (host/repository:tag), runs `task`, frees it. The task's signal aborts with
   * JOB_FENCED when the lock was lost (renewal refused, or Redis gone past its expiry), and with `signal`'s reason.
   */
  withTagLock<T>(reference: string, signal: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T>
}
