import { createHash } from 'node:crypto'
import { type AuditOutcome, type AuditRecord, isDone } from '../../access/audit.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Page, PageOf } from '../model/requests.ts'
import { createKeys } from '../redis/keys.ts'
import { connectRedis, guarded, pipelineResults, type RedisTarget } from '../redis/redis.ts'

/** A record with its place. */
export interface AuditEntry extends AuditRecord {
  readonly id: string
}

export interface AuditFilter {
  readonly principal?: string
  readonly action?: string
  readonly outcomes?: readonly AuditOutcome[]
  /** RFC 3339, both inclusive. */
  readonly since?: string
  readonly until?: string
}

/**
 * The newest records of all processes, in two streams of Redis: what was refused or failed has its own, so that a flood of it pushes out
 * nothing of what was done. Calls throw QUEUE_UNAVAILABLE.
 */
export interface AuditLog {
  append(records: readonly AuditRecord[]): Promise<void>
  /** Newest first. Short or empty pages with a token come where a filter lets little through. Throws REQUEST_INVALID. */
  list(filter: AuditFilter, page: Page): Promise<PageOf<AuditEntry>>
  close(): void
}

export interface AuditLogOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** LAYERD_AUDIT_ENTRIES: that each stream keeps, and a few more. */
  entries: number
  logger?: Logger
}

/** Records read for one page, at most. */
const READ_LIMIT = 2000
const CHUNK = 200
/** By which clocks of machines may differ, and a record be written later than it was made. */
const SLACK_MS = 60_000
const FIELD = 'record'
/** Behind every id. */
const NEWEST = '+'
const STREAM_ID = /^\d{1,16}-\d{1,16}$/

/** Opens a connection of its own. */
export function createAuditLog({ entries, prefix, logger, redis: target }: AuditLogOptions): AuditLog {
  const redis = connectRedis(target, { role: 'api', name: 'layerd-audit', ...(logger ? { logger } : {}) })
  const { audit, refusals } = createKeys(prefix)
  const read = async (key: string, mark: Mark, before: string): Promise<Placed[]> => {
    const end = before === NEWEST ? NEWEST : `(${before}`
    const found = await guarded(() => redis.xrevrange(key, end, '-', 'COUNT', CHUNK))
    return found.map(([id, fields]) => ({ id, mark, record: JSON.parse(fields[1] ?? '') as AuditRecord }))
  }
  return {
    append: (records) =>
      guarded(async () => {
        const pipeline = redis.pipeline()
        for (const record of records) {
          const key = isDone(record) ? audit : refusals
          pipeline.xadd(key, 'MAXLEN', '~', entries, '*', FIELD, JSON.stringify(record))
        }
        pipelineResults(await pipeline.exec())
      }),
    async list(filter, { size, token }) {
      const list = listOf(filter)
      const place = token === undefined ? START : placeIn(token, list)
      const both = [
        stream((before) => read(audit, 'd', before), place.d),
        stream((before) => read(refusals, 'r', before), place.r),
      ]
      return await page(both, { filter, size, list, place: { ...place } })
    },
    close: () => redis.disconnect(),
  }
}

/** d: what was done. r: what was refused, or failed. */
type Mark = 'd' | 'r'
type Place = Record<Mark, string>
const START: Place = { d: NEWEST, r: NEWEST }

interface Placed {
  readonly id: string
  readonly mark: Mark
  readonly record: AuditRecord
}

interface Stream {
  /** The newest one that was not taken yet. */
  peek(): Promise<Placed | undefined>
  take(): void
}

function stream(read: (before: string) => Promise<Placed[]>, from: string): Stream {
  let before = from
  let ahead: Placed[] | undefined
  return {
    async peek() {
      if (!ahead || (ahead.length === 0 && before !== '')) {
        ahead = await read(before)
        // '': nothing is left behind these.
        before = ahead.length < CHUNK ? '' : (ahead.at(-1)?.id ?? '')
      }
      return ahead[0]
    },
    take: () => void ahead?.shift(),
  }
}

async function page(
  streams: readonly Stream[],
  { filter, size, list, place }: { filter: AuditFilter; size: number; list: string; place: Place },
): Promise<PageOf<AuditEntry>> {
  const items: AuditEntry[] = []
  const next = () => Buffer.from([list, place.d, place.r].join(' ')).toString('base64url')
  for (let seen = 0; ; seen += 1) {
    const heads = await Promise.all(streams.map(async (one) => ({ one, head: await one.peek() })))
    const newest = heads.reduce((best, other) => (isNewer(other.head, best.head) ? other : best))
    const { head } = newest
    if (!head || isTooOld(head.id, filter.since)) return { items }
    if (items.length === size || seen === READ_LIMIT) return { items, nextPageToken: next() }
    newest.one.take()
    place[head.mark] = head.id
    if (matches(head.record, filter)) items.push({ id: `${head.mark}${head.id}`, ...head.record })
  }
}

/** Ids of two streams say nothing about each other where they are of one millisecond. */
function isNewer(one: Placed | undefined, other: Placed | undefined): boolean {
  if (!one || !other) return one !== undefined
  return one.record.time > other.record.time
}

/** What lies behind it was made before. */
function isTooOld(id: string, since: string | undefined): boolean {
  return since !== undefined && Number(id.split('-', 1)[0]) < Date.parse(since) - SLACK_MS
}

function matches(record: AuditRecord, { principal, action, outcomes, since, until }: AuditFilter): boolean {
  const time = Date.parse(record.time)
  return (
    (principal === undefined || record.principal === principal) &&
    (action === undefined || record.action === action) &&
    (outcomes === undefined || outcomes.includes(record.outcome)) &&
    (since === undefined || time >= Date.parse(since)) &&
    (until === undefined || time <= Date.parse(until))
  )
}

function listOf(filter: AuditFilter): string {
  const parts = Object.entries(filter).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 12)
}

function placeIn(token: string, list: string): Place {
  const [of, d = '', r = ''] = Buffer.from(token, 'base64url').toString().split(' ')
  if (of === list && [d, r].every((id) => id === NEWEST || STREAM_ID.test(id))) return { d, r }
  throw new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, with the same parameters, or none for the first page.',
  })
}
