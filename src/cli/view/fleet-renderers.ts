import type { FleetEvent, Job } from '../client/contract.ts'
import { screenColumns, type Terminal } from '../client/terminal.ts'
import { visible } from '../../lib/text.ts'
import { jobsTable, packageOf } from './job-table.ts'

/** Shows what happens to all jobs in one manner. */
export interface FleetRenderer {
  event(event: FleetEvent): void
  /** Gives the screen back. */
  stop(): void
}

/** Jobs that are known at once: the oldest ended ones are forgotten. */
const MAX_KNOWN = 1000

/** The list that a stream keeps (docs/integrate.md), those that have not ended first. */
export class FleetList {
  readonly #jobs = new Map<string, Job>()

  apply(event: FleetEvent): void {
    switch (event.type) {
      case 'reset':
        return this.#jobs.clear()
      case 'snapshot':
        this.#jobs.clear()
        for (const job of event.jobs) this.#jobs.set(job.id, job)
        return
      case 'removed':
        return void this.#jobs.delete(event.jobId)
      case 'progress':
        for (const { jobId, revision, progress } of event.moved) this.#move(jobId, revision, progress)
        return
      case 'created':
      case 'state':
      case 'end':
        return this.#put(event)
    }
  }

  get jobs(): Job[] {
    return [...this.#jobs.values()].toSorted((a, b) => Number(a.done) - Number(b.done) || (a.id < b.id ? 1 : -1))
  }

  #put({ job, matches }: Extract<FleetEvent, { type: 'state' | 'created' | 'end' }>): void {
    if (!matches) return void this.#jobs.delete(job.id)
    if (job.revision < (this.#jobs.get(job.id)?.revision ?? 0)) return
    this.#jobs.set(job.id, job)
    if (this.#jobs.size > MAX_KNOWN) this.#jobs.delete(this.jobs.at(-1)?.id ?? '')
  }

  #move(id: string, revision: number, moved: Partial<Job['progress']>): void {
    const job = this.#jobs.get(id)
    if (!job || job.revision > revision) return
    this.#jobs.set(id, { ...job, revision, progress: { ...job.progress, ...LEFT_OUT, ...moved } })
  }
}

/** What is null is not told. */
const LEFT_OUT = {
  phase: null,
  bytesTotal: null,
  bytesTotalEstimate: null,
  bytesPerSecond: null,
  etaSeconds: null,
  reason: null,
  retryAt: null,
} as const

const REDRAWN_MS = 250

/** A table that is drawn over itself, as far as the screen has room, with the time of each job as it passes. */
export function fleetScreen(terminal: Terminal, limit: number): FleetRenderer {
  const { canvas, stderr } = terminal
  const list = new FleetList()
  let drawn = 0
  const draw = () => {
    const jobs = list.jobs.slice(0, limit)
    const columns = screenColumns(stderr) ?? 80
    const table = jobs.length === 0 ? 'no jobs\n' : jobsTable(jobs, { now: Date.now(), columns })
    const lines = visible(table, '\n')
      .trimEnd()
      .split('\n')
      .slice(0, Math.max(1, (stderr.rows || 24) - 1))
    canvas.write(`${drawn === 0 ? '' : `\u001B[${drawn}A`}\u001B[J${lines.join('\n')}\n`)
    drawn = lines.length
  }
  let dirty = false
  const timer = setInterval(() => {
    if (dirty || list.jobs.some(({ done }) => !done)) draw()
    dirty = false
  }, REDRAWN_MS)
  return {
    event(event) {
      list.apply(event)
      if (event.type === 'snapshot') draw()
      else dirty = true
    },
    stop() {
      clearInterval(timer)
      draw()
    },
  }
}

/** A line for each change that it shows, for logs and pipes; or the job's id alone. */
export function fleetLines({ stdout }: Terminal, quiet: boolean): FleetRenderer {
  /** Of jobs that have not ended. */
  const said = new Map<string, string>()
  return {
    event(event) {
      if (event.type === 'reset' && !quiet) stdout.write('more happened than is kept; it goes on from here\n')
      if (!('jobId' in event)) return
      const { jobId, time } = event
      const text = changeText(event)
      if (said.get(jobId) === text) return
      if (event.type === 'end' || event.type === 'removed') said.delete(jobId)
      else said.set(jobId, text)
      stdout.write(quiet ? `${jobId}\n` : `${time} ${jobId} ${text}\n`)
    },
    stop: () => undefined,
  }
}

function changeText(event: Extract<FleetEvent, { jobId: string }>): string {
  if (event.type === 'removed') return 'removed'
  const { kind, state, error, reason, source, destination } = event.job
  const why = error?.code ?? reason
  const about = packageOf(event.job) || source
  const way = destination === null ? '' : ` -> ${destination}`
  return `${state} ${kind} ${about}${way}${why === null || why === undefined ? '' : ` (${why})`}`
}
