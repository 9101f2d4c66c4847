import type { Redis } from 'ioredis'
import type { WireRequest } from '../../content/wire-request.ts'
import type { Keys } from '../redis/keys.ts'
import { pipelineResults } from '../redis/redis.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'

/** A request of a job, and which of its runs made it. */
export type TracedRequest = WireRequest & { readonly attempt: number }

/** What is kept of a job's requests, oldest first, and how many are not kept any more. */
export interface JobTrace {
  readonly requests: readonly TracedRequest[]
  readonly dropped: number
}

/** Scripts write it (scripts/jobs/moves.lua): at most 2 MiB. */
export async function readTrace(redis: Redis, keys: Keys, id: string): Promise<JobTrace> {
  const reads = redis.multi().lrange(keys.trace(id), 0, -1).hget(keys.job(id), 'traceDropped')
  const [lines, dropped] = pipelineResults(await reads.exec()) as [string[], string | null]
  const breathe = createBreathing()
  const requests: TracedRequest[] = []
  for (const line of lines) {
    requests.push(JSON.parse(line) as TracedRequest)
    await breathe()
  }
  // They were written as they ended.
  return { requests: requests.toSorted((a, b) => a.startedAt - b.startedAt), dropped: Number(dropped ?? 0) }
}
