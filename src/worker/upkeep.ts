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
    { every: 5 * SECOND, task: () => shed(runs, options.logger) },
    { every: 60 * SECOND, task: () => runs.requeueOrphans() },
    { every: 600 * SECOND, task: () => recount(runs, options.logger) },
    { every: 600 * SECOND, task: () => runs.recheckOwners() },
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
  const wrong = await runs.recountOpen()
  if (wrong > 0) logger.warn({ wrong }, 'the open jobs of hosts and principals were counted anew')
}

async function shed(runs: JobRuns, logger: Logger): Promise<void> {
  const jobs = await runs.shedTraces()
  if (jobs > 0)
    logger.warn({ jobs }, 'Redis is short of memory: events and logs of the oldest ended jobs were forgotten')
}
