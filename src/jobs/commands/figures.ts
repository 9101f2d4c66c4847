import { JOB_STATES, type JobState } from '../model/definitions.ts'
import { timeOfJobId } from '../model/job-id.ts'
import { pipelineResults } from '../redis/redis.ts'
import type { JobStore } from './job-store.ts'
import { countWorkers } from '../system/worker-records.ts'

export interface JobFigures {
  /** Records by state. */
  readonly jobs: Readonly<Record<JobState, number>>
  /** Jobs that have not ended, by queue host. */
  readonly queues: ReadonlyArray<readonly [host: string, open: number]>
  /** Milliseconds; 0 when none is queued. */
  readonly oldestQueuedMs: number
  /** Jobs whose upload sessions somebody has to give up. */
  readonly leftUploads: number
  /** Processes that have said lately that they take jobs. */
  readonly workers: number
}

export async function readFigures({ redis, keys, scripts, clock }: JobStore): Promise<JobFigures> {
  const pipeline = redis.pipeline()
  for (const state of JOB_STATES) pipeline.zcard(keys.jobsInState(state))
  pipeline.zrange(keys.hosts, '0', '-1', 'WITHSCORES')
  pipeline.zrange(keys.jobsInState('queued'), '0', '0')
  pipeline.zcard(keys.tidy)
  const [found, { live }] = await Promise.all([pipeline.exec(), countWorkers({ keys, scripts })])
  const results = pipelineResults(found)
  const [hosts, oldest, leftUploads] = results.slice(JOB_STATES.length) as [string[], string[], number]
  const counts = JOB_STATES.map((state, at) => [state, results[at] as number])
  return {
    jobs: Object.fromEntries(counts) as Record<JobState, number>,
    queues: hosts.flatMap((host, at) => (at % 2 === 0 ? [[host, Number(hosts[at + 1])] as const] : [])),
    oldestQueuedMs: oldest[0] === undefined ? 0 : Math.max(0, clock.now() - timeOfJobId(oldest[0])),
    workers: live,
    leftUploads,
  }
}
