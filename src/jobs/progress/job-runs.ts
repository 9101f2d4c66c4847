import type { Redis } from 'ioredis'
import type { Progress } from '../model/definitions.ts'
import type { JobRun, JobRuns } from '../model/job-run.ts'
import type { Keys } from '../redis/keys.ts'
import { pipelineResults } from '../redis/redis.ts'

/** A run as scripts/jobs/runs.lua keeps it; what has no end is under way. Times in ms. */
interface KeptRun extends Pick<JobRun, 'run' | 'attempt' | 'worker'>, Pick<JobRun['began'], 'cause' | 'by'> {
  startedAt: number
  waitedSince: number | null
  bytesBefore: number
  layersBefore: number
}

interface KeptEnd extends Omit<NonNullable<JobRun['ended']>, 'by'>, Pick<JobRun, 'looks'> {
  endedAt: number
  endedBy: string | null
  bytesAfter: number
  layersAfter: number
}

/** Oldest first. */
export async function readRuns(redis: Redis, keys: Keys, id: string): Promise<JobRuns> {
  const reads = redis.multi().hgetall(keys.runs(id)).hmget(keys.job(id), 'runs', 'attempt', 'progress')
  const [kept, [runs, attempt, progress]] = pipelineResults(await reads.exec()) as [
    Record<string, string>,
    Array<string | null>,
  ]
  const now = JSON.parse(progress ?? 'null') as Progress | null
  const items = Object.entries(kept)
    .filter(([name]) => !name.endsWith(END))
    .map(([number, begun]) => toRun(membersOf(begun) as KeptRun, endOf(kept[`${number}${END}`]), now))
    .toSorted((a, b) => a.run - b.run)
  // A job from before runs were kept has attempts alone.
  return { items, leftOut: Math.max(0, Number(runs ?? attempt ?? 0) - items.length) }
}

const END = ':end'

function endOf(members: string | undefined): KeptEnd | undefined {
  return members === undefined ? undefined : (membersOf(members) as KeptEnd)
}

function membersOf(members: string): unknown {
  return JSON.parse(`{${members}}`)
}

/** `now`: how far the job is, for a run that is under way. */
function toRun(begun: KeptRun, end: KeptEnd | undefined, now: Progress | null): JobRun {
  const { run, attempt, worker, cause, by } = begun
  const bytes = end?.bytesAfter ?? now?.wireBytes ?? 0
  const layers = end?.layersAfter ?? now?.layers.done ?? 0
  return {
    run,
    attempt,
    worker,
    began: { cause, by, waitedSince: begun.waitedSince === null ? null : isoOf(begun.waitedSince) },
    ended: end ? told(end) : null,
    startedAt: isoOf(begun.startedAt),
    endedAt: end ? isoOf(end.endedAt) : null,
    bytesMoved: Math.max(0, bytes - begun.bytesBefore),
    layersDone: Math.max(0, layers - begun.layersBefore),
    looks: end?.looks ?? 1,
  }
}

function told({ outcome, state, endedBy: by, reason, problem, retryAt }: KeptEnd): JobRun['ended'] {
  return { outcome, state, by, reason, problem, retryAt }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}
