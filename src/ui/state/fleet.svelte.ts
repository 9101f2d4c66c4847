import { SvelteMap } from 'svelte/reactivity'
import { api, dataOf } from '../api/client.ts'
import type { FleetEvent, Job, JobMove, Queue, Worker } from '../api/types.ts'
import { EventStream, type StreamState } from '../api/stream.ts'
import { clock } from './clock.svelte.ts'

/** Most that are kept; of those that have ended the oldest go first. */
const MOST_JOBS = 5000

/** What is null is left out of a move. */
const UNSAID = {
  phase: null,
  bytesTotal: null,
  bytesTotalEstimate: null,
  bytesPerSecond: null,
  etaSeconds: null,
  reason: null,
  retryAt: null,
}

export type FleetListener = (event: FleetEvent) => void

/** What who looks may have to do with the system, beside jobs. */
export interface SystemRights {
  /** Queues and workers. */
  readonly sees: boolean
  /** And what is of all registries: the store, Redis, settings, figures. */
  readonly seesAll: boolean
  /** May pause and drain. */
  readonly steers: boolean
}

const NO_RIGHTS: SystemRights = { sees: false, seesAll: false, steers: false }

/** All that this tab has been told of, as it is now; one connection for all pages. */
class Fleet {
  readonly jobs = new SvelteMap<string, Job>()
  /** The first 200 by host; undefined: not told yet, or not to this caller. */
  queues = $state.raw<readonly Queue[] | undefined>()
  /** The first 200 by machine; undefined as there. */
  workers = $state.raw<readonly Worker[] | undefined>()
  /** Of which there are more than these. */
  more = $state.raw({ queues: false, workers: false })
  rights = $state.raw<SystemRights>(NO_RIGHTS)
  stream = $state<StreamState>('connecting')
  /** Another one after each gap: what was listed before may be stale, and is asked for again. */
  generation = $state(0)
  #open: EventStream<FleetEvent> | undefined
  readonly #listeners = new Set<FleetListener>()

  start(rights: SystemRights): void {
    if (this.#open === undefined) this.#follow(rights)
  }

  stop(): void {
    this.#open?.close()
    this.#open = undefined
    this.jobs.clear()
    this.#forgetSystem()
  }

  #follow(rights: SystemRights): void {
    this.rights = rights
    this.#open = new EventStream<FleetEvent>({
      address: rights.sees ? '/v1/events?include=queues&include=workers' : '/v1/events',
      onEvent: (event) => this.#take(event),
      onState: (state) => {
        this.stream = state
      },
      onRefused: ({ status }) => {
        this.stream = 'away'
        if (!rights.sees || status !== 403) return
        // The token may no longer read the system: its jobs it may.
        this.#forgetSystem()
        this.#follow(NO_RIGHTS)
      },
    })
  }

  #forgetSystem(): void {
    this.queues = undefined
    this.workers = undefined
    this.rights = NO_RIGHTS
  }

  listen(listener: FleetListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** What a list or a look brought; older than what is known it is no news. */
  learn(jobs: readonly Job[]): void {
    for (const job of jobs) {
      const known = this.jobs.get(job.id)
      if (known === undefined || known.revision <= job.revision) this.jobs.set(job.id, job)
    }
    this.#forget()
  }

  /** What an answer brought, until the stream tells it. */
  learnQueue(queue: Queue): void {
    this.queues = this.queues?.map((known) => (known.id === queue.id ? queue : known))
  }

  learnWorker(worker: Worker): void {
    this.workers = this.workers?.map((known) => (known.id === worker.id ? worker : known))
  }

  /** Throws Refusal. */
  async look(id: string): Promise<Job> {
    const job = await dataOf(api.GET('/v1/jobs/{id}', { params: { path: { id } } }))
    this.learn([job])
    return job
  }

  #take(event: FleetEvent): void {
    // Of changes the time may be that of a replay.
    if (event.type === 'progress' || event.type === 'ping') clock.told(event.time)
    // What became of these nobody tells any more; a snapshot follows, and pages ask for the rest anew.
    if (event.type === 'reset') this.jobs.clear()
    if (event.type === 'snapshot') {
      this.learn(event.jobs)
      this.generation += 1
    }
    if ('job' in event && event.job) this.learn([event.job])
    if (event.type === 'removed') this.jobs.delete(event.jobId)
    if (event.type === 'progress') this.#move(event.moved, event.time)
    this.#takeSystem(event)
    for (const listener of this.#listeners) listener(event)
  }

  #takeSystem(event: FleetEvent): void {
    if (event.type === 'queues') {
      this.queues = event.queues
      this.more = { ...this.more, queues: event.nextPageToken !== undefined }
    }
    if (event.type === 'workers') {
      this.workers = event.workers
      this.more = { ...this.more, workers: event.nextPageToken !== undefined }
    }
  }

  /** As much of their progress as lists show; what bytes are made of is told to who looks at the job alone. */
  #move(moved: readonly JobMove[], updatedAt: string): void {
    for (const { jobId, revision, progress } of moved) {
      const known = this.jobs.get(jobId)
      if (known === undefined || known.revision > revision) continue
      this.jobs.set(jobId, { ...known, revision, progress: { ...known.progress, ...UNSAID, ...progress, updatedAt } })
    }
  }

  #forget(): void {
    if (this.jobs.size <= MOST_JOBS) return
    for (const [id, { done }] of this.jobs) {
      if (done) this.jobs.delete(id)
      if (this.jobs.size <= MOST_JOBS) return
    }
  }
}

export const fleet = new Fleet()
