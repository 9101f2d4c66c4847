import type { Redis } from 'ioredis'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { JOB_KINDS, type JobKind } from '../model/definitions.ts'
import type { Keys } from '../redis/keys.ts'
import { pipelineResults } from '../redis/redis.ts'

/** What is counted; bytes are those of layers and configs, as a job's Progress has them. */
export const STATS_MEASURES = [
  'jobsBegun',
  'jobsSucceeded',
  'jobsFailed',
  'jobsCanceled',
  'bytesSent',
  'wireBytesSent',
  'bytesReceived',
  'wireBytesReceived',
] as const
export type StatsMeasure = (typeof STATS_MEASURES)[number]

/** Seconds of a bucket. */
export const STATS_SECONDS = { minute: 60, hour: 3600 } as const
export type StatsResolution = keyof typeof STATS_SECONDS

/** As many are kept, the one that is not over yet among them. Scripts write them (scripts/jobs/stats.lua). */
export const STATS_BUCKETS: Readonly<Record<StatsResolution, number>> = { minute: 60, hour: 168 }

/** Registries that are told one by one. */
export const MOST_REGISTRIES = 20

export interface StatsQuery {
  readonly resolution: StatsResolution
  /** The newest so many; at most STATS_BUCKETS. */
  readonly buckets: number
  /** host[:port] as jobs name it, in lower case. Default: all. */
  readonly registry?: string | undefined
  /** Default: all. */
  readonly kinds?: readonly JobKind[] | undefined
}

export interface Figures {
  readonly totals: Record<StatsMeasure, number>
  /** By `times`. */
  readonly series: Record<StatsMeasure, number[]>
}

export interface JobStats extends Figures {
  /** Redis's clock, seconds since 1970. */
  readonly now: number
  /** When each bucket begins, seconds since 1970, the oldest first. */
  readonly times: readonly number[]
  /** Those that moved most, and among the same those with most jobs. */
  readonly registries: ReadonlyArray<Figures & { readonly registry: string }>
  /** All others; undefined where there are none. */
  readonly otherRegistries: Figures | undefined
  readonly kinds: ReadonlyArray<Figures & { readonly kind: string }>
}

/** Of a bucket: what jobs of a kind did at a registry; undefined: at those that have no row of their own. */
interface Row {
  readonly at: number
  readonly kind: string
  readonly registry: string | undefined
  /** In the order that stats.lua writes. */
  readonly sums: readonly number[]
}

/** By column of the sums, then by time. */
type Columns = readonly number[][]

const COLUMNS = 8

/** What jobs moved, and how they ended, lately. */
export async function readStats(redis: Redis, keys: Keys, query: StatsQuery): Promise<JobStats> {
  const seconds = STATS_SECONDS[query.resolution]
  const now = Number((await redis.time())[0])
  const newest = now - (now % seconds)
  const times = Array.from({ length: query.buckets }, (_, at) => newest - (query.buckets - 1 - at) * seconds)
  const rows = await readRows(redis, { ...query, buckets: times.map((time) => keys.stats(seconds, time)) })
  const empty = (): Columns => Array.from({ length: COLUMNS }, () => Array.from(times, () => 0))
  const all = empty()
  const registries = new Map(largest(rows).map((name) => [name, empty()]))
  const kinds = new Map(JOB_KINDS.map((kind): [string, Columns] => [kind, empty()]))
  const used = new Set<string>()
  let other: Columns | undefined
  const breathe = createBreathing()
  for (const row of rows) {
    add(all, row)
    add(registries.get(row.registry ?? '') ?? (other ??= empty()), row)
    add(kinds.get(row.kind), row)
    used.add(row.kind)
    await breathe()
  }
  return {
    now,
    times,
    ...figuresOf(all),
    registries: [...registries].map(([registry, columns]) => ({ registry, ...figuresOf(columns) })),
    otherRegistries: other && figuresOf(other),
    kinds: [...kinds].filter(([kind]) => used.has(kind)).map(([kind, columns]) => ({ kind, ...figuresOf(columns) })),
  }
}

/** Buckets that are read at once: each may have some hundred rows. */
const AT_ONCE = 12

async function readRows(
  redis: Redis,
  { buckets, registry, kinds = JOB_KINDS }: Pick<StatsQuery, 'registry' | 'kinds'> & { buckets: readonly string[] },
): Promise<Row[]> {
  const names = kinds.map((kind) => `${kind} ${registry}`)
  const breathe = createBreathing()
  const rows: Row[] = []
  for (let first = 0; first < buckets.length; first += AT_ONCE) {
    const pipeline = redis.pipeline()
    for (const bucket of buckets.slice(first, first + AT_ONCE)) {
      if (registry === undefined) pipeline.hgetall(bucket)
      else pipeline.hmget(bucket, ...names)
    }
    for (const [nth, found] of pipelineResults(await pipeline.exec()).entries()) {
      const entries = Array.isArray(found)
        ? found.map((sums, at) => [names[at], sums])
        : Object.entries(found as object)
      for (const [name, sums] of entries) rows.push(...rowOf(first + nth, name, sums))
      await breathe()
    }
  }
  const wanted = new Set<string>(kinds)
  return rows.filter(({ kind }) => wanted.has(kind))
}

function rowOf(at: number, name: string, sums: string | null): Row[] {
  const [kind = '', registry] = name.split(' ')
  return sums === null ? [] : [{ at, kind, registry, sums: sums.split(' ').map(Number) }]
}

/** By all bytes of theirs, then by all jobs. */
function largest(rows: readonly Row[]): string[] {
  const weights = new Map<string, [bytes: number, jobs: number]>()
  for (const { registry, sums } of rows) {
    if (registry === undefined) continue
    const [begun = 0, succeeded = 0, failed = 0, canceled = 0, sent = 0, , received = 0] = sums
    const weight = weights.get(registry) ?? [0, 0]
    weights.set(registry, weight)
    weight[0] += sent + received
    weight[1] += begun + succeeded + failed + canceled
  }
  return [...weights]
    .toSorted(([a, one], [b, two]) => two[0] - one[0] || two[1] - one[1] || (a < b ? -1 : 1))
    .slice(0, MOST_REGISTRIES)
    .map(([name]) => name)
}

function add(columns: Columns | undefined, { at, sums }: Row): void {
  for (const [nth, column] of columns?.entries() ?? []) column[at] = (column[at] ?? 0) + (sums[nth] ?? 0)
}

function figuresOf([
  begun = [],
  succeeded = [],
  failed = [],
  canceled = [],
  sent = [],
  sentAgain = [],
  got = [],
  gotAgain = [],
]: Columns): Figures {
  const once = (all: number[], again: number[]): number[] => all.map((bytes, at) => bytes - (again[at] ?? 0))
  const series: Figures['series'] = {
    jobsBegun: begun,
    jobsSucceeded: succeeded,
    jobsFailed: failed,
    jobsCanceled: canceled,
    bytesSent: once(sent, sentAgain),
    wireBytesSent: sent,
    bytesReceived: once(got, gotAgain),
    wireBytesReceived: got,
  }
  const totals = Object.entries(series).map(([measure, figures]) => [
    measure,
    figures.reduce((sum, one) => sum + one, 0),
  ])
  return { totals: Object.fromEntries(totals) as Figures['totals'], series }
}
