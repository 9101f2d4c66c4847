import { api, dataOf, problemOf } from '../../api/client.ts'
import type { Job, JobEvent, Problem, Transfer } from '../../api/types.ts'
import { rowsOf } from '../../api/lines.ts'
import { EventStream } from '../../api/stream.ts'
import { fleet } from '../../state/fleet.svelte.ts'

/** Rows that change at once are shown at once: thousands of them are arranged anew each time. */
const SHOWN_AFTER_MS = 100
/** After a refusal that may pass. */
const AGAIN_MS = 2000
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
  /** In the order in which they became known. */
  layers = $state.raw<readonly Transfer[]>([])
  lines = $state.raw<readonly LogLine[]>([])
  refused = $state.raw<Problem | undefined>()
  /** All rows of its layers are here. */
  complete = $state(false)
  readonly #id: string
  readonly #rows = new Map<string, Transfer>()
  /** Rows that the stream has told while all were being read: they are newer. */
  #told: Set<string> | undefined
  #showing: ReturnType<typeof setTimeout> | undefined
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
    void this.#asked(async () => this.#learn(await fleet.look(this.#id)))
    return () => {
      this.#closed = true
      clearTimeout(this.#showing)
      this.#stream?.close()
    }
  }

  /** After a retry the stream of an ended job begins anew. */
  reopen(): void {
    this.#stream?.close()
    this.open()
  }

  #take(event: JobEvent): void {
    // Of its layers it has but those that move; what changes while the others are read is told.
    if (event.type === 'snapshot') void this.#asked(() => this.#readAll())
    if ('job' in event && event.job) this.#learn(event.job)
    if ('progress' in event && event.progress && this.job) this.#learn({ ...this.job, progress: event.progress })
    if ('transfers' in event) this.#takeRows(event.transfers ?? [])
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

  /** What may be refused once alone is asked for again. */
  async #asked(question: () => Promise<void>): Promise<void> {
    for (let again = true; again && !this.#closed; ) {
      try {
        await question()
        this.refused = undefined
        return
      } catch (error) {
        const problem = problemOf(error)
        this.refused = problem
        again = problem.retryable
        if (again) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      }
    }
  }

  async #readAll(): Promise<void> {
    await this.#readLog()
    await this.#readLayers()
    this.complete = true
  }

  #takeRows(rows: readonly Transfer[]): void {
    for (const row of rows) {
      const key = keyOf(row)
      this.#rows.set(key, row)
      this.#told?.add(key)
    }
    this.#showSoon()
  }

  #showSoon(): void {
    this.#showing ??= setTimeout(() => {
      this.#showing = undefined
      this.layers = [...this.#rows.values()]
    }, SHOWN_AFTER_MS)
  }

  async #readLayers(): Promise<void> {
    const told = (this.#told = new Set<string>())
    const params = { path: { id: this.#id } }
    const headers = { accept: 'application/x-ndjson' }
    const body = await dataOf(api.GET('/v1/jobs/{id}/transfers', { params, headers, parseAs: 'stream' }))
    for await (const rows of rowsOf<Transfer>(body ?? new Blob().stream())) {
      if (this.#closed) return
      for (const row of rows) this.#place(row, told)
      this.#showSoon()
    }
    this.#told = undefined
  }

  /** Behind those before it, whatever the stream has told first. */
  #place(row: Transfer, told: ReadonlySet<string>): void {
    const key = keyOf(row)
    const newest = told.has(key) ? (this.#rows.get(key) ?? row) : row
    this.#rows.delete(key)
    this.#rows.set(key, newest)
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

const KEYS = new WeakMap<Transfer, string>()

/** A layer that stands in a package under two titles has two rows. Made once: lists ask for all of them with each change. */
export function keyOf(row: Transfer): string {
  let key = KEYS.get(row)
  if (key === undefined) KEYS.set(row, (key = `${row.digest} ${row.title}`))
  return key
}
