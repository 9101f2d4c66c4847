import type { Redis } from 'ioredis'
import type { Job, Progress } from '../model/definitions.ts'
import type { JobAffair } from '../model/places.ts'
import { DOCUMENT_FIELDS, parseRecord } from '../record/record.ts'
import type { Keys } from '../redis/keys.ts'
import { guarded, pipelineResults } from '../redis/redis.ts'
import type { Subscriber } from '../redis/subscriber.ts'
import { isOlderEvent } from './event-id.ts'

/** As much of a job as says who is told of it. */
export type FleetFacts = JobAffair & Pick<Job, 'state' | 'labels'>

/** A job that came, went from one state to another, or was removed. */
export interface FleetChange {
  /** Of the stream's entry. */
  readonly id: string
  readonly jobId: string
  /** Goes up with each change of the job. */
  readonly revision: number
  /** States that it was in before; '' is none, that of a new job. */
  readonly from: readonly string[]
  readonly facts: FleetFacts
  readonly registries: readonly string[]
  /** As JSON; undefined: it was removed. */
  readonly job: string | undefined
  /** It is newer than its entry: another one may come that tells no more than this. */
  readonly ahead: boolean
}

/** A job as it moves along. */
export interface MovedJob {
  readonly jobId: string
  readonly facts: FleetFacts
  readonly registries: readonly string[]
  /** JobMove as JSON. */
  readonly row: string
}

export interface FleetListener {
  readonly onChange: (change: FleetChange) => void
  /** The job has new figures: `moved` has them. */
  readonly onMoved: (jobId: string) => void
  /** Changes may have been missed: replay from the last id. */
  readonly onGap: () => void
}

export interface FleetPage {
  readonly changes: FleetChange[]
  /** The next page goes on from there. */
  readonly lastId: string
  /** There is more by now. */
  readonly more: boolean
}

/** The read side of what happens to all jobs, whoever may see them. */
export interface FleetReader {
  /** Resolves once all that is told from now on is heard. */
  subscribe(listener: FleetListener): Promise<() => Promise<void>>
  /** Where the stream is now. */
  newest(): Promise<string>
  /**
   * What changed after the entry `afterId`, of at most `limit` entries: each job once, as it is now, in the order of its last
   * change. Undefined: more changed than is kept, or a job was removed so long ago that nobody knows who may hear of it.
   */
  replay(afterId: string, limit: number): Promise<FleetPage | undefined>
  moved(jobIds: readonly string[]): Promise<MovedJob[]>
}

interface Entry {
  readonly id: string
  readonly fields: Readonly<Record<string, string>>
}

export function createFleetReader(redis: Redis, subscriber: Subscriber, keys: Keys): FleetReader {
  return {
    async subscribe({ onChange, onMoved, onGap }) {
      const onMessage = (message: string) => {
        if (message.startsWith(MOVED)) onMoved(message.slice(MOVED.length))
        else onChange(parseChange(message))
      }
      const { listening, stop } = subscriber.listen(keys.fleet, { onMessage, onGap })
      try {
        await guarded(() => listening)
      } catch (error) {
        await stop()
        throw error
      }
      return stop
    },
    newest: () =>
      guarded(async () => {
        const [last] = await redis.xrevrange(keys.fleet, '+', '-', 'COUNT', 1)
        // An entry that says nothing: where an empty stream is cannot be told from where one is that lost all it had.
        return last?.[0] ?? (await redis.xadd(keys.fleet, '*', 'from', '')) ?? BEGINNING
      }),
    replay: (afterId, limit) => guarded(() => readPage(redis, keys, afterId, limit)),
    moved: (jobIds) => guarded(() => readMoved(redis, keys, jobIds)),
  }
}

const MOVED = 'moved|'
const BEGINNING = '0-0'
const REMOVED = 'removed'

/** As scripts/jobs/fleet.lua writes it. */
function parseChange(message: string): FleetChange {
  const [id = '', from = '', registries = '[]'] = message.split('|', 3)
  const rest = message.slice(id.length + from.length + registries.length + 3)
  const common = { id, registries: JSON.parse(registries) as string[], ahead: false }
  if (from !== REMOVED) {
    const job = JSON.parse(rest) as Job
    return { ...common, jobId: job.id, revision: job.revision, from: [from], facts: job, job: rest }
  }
  const bar = rest.indexOf('|')
  return gone(common, rest.slice(0, bar), rest.slice(bar + 1))
}

function gone(common: Pick<FleetChange, 'id' | 'registries' | 'ahead'>, jobId: string, affair: string): FleetChange {
  const facts = JSON.parse(affair) as FleetFacts
  return { ...common, jobId, revision: Number.POSITIVE_INFINITY, from: [facts.state], facts, job: undefined }
}

async function readPage(redis: Redis, keys: Keys, afterId: string, limit: number): Promise<FleetPage | undefined> {
  const reads = redis
    .multi()
    .xrange(keys.fleet, '-', '+', 'COUNT', 1)
    .xrange(keys.fleet, `(${afterId}`, '+', 'COUNT', limit)
  reads.xrevrange(keys.fleet, '+', '-', 'COUNT', 1)
  const [[first], found, [last]] = pipelineResults(await reads.exec()) as [Raw[], Raw[], Raw[]]
  // Another Redis than the one that gave the id, or one that went back.
  if (!first || !last || isOlderEvent(afterId, first[0]) || isOlderEvent(last[0], afterId)) return undefined
  const entries = found.map(([id, fields]) => ({ id, fields: pairs(fields) }))
  const changes = await changesOf(redis, keys, entries)
  return changes && { changes, lastId: entries.at(-1)?.id ?? afterId, more: entries.length === limit }
}

