import type { Redis } from 'ioredis'
import { registryId } from '../../content/reference.ts'
import { firstIdAt } from '../model/job-id.ts'
import type { JobFilter } from '../model/requests.ts'
import type { Keys } from '../redis/keys.ts'
import { pipelineResults } from '../redis/redis.ts'
import type { JobView } from './view.ts'

/** Places read at once. */
export const CHUNK = 200

/** Where a job stands in an order: its id, and by time of end its score. */
export type Place = readonly [id: string, score?: string]

/** The next places behind `after`, CHUNK of them unless the list is at its end. */
export type Order = (redis: Redis, after: Place | undefined) => Promise<Place[]>

export function orderOf(keys: Keys, filter: JobFilter, view: JobView): Order {
  const { sort = '-createdAt', createdAfter, endedAfter } = filter
  if (sort === 'endedAt' || sort === '-endedAt') {
    const least = endedAfter === undefined ? '-inf' : `(${Date.parse(endedAfter)}`
    const set = isAlone(view) ? keys.doneJobsOf(view.owner) : keys.doneJobs
    return byEnd(set, sort === '-endedAt', least)
  }
  const least = createdAfter === undefined ? '-' : `[${firstIdAt(Date.parse(createdAfter) + 1)}`
  return byCreation(setsOf(keys, filter, view), sort === '-createdAt', least)
}

/** Whether one sees its own jobs and no others. */
export function isAlone(view: JobView): view is JobView & { owner: string } {
  return view.owner !== undefined && view.registries?.length === 0
}

/** The smallest choice of sets that holds every match; the rest of the filter, and the view, look at the records. */
function setsOf(keys: Keys, filter: JobFilter, view: JobView): string[] {
  if (isAlone(view)) return [keys.jobsOf(view.owner)]
  if (filter.registry !== undefined) return [keys.jobsOfRegistry(registryId(filter.registry))]
  if (view.owner !== undefined && view.registries !== undefined) {
    return [keys.jobsOf(view.owner), ...view.registries.map((registry) => keys.jobsOfRegistry(registry))]
  }
  if (filter.states !== undefined && filter.states.length > 0) {
    return [...new Set(filter.states)].map((state) => keys.jobsInState(state))
  }
  return [keys.jobs]
}

/** Ids sort by time (UUIDv7) and every set scores 0. */
function byCreation(sets: readonly string[], newestFirst: boolean, least: string): Order {
  return async (redis, after) => {
    const pipeline = redis.pipeline()
    const beyond = after && `(${after[0]}`
    for (const set of sets) {
      if (newestFirst) pipeline.zrevrangebylex(set, beyond ?? '+', least, 'LIMIT', 0, CHUNK)
      else pipeline.zrangebylex(set, beyond ?? least, '+', 'LIMIT', 0, CHUNK)
    }
    const lists = pipelineResults(await pipeline.exec()) as string[][]
    // A job that changes its state between two of the reads shows in both.
    const ids = [...new Set(lists.flat())].toSorted()
    return (newestFirst ? ids.toReversed() : ids).slice(0, CHUNK).map((id) => [id] as const)
  }
}

/** Jobs that ended in one millisecond stand by their ids, in either direction, as Redis has them. */
function byEnd(set: string, newestFirst: boolean, least: string): Order {
  const isBehind = (id: string, score: string, after: Place): boolean =>
    score !== after[1] || (newestFirst ? id < after[0] : id > after[0])
  return async (redis, after) => {
    const places: Place[] = []
    for (let offset = 0; places.length < CHUNK; offset += CHUNK) {
      const found = newestFirst
        ? await redis.zrevrangebyscore(set, after?.[1] ?? '+inf', least, 'WITHSCORES', 'LIMIT', offset, CHUNK)
        : await redis.zrangebyscore(set, after?.[1] ?? least, '+inf', 'WITHSCORES', 'LIMIT', offset, CHUNK)
      for (let at = 0; at < found.length; at += 2) {
        const [id = '', score = ''] = found.slice(at, at + 2)
        if (after === undefined || isBehind(id, score, after)) places.push([id, score])
      }
      if (found.length < 2 * CHUNK) break
    }
    return places.slice(0, CHUNK)
  }
}
