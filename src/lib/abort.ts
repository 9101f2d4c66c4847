import { AppError } from './errors.ts'

/** Throws the signal's reason (one of our errors) when it has aborted. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortReason(signal)
}

/** The reason as an AppError; foreign reasons (a bare `abort()`) read as a cancel. */
export function abortReason(signal: AbortSignal): AppError {
  const reason: unknown = signal.reason
  return reason instanceof AppError ? reason : new AppError('JOB_CANCELED', 'the work was stopped', { cause: reason })
}

/** A controller that follows `parents` and can be aborted by itself. Dispose it to stop following. */
export function childController(...parents: readonly (AbortSignal | undefined)[]): AbortController & Disposable {
  const controller = new AbortController()
  const listeners: Array<() => void> = []
  for (const parent of parents) {
    if (!parent) continue
    if (parent.aborted) {
      controller.abort(parent.reason)
      continue
    }
    const follow = () => controller.abort(parent.reason)
    parent.addEventListener('abort', follow, { once: true })
    listeners.push(() => parent.removeEventListener('abort', follow))
  }
  return Object.assign(controller, {
    [Symbol.dispose]() {
      for (const remove of listeners) remove()
    },
  })
}

/** Waits for work that others share: the signal ends the waiting, not the work. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(abortReason(signal))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
