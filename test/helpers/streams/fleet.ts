import type { Queue } from '../../../src/http/schemas/system/queue.ts'
import type { Worker } from '../../../src/http/schemas/system/worker.ts'
import type { Job, JobState } from '../../../src/jobs/model/definitions.ts'
import { waitFor } from '../wait-for.ts'
import { serverSentEvents } from './sse-client.ts'

export interface FleetEvent {
  readonly id: string | undefined
  readonly type: string
  readonly jobId?: string
  readonly revision?: number
  readonly matches?: boolean
  readonly job?: Job
  readonly jobs?: Job[]
  readonly moved?: Array<Pick<Job, 'revision'> & { jobId: string; progress: Partial<Job['progress']> }>
  readonly queues?: Queue[]
  readonly workers?: Worker[]
  readonly nextPageToken?: string
}

export interface FleetWatch {
  readonly events: FleetEvent[]
  /** Settles when the stream has ended, in whatever way. */
  readonly ended: Promise<void>
  cut(): void
  lastId(): string | undefined
  /** `type state` of each change so far, without the ids of jobs. */
  told(): string[]
}

/** Opens a stream of all jobs, and waits until something came: it hears of everything from then on. */
export async function watchFleet(url: string, headers: Record<string, string> = {}): Promise<FleetWatch> {
  const controller = new AbortController()
  const response = await fetch(url, { headers, signal: controller.signal })
  const events: FleetEvent[] = []
  const read = async () => {
    for await (const { id, event, data } of serverSentEvents(response)) {
      const parsed = JSON.parse(data) as FleetEvent
      if (parsed.type !== event) throw new Error(`the event "${event}" carries a ${parsed.type}`)
      events.push({ ...parsed, id })
    }
  }
  if (!response.ok) throw new Error(`no stream: HTTP ${response.status} ${await response.text()}`)
  const ended = read().catch(() => {})
  await Promise.race([ended, waitFor('the first event', () => events.length > 0)])
  return {
    events,
    ended,
    cut: () => controller.abort(),
    lastId: () => events.findLast(({ id }) => id !== undefined)?.id,
    told: () => changesOf(events).map(({ type, job }) => (job ? `${type} ${job.state}` : type)),
  }
}

export function changesOf(events: readonly FleetEvent[]): FleetEvent[] {
  return events.filter(({ type }) => ['created', 'state', 'end', 'removed'].includes(type))
}

/** The list that a client keeps by a stream, as docs/integrate.md says: job -> state. */
export function listBy(events: readonly FleetEvent[]): Map<string, JobState> {
  const jobs = new Map<string, Job>()
  for (const { type, jobId = '', job, matches, jobs: all = [] } of events) {
    if (type === 'reset' || type === 'snapshot') jobs.clear()
    if (type === 'snapshot') for (const one of all) jobs.set(one.id, one)
    if (type === 'removed' || matches === false) jobs.delete(jobId)
    else if (job && job.revision > (jobs.get(jobId)?.revision ?? -1)) jobs.set(jobId, job)
  }
  return new Map([...jobs].map(([id, { state }]) => [id, state]))
}
