import type { JobRuns } from '../jobs/runs.ts'
import type { Logger } from '../lib/logger.ts'

const SECOND = 1000

interface Chore {
  every: number
  task: () => Promise<unknown>
}

/**
 * What every worker does from time to time, each chore never twice at once. Any number of workers may do them all; a
 * failure is logged and the chore comes round again. Returns how to stop.
 */
export function startUpkeep(runs: JobRuns, options: { logger: Logger; extra: readonly Chore[] }): () => void {
  const chores: Chore[] = [
    ...options.extra,
    { every: 5 * SECOND, task: () => runs.sweepOutbox() },
    { every: 5 * SECOND, task: () => runs.reapAbandoned() },
    { every: 60 * SECOND, task: () => runs.requeueOrphans() },
    { every: 600 * SECOND, task: () => recount(runs, options.logger) },
    { every: 3600 * SECOND, task: () => runs.removeExpired() },
  ]
  const timers = chores.map(({ every, task }) => {
    let busy = false
    return setInterval(() => {
      if (busy) return
      busy = true
      task()
        .catch((error: unknown) => options.logger.warn({ err: error }, 'upkeep failed'))
        .finally(() => {
          busy = false
        })
    }, every)
  })
  return () => timers.forEach(clearInterval)
}

async function recount(runs: JobRuns, logger: Logger): Promise<void> {
  const hosts = await runs.recountHosts()
  if (hosts > 0) logger.warn({ hosts }, 'the open jobs of hosts were counted anew')
}
