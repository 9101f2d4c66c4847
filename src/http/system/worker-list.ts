import type { Page, PageOf } from '../../jobs/model/requests.ts'
import type { KeptWorker } from '../../jobs/system/worker-records.ts'
import { placedPage } from '../answers/placed-page.ts'
import type { Worker } from '../schemas/system/worker.ts'

const BY_HOST = { place: ({ host, name, id }: KeptWorker) => [host, name, id], isId: (text: string) => text !== '' }

/** As GET /v1/workers has them. Throws REQUEST_INVALID. */
export function workerPage(workers: readonly KeptWorker[], page: Page): PageOf<Worker> {
  const { items, ...more } = placedPage(workers, page, BY_HOST)
  return { ...more, items: items.map(toldWorker) }
}

export function toldWorker({ since, drain, jobs, lastSeen, ...worker }: KeptWorker): Worker {
  const time = (ms: number): string => new Date(ms).toISOString()
  return {
    ...worker,
    since: time(since),
    drain: drain && { ...drain, since: time(drain.since) },
    jobs: jobs.map((job) => ({ ...job, since: time(job.since) })),
    lastSeenAt: time(lastSeen),
  }
}
