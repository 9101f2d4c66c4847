import { isLimited } from '../../access/limits.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { SystemLists, ToldList } from '../events/fleet-lists.ts'
import { MAX_PAGE_SIZE } from '../schemas/page.ts'
import type { Queue } from '../schemas/system/queue.ts'
import { firstQueues, type QueueSources } from './queue-list.ts'
import { workerPage } from './worker-list.ts'

/** What GET /v1/queues and /v1/workers show first, for a stream of all jobs; read once for all who see the same. */
export function createSystemLists(sources: QueueSources & { queue: Pick<JobQueue, 'workers'> }): SystemLists {
  return {
    async queues(views) {
      const pages = await firstQueues(sources, views)
      return pages.map((page) => ({ page, facts: () => JSON.stringify([page.items.map(factsOf), page.nextPageToken]) }))
    },
    async workers(views) {
      const all = views.every(isLimited) ? [] : await sources.queue.workers.all()
      const told = toldOf(all)
      return views.map((limits) => (isLimited(limits) ? toldOf([]) : told))
    },
    keyOf: (name, limits) =>
      name === 'workers' ? String(isLimited(limits)) : JSON.stringify([limits.registries, limits.repositories]),
  }

  function toldOf(workers: Parameters<typeof workerPage>[0]): ToldList {
    const page = workerPage(workers, { size: MAX_PAGE_SIZE })
    return { page, facts: () => JSON.stringify(page) }
  }
}

/** Without what changes by the mere going by of time. */
function factsOf({ oldestWaitingSeconds, reason, ...queue }: Queue): unknown[] {
  return [
    { ...queue, jobsPerMinute: 0 },
    oldestWaitingSeconds === null,
    reason?.replace(/is asked for nothing for \d+ s$/, ''),
  ]
}
