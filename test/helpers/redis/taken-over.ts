import type { Job } from '../../../src/jobs/model/definitions.ts'
import { waitFor } from '../wait-for.ts'
import type { JobSystem } from './job-system.ts'

/** Of both workers: short, as nobody frees the lock of one that was killed. */
const LOCK_MS = 3000

/** The job that `start` makes for a worker that is killed once so many bytes were sent, as another one ended it. */
export async function takenOver(system: JobSystem, sentBytes: number, start: () => Promise<Job>): Promise<Job> {
  const first = await system.workerProcess('first', { lockMs: LOCK_MS })
  const { id } = await start()
  await waitFor(`${sentBytes} bytes to be sent`, async () => {
    const { progress } = (await system.queue.get(id)) ?? {}
    return (progress?.bytesSent ?? 0) > sentBytes
  })
  await first.kill()
  await system.workerProcess('second', { lockMs: LOCK_MS })
  return await system.ended(id)
}