type Raw = [id: string, fields: string[]]

/** Each job once, in the place of its last entry: who stops in between goes on from the id that came last. */
async function changesOf(redis: Redis, keys: Keys, entries: readonly Entry[]): Promise<FleetChange[] | undefined> {
  const byJob = new Map<string, { last: Entry; from: string[] }>()
  for (const entry of entries) {
    const { job, from = '' } = entry.fields
    if (job === undefined) continue
    const before = byJob.get(job)?.from ?? []
    byJob.delete(job)
    byJob.set(job, { last: entry, from: [...before, from] })
  }
  const isRemoved = ({ last }: { last: Entry }) => last.fields['from'] === REMOVED
  const idsOf = (wanted: boolean) => [...byJob].filter(([, one]) => isRemoved(one) === wanted).map(([jobId]) => jobId)
  const [jobs, removed] = await Promise.all([
    readJobs(redis, keys, idsOf(false)),
    readRemoved(redis, keys, idsOf(true)),
  ])
  if (!removed) return undefined
  return [...byJob].flatMap(([jobId, one]) => {
    const { last, from } = one
    const { id, fields } = last
    if (isRemoved(one)) {
      const { registries, affair } = removed.get(jobId) ?? { registries: [], affair: '' }
      const change = gone({ id, registries, ahead: false }, jobId, affair)
      return [{ ...change, from: [...from.slice(0, -1), ...change.from] }]
    }
    const read = jobs.get(jobId)
    // Removed meanwhile: an entry behind these says so.
    if (!read) return []
    const { job, registries } = read
    const { revision } = job
    const ahead = revision > Number(fields['revision'])
    return [{ id, jobId, revision, from, facts: job, registries, job: JSON.stringify(job), ahead }]
  })
}

/** Undefined: of one of them it is known no more. */
async function readRemoved(
  redis: Redis,
  keys: Keys,
  jobIds: readonly string[],
): Promise<Map<string, { registries: string[]; affair: string }> | undefined> {
  if (jobIds.length === 0) return new Map()
  const texts = await redis.mget(jobIds.map((id) => keys.removedJob(id)))
  const found = texts.flatMap((text, at) => {
    if (text === null) return []
    const bar = text.indexOf('|')
    const registries = JSON.parse(text.slice(0, bar)) as string[]
    return [[jobIds[at] ?? '', { registries, affair: text.slice(bar + 1) }] as const]
  })
  return found.length === jobIds.length ? new Map(found) : undefined
}

async function readJobs(
  redis: Redis,
  keys: Keys,
  jobIds: readonly string[],
): Promise<Map<string, { job: Job; registries: string[] }>> {
  const records = await readFields(redis, keys, jobIds, ['registries', ...DOCUMENT_FIELDS])
  return new Map(
    jobIds.flatMap((id, at) => {
      const [registries, ...document] = records[at] ?? []
      const job = parseRecord(id, document)
      return job ? [[id, { job, registries: JSON.parse(registries ?? '[]') as string[] }] as const] : []
    }),
  )
}

const MOVED_FIELDS = [
  'state',
  'registries',
  'principal',
  'revision',
  'progress',
  'kind',
  'source',
  'destination',
  'labels',
  'result',
] as const

async function readMoved(redis: Redis, keys: Keys, jobIds: readonly string[]): Promise<MovedJob[]> {
  const records = await readFields(redis, keys, jobIds, MOVED_FIELDS)
  return jobIds.flatMap((jobId, at) => {
    const [state, registries, principal, revision, progress, ...fragments] = records[at] ?? []
    if (!state || !progress) return []
    const [kind, source, destination, labels, result] = fragments.map((text) => JSON.parse(text ?? 'null'))
    return [
      {
        jobId,
        facts: {
          state: state as Job['state'],
          kind,
          source,
          destination,
          labels,
          result,
          principal: principal ?? 'anonymous',
        },
        registries: JSON.parse(registries ?? '[]') as string[],
        row: `{"jobId":"${jobId}","revision":${revision},"progress":${JSON.stringify(shortened(JSON.parse(progress) as Progress))}}`,
      },
    ]
  })
}

/** What a list shows: the whole of it is three times as long, and comes twice a second for each job that runs. */
function shortened(progress: Progress): Partial<Progress> {
  const { phase, bytesDone, bytesTotal, bytesTotalEstimate, bytesPerSecond, etaSeconds, reason, retryAt } = progress
  const shown = { phase, bytesDone, bytesTotal, bytesTotalEstimate, bytesPerSecond, etaSeconds, reason, retryAt }
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== null))
}

async function readFields(
  redis: Redis,
  keys: Keys,
  jobIds: readonly string[],
  fields: readonly string[],
): Promise<Array<Array<string | null>>> {
  if (jobIds.length === 0) return []
  const pipeline = redis.pipeline()
  for (const id of jobIds) pipeline.hmget(keys.job(id), ...fields)
  return pipelineResults(await pipeline.exec()) as Array<Array<string | null>>
}

function pairs(fields: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: fields.length / 2 }, (_, at) => [fields[2 * at] ?? '', fields[2 * at + 1] ?? '']),
  )
}
