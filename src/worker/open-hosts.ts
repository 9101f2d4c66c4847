import type { LookIntoQueues } from '../jobs/dispatch/look-queues.ts'
import type { HostConsumer } from './host-consumer.ts'
import { HostLine, type Turn } from './host-line.ts'

/** Each is a connection to Redis. */
const MOST_CONSUMERS = 64

export interface OpenHostsOptions {
  look: LookIntoQueues
  turn: Turn
  open(host: string): HostConsumer
  /** A consumer has left, and its connection is closed: others may sleep on what it was told before. */
  left(host: string): void
}

/** Hosts whose queues this process listens to, at most 64; the others wait for their turn. */
export class OpenHosts {
  readonly #options: OpenHostsOptions
  readonly #line: HostLine
  readonly #open = new Map<string, HostConsumer>()
  /** Those that take no more, and have jobs or a connection left. */
  readonly #leaving = new Set<HostConsumer>()
  /** How long a consumer that has found nothing waits for what was announced. */
  readonly #graces = new WeakMap<HostConsumer, number>()
  /** Connections that are being closed. */
  #closing = 0
  #closed = false
  #rests = false

  constructor(options: OpenHostsOptions) {
    this.#options = options
    this.#line = new HostLine(options.turn)
  }

  get hosts(): ReadonlySet<string> {
    return new Set(this.#open.keys())
  }

  get consumers(): HostConsumer[] {
    return [...this.#open.values()]
  }

  /** With those that end. */
  get all(): HostConsumer[] {
    return [...this.consumers, ...this.#leaving]
  }

  get size(): number {
    return this.#open.size
  }

  /** Somebody has told that the host has jobs: it stands in line until takeTurns(). */
  announce(host: string): void {
    if (!this.#open.has(host)) this.#line.join(host, true)
  }

  /** When there is no room for all, those stand in line that have something to take now. */
  async see(hosts: readonly string[]): Promise<void> {
    const shut = hosts.filter((host) => !this.#open.has(host))
    if (this.#open.size + shut.length <= MOST_CONSUMERS) {
      for (const host of shut) this.#line.join(host, false)
      return
    }
    const looks = await this.#options.look(shut)
    // Processes that went through the hosts in one order would all be at the same one.
    for (const host of shuffled(shut)) {
      if (this.#open.has(host) || !looks.get(host)?.takeable) this.#line.leave(host)
      else this.#line.join(host, false)
    }
    // Their consumers would do that.
    const unwatched = shut.filter((host) => !this.#open.has(host) && looks.get(host)?.active)
    const [any] = this.#open.values()
    if (any) await Promise.all(unwatched.map((host) => any.checkStalled(host)))
  }

  /** Opens consumers as far as there is room; else those give way that have had their turn. */
  takeTurns(): void {
    if (this.#closed || this.#rests) return
    while (this.#open.size + this.#closing < MOST_CONSUMERS) {
      const next = this.#line.next()
      if (!next) return
      const consumer = this.#options.open(next.host)
      this.#open.set(next.host, consumer)
      this.#graces.set(consumer, next.graceMs)
    }
    const now = performance.now()
    for (const consumer of this.#open.values()) {
      if (this.#line.length <= this.#closing) return
      if (this.#line.givesWay(consumer, this.#graces.get(consumer) ?? 0, now))
        void this.#leave(consumer, !consumer.idle)
    }
  }

  /** Closes consumers of these hosts that have no jobs. */
  async close(hosts: readonly string[]): Promise<void> {
    const resting = this.consumers.filter(({ host, active }) => active === 0 && hosts.includes(host))
    await Promise.all(resting.map((consumer) => this.#leave(consumer, false)))
  }

  /** Listens to none, or again to those that have something to take; what is being worked on goes on. */
  rest(rests: boolean): void {
    this.#rests = rests
    if (rests) for (const consumer of this.consumers) void this.#leave(consumer, true)
  }

  /** Opens no more. */
  async pause(): Promise<void> {
    this.#closed = true
    await Promise.all(this.all.map((consumer) => consumer.pause()))
  }

  async shutdown(): Promise<void> {
    this.#closed = true
    await Promise.all(this.all.map((consumer) => consumer.close()))
    this.#open.clear()
  }

  /** `back`: it may have more jobs, and comes again when the others had their turn. */
  async #leave(consumer: HostConsumer, back: boolean): Promise<void> {
    const { host } = consumer
    this.#open.delete(host)
    this.#leaving.add(consumer)
    this.#closing += 1
    if (back) this.#line.join(host, false)
    try {
      const { released, ended } = await consumer.leave()
      await released
      this.#closing -= 1
      this.#options.left(host)
      await ended
    } finally {
      this.#leaving.delete(consumer)
    }
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .toSorted((one, other) => one.order - other.order)
    .map(({ item }) => item)
}
