import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { AppError } from '../../lib/errors.ts'
import type { Job } from '../model/definitions.ts'
import { isJobId } from '../model/job-id.ts'
import type { Keys } from '../redis/keys.ts'
import type { JobFilter, Page, PageOf } from '../model/requests.ts'
import { pipelineResults } from '../redis/redis.ts'
import { CHUNK, type Order, type Place, orderOf } from './job-order.ts'
import { matchesJob } from './job-match.ts'
import { DOCUMENT_FIELDS, parseRecord } from './record.ts'

/** Records read for one page, at most. A filter that matches little gives short or empty pages with a token to go on. */
const READ_LIMIT = 2000

/**
 * A page in the order of `filter.sort`. Each begins behind the place of the last one before: jobs that come or go in
 * between neither repeat nor skip another. Throws REQUEST_INVALID for a token that is none of ours, or another list's.
 */
export async function listJobs(redis: Redis, keys: Keys, filter: JobFilter, page: Page): Promise<PageOf<Job>> {
  const size = Math.min(200, Math.max(1, Math.trunc(page.size)))
  const list = listOf(filter)
  const after = page.token === undefined ? undefined : placeIn(page.token, list)
  const found = await search(redis, { order: orderOf(keys, filter), keys, filter, after, size })
  return {
    items: found.items,
    ...(found.place === undefined ? {} : { nextPageToken: formatToken([list, ...found.place].join(' ')) }),
  }
}

interface Search {
  order: Order
  keys: Keys
  filter: JobFilter
  after: Place | undefined
  size: number
}

interface Found {
  items: Job[]
  /** Where to go on, when there is more to look at. */
  place: Place | undefined
}

async function search(redis: Redis, { order, keys, filter, after, size }: Search): Promise<Found> {
  const items: Job[] = []
  let place = after
  for (let read = 0; read < READ_LIMIT; read += CHUNK) {
    const places = await order(redis, place)
    const records = await readRecords(redis, keys, places)
    for (const [at, record] of records.entries()) {
      const wanted = record.job !== undefined && matchesJob(record.job, record.registries, filter)
      if (wanted && items.length === size) return { items, place }
      if (wanted && record.job) items.push(record.job)
      place = places[at]
    }
    if (places.length < CHUNK) return { items, place: undefined }
  }
  return { items, place }
}

interface Read {
  job: Job | undefined
  registries: readonly string[]
}

async function readRecords(redis: Redis, keys: Keys, places: readonly Place[]): Promise<Read[]> {
  if (places.length === 0) return []
  const pipeline = redis.pipeline()
  for (const [id] of places) pipeline.hmget(keys.job(id), 'registries', ...DOCUMENT_FIELDS)
  const records = pipelineResults(await pipeline.exec()) as Array<Array<string | null>>
  return places.map(([id], at) => {
    const [registries, ...document] = records[at] ?? []
    return { job: parseRecord(id, document), registries: JSON.parse(registries ?? '[]') as string[] }
  })
}

/** Which list a token belongs to: that of the same filter and order. */
function listOf(filter: JobFilter): string {
  const parts = Object.entries(filter).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 12)
}

function placeIn(token: string, list: string): Place {
  const [of, id = '', score] = Buffer.from(token, 'base64url').toString().split(' ')
  if (!isJobId(id) || (score !== undefined && !/^\d{1,16}$/.test(score))) throw invalidToken()
  if (of !== list) {
    throw new AppError('REQUEST_INVALID', 'the page token belongs to a list with other filters or another order', {
      hint: 'Ask for the next page with the same parameters as for the one before, or without pageToken for the first.',
    })
  }
  return score === undefined ? [id] : [id, score]
}

export function formatToken(position: string): string {
  return Buffer.from(position).toString('base64url')
}

export function invalidToken(): AppError {
  return new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}
