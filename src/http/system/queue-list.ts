import type { Limits } from '../../access/limits.ts'
import { registryPlaceId } from '../../content/reference.ts'
import { allowsQueue } from '../../jobs/model/places.ts'
import { pauseText, type QueuePause } from '../../jobs/model/queue-pause.ts'
import type { RegistryLimits } from '../../jobs/model/registry-record.ts'
import type { PageOf } from '../../jobs/model/requests.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { RegistryRecords } from '../../jobs/registries/registry-records.ts'
import type { QueueFigures } from '../../jobs/system/queues.ts'
import { MAX_PAGE_SIZE } from '../schemas/page.ts'
import type { Queue } from '../schemas/system/queue.ts'

export interface QueueSources {
  queue: Pick<JobQueue, 'queues' | 'liveWorkers'>
  registries: Pick<RegistryRecords, 'limitsOf' | 'refresh'>
}

/** As GET /v1/queues has them. Throws QUEUE_UNAVAILABLE. */
export async function toldQueues(
  { queue, registries }: QueueSources,
  figures: readonly QueueFigures[],
): Promise<Queue[]> {
  const [workers] = await Promise.all([queue.liveWorkers(), registries.refresh()])
  return figures.map((one) => toldQueue(one, { workers, limitsOf: (host) => registries.limitsOf(host) }))
}

/** For each of these limits the first page of what it lets see: all hosts are gone through once, and read once. Throws QUEUE_UNAVAILABLE. */
export async function firstQueues(sources: QueueSources, all: readonly Limits[]): Promise<Array<PageOf<Queue>>> {
  const { queues } = sources.queue
  const views = all.map((limits) => ({ limits, hosts: [] as string[] }))
  const isFull = ({ hosts }: { hosts: string[] }) => hosts.length > MAX_PAGE_SIZE
  await queues.hosts({
    most: 1,
    isSeen: (host) => {
      for (const view of views) if (!isFull(view) && allowsQueue(view.limits, host)) view.hosts.push(host)
      return views.every(isFull)
    },
  })
  const hosts = new Set(views.flatMap((view) => view.hosts.slice(0, MAX_PAGE_SIZE)))
  const figures = hosts.size === 0 ? [] : await queues.figures([...hosts])
  const found = figures.length === 0 ? [] : await toldQueues(sources, figures)
  const byHost = new Map(found.map((one) => [one.host, one] as const))
  return views.map((view) => {
    const items = view.hosts.slice(0, MAX_PAGE_SIZE).flatMap((host) => byHost.get(host) ?? [])
    const last = items.at(-1)
    return { items, ...(last && isFull(view) ? { nextPageToken: queueToken(last.host) } : {}) }
  })
}

/** A page goes on behind it. */
export function queueToken(host: string): string {
  return Buffer.from(host).toString('base64url')
}

interface Surroundings {
  /** Processes that take jobs. */
  readonly workers: number
  readonly limitsOf: (host: string) => RegistryLimits | undefined
}

function toldQueue(figures: QueueFigures, { workers, limitsOf }: Surroundings): Queue {
  const { host, jobs, oldestMs, jobsPerMinute, limits, pause } = figures
  const set = limitsOf(host)?.requestsPerSecond ?? Number.POSITIVE_INFINITY
  const { learntPerSecond: learnt = Number.POSITIVE_INFINITY } = limits
  const requests =
    learnt < set ? { value: rounded(learnt), from: 'learnt' as const } : { value: set, from: 'setting' as const }
  return {
    id: registryPlaceId(host),
    host,
    jobs,
    oldestWaitingSeconds: oldestMs === undefined ? null : Math.floor(oldestMs / 1000),
    jobsPerMinute: rounded(jobsPerMinute),
    limits: { jobs: limits.jobs, requestsPerSecond: Number.isFinite(requests.value) ? requests : null },
    pause: pause === undefined ? null : toldPause(pause),
    reason: reasonOf(figures, workers),
  }
}

function toldPause({ by, sinceMs, reason }: QueuePause): NonNullable<Queue['pause']> {
  return { by, since: new Date(sinceMs).toISOString(), reason }
}

function reasonOf({ host, jobs, limits, registryPause, pause }: QueueFigures, workers: number): string | null {
  if (jobs.waiting === 0) return null
  if (pause !== undefined) return pauseText(host, pause)
  if (workers === 0) return 'no worker is running'
  if (registryPause !== undefined) {
    const seconds = Math.ceil(registryPause.ms / 1000)
    return `${host} answered ${registryPause.status}, and is asked for nothing for ${seconds} s`
  }
  const most = limits.jobs.value
  if (jobs.running >= most) return `${host} has all ${most} jobs that it may have at once`
  return null
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
