import type { Job } from '../../../src/jobs/model/definitions.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { RunContext } from '../../../src/worker/run-job.ts'
import { type JobWorker, startWorker, type WorkerOptions } from '../../../src/worker/worker.ts'
import { createJobRuns } from '../../../src/jobs/runs.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { newJob, RESULT, type TestJobs } from './jobs.ts'

/** A worker over the jobs' Redis, whose work is what the test says, registries or not. Ends with the test. */
export async function startInstantWorker(
  t: Cleanup,
  jobs: TestJobs,
  options: Pick<WorkerOptions, 'name' | 'jobs'> &
    Partial<WorkerOptions> & { run?: (job: Job, context: RunContext) => Promise<unknown> },
): Promise<JobWorker> {
  const { run, ...rest } = options
  const runs = createJobRuns(jobs.options)
  const worker = await startWorker({
    redis: jobs.options.redis,
    runs,
    work: {
      async publish(job, context) {
        await run?.(job, context)
        return RESULT
      },
    },
    giveUp: async () => true,
    logger: silentLogger,
    ...rest,
  })
  defer(t, async () => {
    await worker.stop(10_000)
    await runs.close()
  })
  return worker
}

/** Queues a job of the host; says its id. */
export async function addJob({ queue }: TestJobs, host: string): Promise<string> {
  const { job } = await queue.create(newJob({ destination: `oci://${host}/team`, queueHost: host, registries: [host] }))
  return job.id
}

export function hostOf(job: Job): string {
  return (job.destination ?? '').replace('oci://', '').split('/')[0] ?? ''
}
