import type { Redis } from 'ioredis'
import { AppError } from '../../lib/errors.ts'
import type { Job } from '../model/definitions.ts'
import { firstIdAt, isJobId } from '../model/job-id.ts'
import type { Keys } from '../redis/keys.ts'
import type { JobFilter, Page, PageOf } from '../model/requests.ts'
import { DOCUMENT_FIELDS, parseRecord } from './record.ts'
import { pipelineResults } from '../redis/redis.ts'

/** Records read for one page, at most. A filter that matches little gives short or empty pages with a token to go on. */
const READ_LIMIT = 2000
const CHUNK = 200

interface Found {
  items: Job[]
  /** Where to go on, when there is more to look at. */
  cursor: string | undefined
}

/**
 * Newest first. Ids sort by time (UUIDv7) and every set scores 0, so a page begins below the last id of the one before:
 * jobs that come or go in between neither repeat nor skip another. Throws REQUEST_INVALID for a token that is none of ours.
 */
export async function listJobs(redis: Redis, keys: Keys, filter: JobFilter, page: Page): Promise<PageOf<Job>> {
  const size = Math.min(200, Math.max(1, Math.trunc(page.size)))
  const found = await search(redis, { sets: setsOf(keys, filter), keys, filter, after: parseToken(page.token), size })
  return { items: found.items, ...(found.cursor === undefined ? {} : { nextPageToken: formatToken(found.cursor) }) }
}

interface Search {
  sets: readonly string[]
  keys: Keys
  filter: JobFilter
  after: string | undefined
  size: number
}

async function search(redis: Redis, { sets, keys, filter, after, size }: Search): Promise<Found> {
  const items: Job[] = []
  let cursor = after
  for (let read = 0; read < READ_LIMIT; read += CHUNK) {
    const ids = await newestIds(redis, sets, cursor, filter.createdAfter)
    for (const [id, job] of await readJobs(redis, keys, ids)) {
      const wanted = job !== undefined && matches(job, filter)
      if (wanted && items.length === size) return { items, cursor }
      if (wanted) items.push(job)
      cursor = id
    }
    if (ids.length < CHUNK) return { items, cursor: undefined }
  }
  return { items, cursor }
}

/** The smallest choice of sets that holds every match; the rest of the filter looks at the records. */
function setsOf(keys: Keys, filter: JobFilter): string[] {
  if (filter.registry !== undefined) return [keys.jobsOfRegistry(filter.registry.toLowerCase())]
  if (filter.states !== undefined && filter.states.length > 0) {
    return [...new Set(filter.states)].map((state) => keys.jobsInState(state))
  }
  return [keys.jobs]
}

/** The newest CHUNK ids below `after` of all sets together. */
async function newestIds(
  redis: Redis,
  sets: readonly string[],
  after: string | undefined,
  createdAfter: string | undefined,
): Promise<string[]> {
  const max = after === undefined ? '+' : `(${after}`
  const min = createdAfter === undefined ? '-' : `[${firstIdAt(Date.parse(createdAfter) + 1)}`
  const pipeline = redis.pipeline()
  for (const set of sets) pipeline.zrevrangebylex(set, max, min, 'LIMIT', 0, CHUNK)
  const lists = pipelineResults(await pipeline.exec()) as string[][]
  // A job that changes its state between two of the reads shows in both.
  return [...new Set(lists.flat())].toSorted().toReversed().slice(0, CHUNK)
}

async function readJobs(redis: Redis, keys: Keys, ids: readonly string[]): Promise<Array<[string, Job | undefined]>> {
  if (ids.length === 0) return []
  const pipeline = redis.pipeline()
  for (const id of ids) pipeline.hmget(keys.job(id), ...DOCUMENT_FIELDS)
  const records = pipelineResults(await pipeline.exec()) as Array<Array<string | null>>
  return ids.map((id, at) => [id, parseRecord(id, records[at] ?? [])])
}

function matches(job: Job, { states, kinds, labels = [] }: JobFilter): boolean {
  if (states !== undefined && states.length > 0 && !states.includes(job.state)) return false
  if (kinds !== undefined && kinds.length > 0 && !kinds.includes(job.kind)) return false
  return labels.every(({ key, value }) => Object.hasOwn(job.labels, key) && job.labels[key] === value)
}

export function formatToken(position: string): string {
  return Buffer.from(position).toString('base64url')
}

function parseToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined
  const id = Buffer.from(token, 'base64url').toString()
  if (!isJobId(id)) throw invalidToken()
  return id
}

export function invalidToken(): AppError {
  return new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}
