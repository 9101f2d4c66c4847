import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { registryId } from '../../content/reference.ts'
import { childController } from '../../lib/abort.ts'
import { AppError } from '../../lib/errors.ts'
import type { CatalogueFailure, CatalogueProblem, CatalogueState } from '../model/catalogue.ts'
import type { Keys } from '../redis/keys.ts'
import { guarded, pipelineResults } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'
import { keepAlive } from '../redis/tag-locks.ts'

/** A repository that waits to be looked into. */
export interface WaitingRepository {
  readonly repository: string
  /** Tells this waiting from another. */
  readonly place: string
}

type Noted = Partial<
  Pick<
    CatalogueState,
    'phase' | 'startedAt' | 'finishedAt' | 'nextAt' | 'failure' | 'problems' | 'problemCount' | 'truncated'
  >
>

/** What is to be done for the catalogue, and who does it. Calls throw QUEUE_UNAVAILABLE. */
export interface CatalogueWork {
  state(host: string): Promise<CatalogueState>
  note(host: string, changes: Noted): Promise<void>
  /** They wait, after all that wait already. */
  add(host: string, repositories: readonly string[]): Promise<void>
  /** It was changed: it comes first, and all processes are told. */
  changed(host: string, repository: string): Promise<void>
  /** All processes are told that there is something to do. */
  wake(): Promise<void>
  /** Those that come next, who wait all the same until `done`. */
  next(host: string, most: number): Promise<readonly WaitingRepository[]>
  done(host: string, waiting: WaitingRepository): Promise<void>
  /** Nobody waits any more. */
  forget(host: string): Promise<void>
  /**
   * Runs `task` where no other process does so for the registry: false where one does. Its signal aborts with JOB_FENCED where
   * another might.
   */
  alone(host: string, signal: AbortSignal, task: (signal: AbortSignal) => Promise<void>): Promise<boolean>
}

const LEASE_MS = 15_000
const AT_ONCE = 1000
/** After those that were changed, whose places are below 0. */
const LISTED = 1

export function createCatalogueWork(redis: Redis, keys: Keys): CatalogueWork {
  const scripts = createScripts(redis)
  const waiting = (host: string) => keys.catalogueOf(host, 'waiting')
  const wake = async (): Promise<void> => void (await guarded(() => redis.publish(keys.catalogue, 'work')))
  return {
    wake,
    async state(host) {
      const batch = redis.multi().hgetall(keys.catalogueOf(host, 'state'))
      const [fields, repositories, waits] = await guarded(async () =>
        pipelineResults(await batch.zcard(keys.catalogueOf(host, 'names')).zcard(waiting(host)).exec()),
      )
      return stateOf(fields as Record<string, string>, Number(repositories), Number(waits))
    },
    async note(host, changes) {
      const fields = Object.entries(changes).map(([name, value]) => [name, JSON.stringify(value)])
      await guarded(() => redis.hset(keys.catalogueOf(host, 'state'), Object.fromEntries(fields)))
    },
    async add(host, repositories) {
      for (let at = 0; at < repositories.length; at += AT_ONCE) {
        const some = repositories.slice(at, at + AT_ONCE).flatMap((name) => [`${LISTED}`, name])
        await guarded(() => redis.zadd(waiting(host), 'NX', ...some))
      }
    },
    async changed(host, repository) {
      await guarded(async () => {
        const [seconds, microseconds] = await redis.time()
        await redis.zadd(waiting(host), `-${seconds}${`${microseconds}`.padStart(6, '0')}`, repository)
      })
      await wake()
    },
    async next(host, most) {
      const found = await guarded(() => redis.zrange(waiting(host), '0', `${most - 1}`, 'WITHSCORES'))
      return pairs(found).map(([repository, place]) => ({ repository, place }))
    },
    async done(host, { repository, place }) {
      await guarded(() => scripts.other('catalogue/end-look', waiting(host), [repository, place]))
    },
    forget: async (host) => void (await guarded(() => redis.unlink(waiting(host)))),
    async alone(host, signal, task) {
      const key = keys.catalogueOf(host, 'lease')
      const token = randomUUID()
      if ((await guarded(() => redis.set(key, token, 'PX', LEASE_MS, 'NX'))) !== 'OK') return false
      using holder = childController(signal)
      const stop = keepAlive({
        expiryMs: LEASE_MS,
        renew: async () => (await scripts.other('renew-tag-lock', key, [token, LEASE_MS])) === 1,
        onLost: () => holder.abort(new AppError('JOB_FENCED', `the catalogue of ${host} is refreshed elsewhere`)),
      })
      try {
        await task(holder.signal)
        return true
      } finally {
        stop()
        // Else it runs out by itself.
        await scripts.other('release-tag-lock', key, [token]).catch(() => undefined)
      }
    },
  }
}

/** What jobs tell the catalogue. */
export interface CatalogueNews {
  /** A repository has another content now. Nothing is done where its registry is not in the catalogue. Never throws. */
  changed(place: { registry: string; repository: string }): Promise<void>
}

export function createCatalogueNews(
  { sources, work }: { sources: { get(host: string): Promise<unknown> }; work: Pick<CatalogueWork, 'changed'> },
  onFailure: (error: unknown) => void,
): CatalogueNews {
  return {
    async changed({ registry, repository }) {
      try {
        const host = registryId(registry)
        if (await sources.get(host)) await work.changed(host, repository)
      } catch (error) {
        onFailure(error)
      }
    },
  }
}

function stateOf(fields: Record<string, string>, repositories: number, waiting: number): CatalogueState {
  const read = <T>(name: string, none: T): T => (fields[name] === undefined ? none : (JSON.parse(fields[name]) as T))
  return {
    phase: read<CatalogueState['phase']>('phase', 'idle'),
    startedAt: read<number | null>('startedAt', null),
    finishedAt: read<number | null>('finishedAt', null),
    nextAt: read('nextAt', 0),
    failure: read<CatalogueFailure | null>('failure', null),
    problems: read<readonly CatalogueProblem[]>('problems', []),
    problemCount: read('problemCount', 0),
    truncated: read('truncated', false),
    repositories,
    tags: Number(fields['tags'] ?? 0),
    waiting,
  }
}

function pairs(flat: readonly string[]): Array<[string, string]> {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? '', flat[2 * at + 1] ?? ''])
}
