import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { AppError } from '../../lib/errors.ts'
import type { Job } from '../model/definitions.ts'
import { isJobId } from '../model/job-id.ts'
import type { Keys } from '../redis/keys.ts'
import type { JobFilter, Page, PageOf } from '../model/requests.ts'
import { pipelineResults } from '../redis/redis.ts'
import { CHUNK, isAlone, type Order, type Place, orderOf } from './job-order.ts'
import { matchesJob } from './job-match.ts'
import { DOCUMENT_FIELDS, parseRecord } from './record.ts'
import type { JobView } from './view.ts'

/** Jobs that one sees read for one page, at most. A filter that matches little gives short or empty pages with a token to go on. */
const READ_LIMIT = 2000

export interface Listing extends Page {
  filter: JobFilter
  view: JobView
}

/**
 * A page in the order of `filter.sort` of what the view shows: where it ends, and where the next one begins, comes from jobs that it
 * shows alone, so that nothing tells how many others there are, nor a token which. Each begins behind the place of the last one
 * before: jobs that come or go in between neither repeat nor skip another. Throws REQUEST_INVALID for a token that is none
 * of ours, or another list's.
 */
export async function listJobs(redis: Redis, keys: Keys, listing: Listing): Promise<PageOf<Job>> {
  const { filter, view, token } = listing
  const size = Math.min(200, Math.max(1, Math.trunc(listing.size)))
  const list = listOf(filter, view)
  const after = token === undefined ? undefined : placeIn(token, list)
  const found = await search(redis, { order: orderOf(keys, filter, view), keys, filter, view, after, size })
  return {
    items: found.items,
    ...(found.place === undefined ? {} : { nextPageToken: formatToken([list, ...found.place].join(' ')) }),
  }
}

interface Search {
  order: Order
  keys: Keys
  filter: JobFilter
  view: JobView
  after: Place | undefined
  size: number
}

interface Found {
  items: Job[]
  /** Where to go on, when there is more to look at. */
  place: Place | undefined
}

async function search(redis: Redis, { order, keys, filter, view, after, size }: Search): Promise<Found> {
  const items: Job[] = []
  let seen = 0
  let last = after
  for (let from = after; ; ) {
    const places = await order(redis, from)
    for (const { place, job, registries } of await readRecords(redis, keys, await shown(redis, keys, places, view))) {
      const wanted = matchesJob(job, registries, filter)
      if (wanted && items.length === size) return { items, place: last }
      if (wanted) items.push(job)
      last = place
      seen += 1
      if (seen === READ_LIMIT) return { items, place: last }
    }
    if (places.length < CHUNK) return { items, place: undefined }
    from = places.at(-1)
  }
}

/** For HMGET: what tells whether somebody sees a job. A tenth of the record, as most of those that are looked at may be hidden. */
const AFFAIR_FIELDS = ['principal', 'kind', 'source', 'destination', 'result'] as const

/** The places of the jobs that the view shows, as far as that takes a look at them. */
async function shown(redis: Redis, keys: Keys, places: readonly Place[], view: JobView): Promise<readonly Place[]> {
  if (view.owner === undefined || isAlone(view) || places.length === 0) return places
  const pipeline = redis.pipeline()
  for (const [id] of places) pipeline.hmget(keys.job(id), ...AFFAIR_FIELDS)
  const affairs = pipelineResults(await pipeline.exec()) as Array<Array<string | null>>
  return places.filter((_, at) => {
    const [principal, ...fragments] = affairs[at] ?? []
    if (!fragments[0]) return false
    const [kind, source, destination, result] = fragments.map((text) => JSON.parse(text ?? 'null'))
    return view.sees({ principal: principal ?? 'anonymous', kind, source, destination, result })
  })
}

interface Read {
  place: Place
  job: Job
  registries: readonly string[]
}

/** One that is gone is left out. */
async function readRecords(redis: Redis, keys: Keys, places: readonly Place[]): Promise<Read[]> {
  if (places.length === 0) return []
  const pipeline = redis.pipeline()
  for (const [id] of places) pipeline.hmget(keys.job(id), 'registries', ...DOCUMENT_FIELDS)
  const records = pipelineResults(await pipeline.exec()) as Array<Array<string | null>>
  return places.flatMap((place, at) => {
    const [registries, ...document] = records[at] ?? []
    const job = parseRecord(place[0], document)
    return job ? [{ place, job, registries: JSON.parse(registries ?? '[]') as string[] }] : []
  })
}

/** Which list a token belongs to: that of the same filter and order, for who sees the same. */
function listOf(filter: JobFilter, { name }: JobView): string {
  const parts = Object.entries(filter).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([name, parts]))
    .digest('base64url')
    .slice(0, 12)
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
