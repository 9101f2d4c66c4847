import { SvelteMap } from 'svelte/reactivity'
import { api, dataOf, problemOf } from '../../api/client.ts'
import type { Job, JobEvent, Problem, Transfer } from '../../api/types.ts'
import { EventStream } from '../../api/stream.ts'
import { fleet } from '../../state/fleet.svelte.ts'

const PAGE = 200
/** Log lines that are kept on the page; all are in the log itself. */
const MOST_LINES = 500

export interface LogLine {
  readonly time: string
  readonly level: string
  readonly message: string
}

/** A job with its layers and its log, as they are now. */
export class WatchedJob {
  job = $state.raw<Job | undefined>()
  readonly layers = new SvelteMap<string, Transfer>()
  lines = $state.raw<readonly LogLine[]>([])
  refused = $state.raw<Problem | undefined>()
  /** All rows of its layers are here. */
  complete = $state(false)
  readonly #id: string
  #stream: EventStream<JobEvent> | undefined
  #closed = false

  constructor(id: string) {
    this.#id = id
  }

  open(): () => void {
    this.#stream = new EventStream<JobEvent>({
      address: `/v1/jobs/${encodeURIComponent(this.#id)}/events`,
      onEvent: (event) => this.#take(event),
      onState: () => undefined,
      onRefused: (problem) => {
        this.refused = problem
      },
      isLast: (event) => event.type === 'end',
    })
    void this.#readAll()
    return () => {
      this.#closed = true
      this.#stream?.close()
    }
  }

  /** After a retry the stream of an ended job begins anew. */
  reopen(): void {
    this.#stream?.close()
    this.open()
  }

  #take(event: JobEvent): void {
    if ('job' in event && event.job) this.#learn(event.job)
    if ('progress' in event && event.progress && this.job) this.#learn({ ...this.job, progress: event.progress })
    if ('transfers' in event) for (const one of event.transfers ?? []) this.layers.set(keyOf(one), one)
    if (event.type === 'log') this.#say(event.time, event.level ?? 'info', event.message ?? '')
    if (event.type === 'warning') this.#say(event.time, 'warn', event.message ?? '')
  }

  #learn(job: Job): void {
    this.job = job
    fleet.learn([job])
  }

  #say(time: string, level: string, message: string): void {
    this.lines = [...this.lines, { time, level, message }].slice(-MOST_LINES)
  }

  /** Pages of all layers; what the stream has told meanwhile is newer. */
  async #readAll(): Promise<void> {
    try {
      this.#learn(await fleet.look(this.#id))
      await this.#readLog()
      await this.#readLayers()
      this.complete = true
    } catch (error) {
      this.refused = problemOf(error)
    }
  }

  async #readLayers(): Promise<void> {
    const told = new Set(this.layers.keys())
    let pageToken: string | undefined
    do {
      const query = { pageSize: PAGE, ...(pageToken === undefined ? {} : { pageToken }) }
      const params = { path: { id: this.#id }, query }
      const page = await dataOf(api.GET('/v1/jobs/{id}/transfers', { params }))
      for (const one of page.items) if (!told.has(keyOf(one))) this.layers.set(keyOf(one), one)
      pageToken = page.nextPageToken
    } while (pageToken !== undefined && !this.#closed)
  }

  async #readLog(): Promise<void> {
    const params = { path: { id: this.#id } }
    const headers = { accept: 'application/x-ndjson' }
    const text = await dataOf(api.GET('/v1/jobs/{id}/logs', { params, headers, parseAs: 'text' }))
    this.lines = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine)
      .slice(-MOST_LINES)
  }
}

/** A layer that stands in a package under two titles has two rows. */
export function keyOf({ digest, title }: Transfer): string {
  return `${digest} ${title}`
}
