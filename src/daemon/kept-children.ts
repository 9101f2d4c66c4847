import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../lib/logger.ts'
import { type Child, type ChildCommand, type ChildEnd, startChild, type Surroundings } from './child.ts'

/** A place that is always to be filled. */
export interface KeptPlace {
  /** What the child is, in the log: worker, API. */
  readonly what: string
  /** What tells it apart there from others of its kind. */
  facts?(start: number): Readonly<Record<string, string>>
  /** For each start anew; counted from 1. */
  command(start: number): ChildCommand
  /** One has been started. */
  onStarted?(child: Child['process'], start: number): void
  /** One has ended, by itself or by a kill. False: no other takes its place. */
  onEnded(end: ChildEnd, start: number): boolean
}

const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 10_000
/** Who lived for so long was no failure to start. */
const STEADY_MS = 10_000

/** Children that this process starts again whenever they end, later and later where they don't last. */
export class KeptChildren {
  readonly #logger: Logger
  readonly #surroundings: Surroundings
  readonly #stopping = new AbortController()
  readonly #alive = new Set<Child['process']>()
  readonly #places: Array<Promise<void>> = []

  constructor({ logger, ...surroundings }: Surroundings & { logger: Logger }) {
    this.#logger = logger
    this.#surroundings = surroundings
  }

  keep(place: KeptPlace): void {
    this.#places.push(this.#fill(place))
  }

  /** Ends all in order: SIGTERM, and SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort()
    for (const child of this.#alive) child.kill('SIGTERM')
    const kill = setTimeout(() => {
      for (const child of this.#alive) child.kill('SIGKILL')
    }, graceMs)
    await Promise.all(this.#places)
    clearTimeout(kill)
  }

  async #fill(place: KeptPlace): Promise<void> {
    const { signal } = this.#stopping
    let failures = 0
    for (let start = 1; !signal.aborted; start += 1) {
      const startedAt = performance.now()
      const end = await this.#run(place, start)
      if (!place.onEnded(end, start) || signal.aborted) return
      failures = performance.now() - startedAt > STEADY_MS ? 0 : failures + 1
      const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1))
      this.#logger.error(
        { ...place.facts?.(start), ...end, pauseMs },
        `${place.what} has ended; another one takes its place`,
      )
      await delay(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #run(place: KeptPlace, start: number): Promise<ChildEnd> {
    let child: Child | undefined
    try {
      child = startChild(place.command(start), this.#surroundings)
      this.#alive.add(child.process)
      place.onStarted?.(child.process, start)
      return await child.ended
    } catch (error) {
      // A program that is not there, or no memory for another process.
      return { code: null, signal: null, reason: `it could not be started: ${(error as Error).message}` }
    } finally {
      if (child) this.#alive.delete(child.process)
    }
  }
}
