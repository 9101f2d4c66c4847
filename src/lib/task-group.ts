import { childController } from './abort.ts'

/** Work that belongs together: the first failure stops the rest, and nothing outlives `finished`. */
export interface TaskGroup {
  readonly signal: AbortSignal
  /** Starts a task now. Tasks may spawn further ones. */
  spawn(task: (signal: AbortSignal) => Promise<void>): void
  /** Resolves when every task has ended; rejects with the first failure, after all have settled. */
  finished(): Promise<void>
}

export function createTaskGroup(parent: AbortSignal): TaskGroup {
  const controller = childController(parent)
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  return {
    signal: controller.signal,
    spawn(task) {
      const run = task(controller.signal)
        .catch((error: unknown) => {
          failures.push(error)
          controller.abort(error)
        })
        .finally(() => running.delete(run))
      running.add(run)
    },
    async finished() {
      while (running.size > 0) await Promise.all(running)
      controller[Symbol.dispose]()
      if (failures.length > 0) throw failures[0]
      if (parent.aborted) throw parent.reason
    },
  }
}
