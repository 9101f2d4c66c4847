import type { JobEvent } from '../../../src/jobs/model/definitions.ts'
import type { RunEvent } from '../../../src/jobs/progress/reports.ts'
import { startApp, type TestAppOptions } from './http-app.ts'
import { newJob } from '../redis/jobs.ts'

export const log = (message: string): RunEvent => ({ type: 'log', level: 'info', message })

export async function startJob(t: Parameters<typeof startApp>[0], options: TestAppOptions = {}) {
  const server = await startApp(t, options)
  const base = await server.listen()
  const { job } = await server.jobs.queue.create(newJob())
  const url = `${base}/v1/jobs/${job.id}/events`
  const kept = () => server.jobs.events.replay(job.id, '0-0', 10_000)
  const subscribers = async () => {
    const [, count] = (await server.jobs.raw.call('PUBSUB', 'NUMSUB', `{layerd}:job:${job.id}:events`)) as [
      string,
      number,
    ]
    return count
  }
  return { ...server, job, url, kept, subscribers }
}

export const typesOf = (events: ReadonlyArray<{ event: JobEvent }>) => events.map(({ event }) => event.type)

export const idsOf = (events: ReadonlyArray<{ id: string | undefined }>) => events.map(({ id }) => id)

/** Of the job's events: a heartbeat, as one comes after 15 s of silence, is none. */
export const jobIdsOf = (events: ReadonlyArray<{ id: string | undefined; event: JobEvent }>) =>
  idsOf(events.filter(({ event }) => event.type !== 'ping'))
