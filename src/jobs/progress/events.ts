import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { type Logger, silentLogger } from '../../lib/logger.ts'
import type { JobEvent, Transfer } from '../model/definitions.ts'
import { plainReason } from '../model/plain-reasons.ts'
import { createKeys } from '../redis/keys.ts'
import { isEventId } from './event-id.ts'
import { createFleetReader, type FleetReader } from './fleet.ts'
import { DOCUMENT_FIELDS, parseRecord } from '../record/record.ts'
import { connectRedis, guarded, pipelineResults, type RedisTarget } from '../redis/redis.ts'
import { createSubscriber } from '../redis/subscriber.ts'

/** An event with the id of its Redis stream entry. */
export interface LoggedEvent {
  id: string
  event: JobEvent
}

/** The read side of the jobs' event streams; one subscriber connection a process. */
export interface JobEventReader {
  /** What happens to all jobs. */
  readonly fleet: FleetReader
  /**
   * Calls `onEvent` for each event of the job that is published from now on, and `onGap` when the subscription broke and
   * came back (replay from the last id then). Resolves once subscribed; call the result to stop.
   */
  subscribe(jobId: string, onEvent: (logged: LoggedEvent) => void, onGap: () => void): Promise<() => Promise<void>>
  /** Events after `afterId` (exclusive), oldest first, at most `limit`. */
  replay(jobId: string, afterId: string, limit: number): Promise<LoggedEvent[]>
  /** First and last id still kept, or undefined when the stream is empty or gone. */
  bounds(jobId: string): Promise<{ first: string; last: string } | undefined>
  /**
   * The job as it is now with the id of the last event it contains, read in one step: what is published with a higher id
   * goes on from it. Active and failed transfers only, at most 100. Undefined when there is no such job.
   */
  snapshot(jobId: string): Promise<LoggedEvent | undefined>
  close(): Promise<void>
}

export interface JobEventReaderOptions {
  redis: RedisTarget
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  clock?: Clock
  logger?: Logger
}

/** Rows of a snapshot: those that move or failed, so that a job of thousands of layers stays small. */
const SNAPSHOT_STATES: ReadonlySet<Transfer['state']> = new Set(['active', 'retrying', 'verifying', 'failed'])
const SNAPSHOT_TRANSFERS = 100

/** Opens two connections, one of them for the subscriptions. Calls throw QUEUE_UNAVAILABLE at once while Redis is gone. */
export function createJobEventReader(options: JobEventReaderOptions): JobEventReader {
  const { clock = systemClock, logger = silentLogger } = options
  const redis = connectRedis(options.redis, { role: 'api', name: 'layerd-events', logger })
  const subscriber = createSubscriber(options.redis, { name: 'layerd-subscriber', logger })
  const keys = createKeys(options.prefix)

  return {
    fleet: createFleetReader(redis, subscriber, keys),
    async subscribe(jobId, onEvent, onGap) {
      const onMessage = (message: string) => onEvent(parseMessage(message))
      const { listening, stop } = subscriber.listen(keys.events(jobId), { onMessage, onGap })
      try {
        await guarded(() => listening)
      } catch (error) {
        await stop()
        throw error
      }
      return stop
    },
    replay: (jobId, afterId, limit) =>
      guarded(async () => {
        if (!isEventId(afterId)) throw new AppError('REQUEST_INVALID', 'the event id is not one of a job')
        const entries = await redis.xrange(keys.events(jobId), `(${afterId}`, '+', 'COUNT', limit)
        return entries.map(([id, fields]) => ({ id, event: JSON.parse(fields[1] ?? '') as JobEvent }))
      }),
    bounds: (jobId) =>
      guarded(async () => {
        const stream = keys.events(jobId)
        const ends = redis.multi().xrange(stream, '-', '+', 'COUNT', 1).xrevrange(stream, '+', '-', 'COUNT', 1)
        const [[first] = [], [last] = []] = pipelineResults(await ends.exec()) as Array<Array<[string]>>
        return first && last ? { first: first[0], last: last[0] } : undefined
      }),
    snapshot: (jobId) => guarded(() => readSnapshot(jobId)),
    async close() {
      await subscriber.close()
      redis.disconnect()
    },
  }

  async function readSnapshot(jobId: string): Promise<LoggedEvent | undefined> {
    const reads = redis.multi().hmget(keys.job(jobId), 'lastEvent', 'seq', ...DOCUMENT_FIELDS)
    reads.lrange(keys.transferOrder(jobId), 0, -1).hgetall(keys.transfers(jobId))
    const [record, order, rows] = pipelineResults(await reads.exec()) as [
      Array<string | null>,
      string[],
      Record<string, string>,
    ]
    const [id, seq, ...document] = record
    const kept = parseRecord(jobId, document)
    if (!kept || !id) return undefined
    const job = { ...kept, reason: plainReason(kept) }
    const transfers = order
      .map((digest) => JSON.parse(rows[digest] ?? 'null') as Transfer | null)
      .filter((row) => row !== null && SNAPSHOT_STATES.has(row.state))
      .slice(0, SNAPSHOT_TRANSFERS) as Transfer[]
    const time = new Date(clock.now()).toISOString()
    return { id, event: { type: 'snapshot', jobId, seq: Number(seq), time, attempt: job.attempt, job, transfers } }
  }
}

function parseMessage(message: string): LoggedEvent {
  const bar = message.indexOf('|')
  return { id: message.slice(0, bar), event: JSON.parse(message.slice(bar + 1)) as JobEvent }
}
