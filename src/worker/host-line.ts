/** Jobs of one host, or time, after which it gives way to hosts that wait for a connection. */
export interface Turn {
  jobs: number
  ms: number
}

export const DEFAULT_TURN: Turn = { jobs: 8, ms: 60_000 }

/** The API tells of a host before BullMQ has its job. */
const FRESH_MS = 1000

/** What it knows of a consumer. */
interface Served {
  readonly openedAt: number
  readonly active: number
  readonly taken: number
  readonly idle: boolean
}

/** Hosts that wait for a consumer of this process, first come first served. */
export class HostLine {
  readonly #turn: Turn
  /** Whether somebody has just told that it has jobs. */
  readonly #waiting = new Map<string, boolean>()

  constructor(turn: Turn) {
    this.#turn = turn
  }

  get length(): number {
    return this.#waiting.size
  }

  join(host: string, fresh: boolean): void {
    if (!this.#waiting.has(host)) this.#waiting.set(host, fresh)
  }

  leave(host: string): void {
    this.#waiting.delete(host)
  }

  next(): { host: string; graceMs: number } | undefined {
    const [first] = this.#waiting
    if (first === undefined) return undefined
    const [host, fresh] = first
    this.#waiting.delete(host)
    return { host, graceMs: fresh ? FRESH_MS : 0 }
  }

  /** Whether a consumer gives way to who waits: it has nothing to do, or has had its turn. One that was not served yet stays. */
  givesWay({ openedAt, active, taken, idle }: Served, graceMs: number, now: number): boolean {
    if (idle && active === 0 && (taken > 0 || now - openedAt >= graceMs)) return true
    return taken >= this.#turn.jobs || (taken > 0 && now - openedAt >= this.#turn.ms)
  }
}
