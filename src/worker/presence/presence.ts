import { hostname } from 'node:os'
import type { JobRuns } from '../../jobs/runs.ts'
import { handsOver, type WorkerFacts, type WorkerOrders } from '../../jobs/system/worker-records.ts'
import type { Logger } from '../../lib/logger.ts'
import type { OwnFigures } from './own-figures.ts'

/** How often it gives a sign at most while it works, and while it does not: a private Redis writes each to its disk. */
const BUSY_MS = 2000
const IDLE_MS = 5000
/** Redis' clock may have been set. */
const CLOCK_SLACK_MS = 1000

export interface PresenceOptions {
  runs: Pick<JobRuns, 'heartbeat'>
  /** Of this process alone. */
  id: string
  /** What people call it. */
  name: string
  /** Of layerd. */
  version: string
  /** Jobs that it takes at once. */
  places: number
  figures: OwnFigures
  /** Jobs that run, or are on their way into a run. */
  active: () => number
  /** Takes no more jobs, or takes them again; with `handOver` those that run go back to the queue. */
  obey(drain: { handOver: boolean } | undefined): void
  logger: Logger
}

/** Tells Redis that this worker is there and what it does, and hears whether it is drained. */
export interface Presence {
  /** Jobs that all workers take at once, as far as is known. */
  readonly allPlaces: number
  /** Resolves once Redis knows of it. */
  start(): Promise<void>
  /** A job came or went: it is told soon. */
  moved(): void
  /** There may be something to hear: it asks now. */
  ask(): void
  /** It takes no jobs any more, and ends. */
  end(): void
  /** Tells nothing more; resolves when nothing is under way. */
  close(): Promise<void>
}

export function createPresence(options: PresenceOptions): Presence {
  return new ToldPresence(options)
}

class ToldPresence implements Presence {
  readonly #options: PresenceOptions
  #allPlaces: number
  /** Redis' clock less performance.now(); undefined before it was heard. */
  #clock: number | undefined
  #obeyed = ''
  #ending = false
  #closed = false
  #telling: Promise<void> | undefined
  #again = false
  #timer: NodeJS.Timeout | undefined
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#allPlaces = options.places
  }

  get allPlaces(): number {
    return this.#allPlaces
  }

  async start(): Promise<void> {
    // The first sign brings the clock that the second one tells times by.
    await this.#tell()
    await this.#tell()
    this.#later(IDLE_MS)
  }

  moved(): void {
    this.#later(this.#obeyed === '' ? this.#toldAt + BUSY_MS - performance.now() : 0)
  }

  ask(): void {
    this.#later(0)
  }

  end(): void {
    this.#ending = true
    this.#later(0)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#telling
  }

  /** One at a time: while Redis is gone a call waits for it. */
  #later(ms: number): void {
    if (this.#closed) return
    if (this.#telling) {
      this.#again ||= ms <= 0
      return
    }
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#turn(), Math.max(0, ms))
  }

  #turn(): void {
    this.#again = false
    this.#telling = this.#tell()
      .catch((error: unknown) => this.#options.logger.warn({ err: error }, 'telling of this worker failed'))
      .finally(() => {
        this.#telling = undefined
        const busy = this.#options.active() > 0 ? BUSY_MS : IDLE_MS
        this.#later(this.#again ? 0 : busy)
      })
  }

  async #tell(): Promise<void> {
    const { runs, id, places, active } = this.#options
    const facts = this.#facts()
    const obeyed = this.#obeyed
    const sentAt = performance.now()
    this.#toldAt = sentAt
    const orders = await runs.heartbeat(id, {
      places: this.#ending ? 0 : places,
      obeyed,
      rests: obeyed !== '' && active() === 0,
      ...(facts ? { facts } : {}),
    })
    this.#hear(orders, sentAt)
  }

  #hear({ places, drain, now }: WorkerOrders, sentAt: number): void {
    this.#allPlaces = places
    const clock = now - (sentAt + performance.now()) / 2
    const known = this.#clock
    if (known === undefined || Math.abs(clock - known) > CLOCK_SLACK_MS) this.#clock = clock
    if (this.#ending || drain === this.#obeyed) return
    this.#obeyed = drain
    this.#options.obey(drain === '' ? undefined : { handOver: handsOver(drain) })
    this.#again = true
  }

  #facts(): WorkerFacts | undefined {
    const clock = this.#clock
    if (clock === undefined) return undefined
    const { name, version, places, figures } = this.#options
    const at = (time: number): number => Math.round(clock + time)
    return {
      name,
      version,
      host: hostname(),
      pid: process.pid,
      // Where performance.now() begins.
      since: at(0),
      jobs: figures.jobs.map(({ id, kind, since }) => ({ id, kind, since: at(since) })),
      places,
      ...figures.take(),
      ending: this.#ending,
    }
  }
}
