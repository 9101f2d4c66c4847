import type { CatalogueRecords } from '../../jobs/catalogue/catalogue.ts'
import type { CatalogueSource, CatalogueState } from '../../jobs/model/catalogue.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { createPace, type Pace } from './pace.ts'
import { type RefreshLimits, type RefreshOptions, refreshRegistry } from './refresh-registry.ts'

export interface RefresherOptions extends Pick<RefreshOptions, 'clientFor'> {
  records: CatalogueRecords
  limits: Pick<RefreshLimits, 'requestsPerSecond' | 'tags'> & Partial<RefreshLimits>
  logger: Logger
  clock?: Clock
  /** How often it is looked whether something is due. Default 5 s. */
  everyMs?: number
}

export interface Refresher {
  /** Ends what is under way: the next one goes on there. */
  stop(): Promise<void>
}

/** Of one repository, and names of one registry: bounds for Redis and for an answer. */
const BOUNDS = { tagsPerRepository: 1000, repositories: 100_000 }
const EVERY_MS = 5000
/** Registries that one process asks at once. */
const AT_ONCE = 4

/** Keeps the catalogue up to date, with any number of others that do the same: each registry by one of them at a time. */
export function startRefresher(options: RefresherOptions): Refresher {
  const { records, clientFor, logger, clock = systemClock, everyMs = EVERY_MS } = options
  const limits: RefreshLimits = { ...BOUNDS, ...options.limits }
  const stopping = new AbortController()
  const running = new Map<string, Promise<void>>()
  const paces = new Map<string, Pace>()
  const { signal } = stopping

  /** Whether it was this one's to do, and it has ended. */
  const refresh = async (source: CatalogueSource): Promise<boolean> => {
    const { host } = source
    const pace = paces.get(host) ?? createPace(limits.requestsPerSecond, clock)
    paces.set(host, pace)
    try {
      const common = { source, records, clientFor, limits, pace, clock, logger }
      return await records.work.alone(host, signal, (held) => refreshRegistry({ ...common, signal: held }))
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: told(error), registry: host }, 'refreshing the catalogue failed')
      return false
    }
  }
  const runOf = async (source: CatalogueSource): Promise<void> => {
    const ended = await refresh(source)
    running.delete(source.host)
    // What came meanwhile.
    if (ended) looks()
  }
  const look = async (): Promise<void> => {
    const sources = await records.sources.list()
    for (const source of sources) {
      if (signal.aborted || running.size >= AT_ONCE) return
      if (running.has(source.host) || !isToDo(await records.work.state(source.host), clock.now())) continue
      running.set(source.host, runOf(source))
    }
  }
  const looks = repeated(() => look().catch((error: unknown) => logger.debug({ err: error }, 'the catalogue rests')))
  const timer = setInterval(looks, everyMs)
  records.listen(looks)
  looks()
  return {
    async stop() {
      clearInterval(timer)
      stopping.abort(new AppError('SHUTTING_DOWN', 'layerd is shutting down'))
      await Promise.all(running.values())
    },
  }
}

/** Of a registry that failed nothing is asked before its time, whatever waits. */
function isToDo({ phase, nextAt, waiting, failure }: CatalogueState, now: number): boolean {
  if (nextAt <= now || phase !== 'idle') return true
  return waiting > 0 && (failure === null || failure.code === 'REGISTRY_NOT_LISTED')
}

function told(error: unknown): unknown {
  return isAppError(error) ? { code: error.code, message: error.message } : error
}

/** As often as it was asked for, one at a time: what comes meanwhile is done once, after it. */
function repeated(task: () => Promise<void>): () => void {
  let asked = false
  let busy = false
  const run = async (): Promise<void> => {
    busy = true
    while (asked) {
      asked = false
      await task()
    }
    busy = false
  }
  return () => {
    asked = true
    if (!busy) void run()
  }
}
