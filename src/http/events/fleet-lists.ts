import type { Limits } from '../../access/limits.ts'
import type { Principal } from '../../access/principal.ts'
import type { PageOf } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import type { EventClient } from './event-client.ts'
import { ListMessage } from './fleet-messages.ts'

export const LIST_NAMES = ['queues', 'workers'] as const
export type ListName = (typeof LIST_NAMES)[number]

/** The first page of a list. */
export interface ToldList {
  readonly page: PageOf<unknown>
  /** What of it is told as soon as it changes; the rest every ten seconds. */
  facts(): string
}

/** Calls throw QUEUE_UNAVAILABLE. */
export interface SystemLists
  extends Readonly<Record<ListName, (views: readonly Limits[]) => Promise<readonly ToldList[]>>> {
  /** Limits of one key see the same. */
  keyOf(name: ListName, limits: Limits): string
}

export interface FleetListsOptions {
  readonly lists: SystemLists
  readonly logger: Logger
  /** How often queues are read while somebody watches them; workers half as often. Default 1 s. */
  readonly listsMs?: number | undefined
}

/** A place among those who watch lists. */
export interface ListsPlace {
  readonly messages: readonly ListMessage[]
  /** From now on they are told to the client, until it is closed. */
  attach(client: EventClient): void
  /** Instead of that. */
  leave(): void
}

/** Those who see the same of a list. */
interface Group {
  readonly name: ListName
  readonly key: string
  readonly limits: Limits
  readonly clients: Set<EventClient>
  /** Clients, and those about to begin. */
  held: number
  first: Promise<void>
  last: ListMessage | undefined
  told: { readonly message: ListMessage; readonly facts: string; readonly at: number } | undefined
}

/** What merely goes on with time, as how long a job waits, is told so often. */
const DRIFT_MS = 10_000
/** Each host is judged for each of these, once a second. */
const MAX_GROUPS = 100
const RETRY_AFTER_MS = 5000

/** Queues and workers in streams of all jobs: read while somebody has asked for them, once for all, and told as wholes when they changed. */
export class FleetLists {
  readonly #options: FleetListsOptions
  readonly #groups = new Map<string, Group>()
  readonly #breathe = createBreathing()
  #ticks: NodeJS.Timeout | undefined
  #count = 0
  readonly #reading = new Set<ListName>()

  constructor(options: FleetListsOptions) {
    this.#options = options
  }

  /** Throws QUEUE_UNAVAILABLE, STREAMS_TOO_MANY. */
  async join({ limits }: Pick<Principal, 'limits'>, names: readonly ListName[]): Promise<ListsPlace> {
    const groups: Group[] = []
    const leave = () => {
      for (const group of groups) this.#letGo(group)
    }
    try {
      for (const name of LIST_NAMES) if (names.includes(name)) groups.push(this.#hold(name, limits))
      await Promise.all(groups.map(({ first }) => first))
    } catch (error) {
      leave()
      throw error
    }
    return {
      get messages() {
        return groups.flatMap(({ last }) => last ?? [])
      },
      attach(client) {
        for (const { last } of groups) if (last) client.send(last)
        for (const { clients } of groups) clients.add(client)
        client.onClose(() => {
          for (const { clients } of groups) clients.delete(client)
          leave()
        })
      },
      leave,
    }
  }

  #hold(name: ListName, limits: Limits): Group {
    const key = `${name} ${this.#options.lists.keyOf(name, limits)}`
    const known = this.#groups.get(key)
    if (known) {
      known.held += 1
      return known
    }
    if (this.#groups.size >= MAX_GROUPS) throw tooMany()
    const group: Group = {
      name,
      key,
      limits,
      clients: new Set(),
      held: 1,
      first: Promise.resolve(),
      last: undefined,
      told: undefined,
    }
    this.#groups.set(key, group)
    group.first = this.#read([group])
    // Who waits for it is told; the place may be given up before.
    group.first.catch(() => {})
    this.#ticks ??= setInterval(() => this.#tick(), this.#options.listsMs ?? 1000).unref()
    return group
  }

  #letGo(group: Group): void {
    group.held -= 1
    if (group.held > 0) return
    this.#groups.delete(group.key)
    if (this.#groups.size > 0) return
    clearInterval(this.#ticks)
    this.#ticks = undefined
  }

  #tick(): void {
    this.#count += 1
    void this.#readAll('queues')
    if (this.#count % 2 === 0) void this.#readAll('workers')
  }

  async #readAll(name: ListName): Promise<void> {
    const groups = [...this.#groups.values()].filter((group) => group.name === name && group.last)
    if (groups.length === 0 || this.#reading.has(name)) return
    this.#reading.add(name)
    try {
      await this.#read(groups)
    } catch (error) {
      // Redis is gone; there are newer ones when it is back.
      this.#options.logger.debug({ err: error }, `${name} not read`)
    } finally {
      this.#reading.delete(name)
    }
  }

  async #read(groups: readonly Group[]): Promise<void> {
    const [{ name } = { name: 'queues' as const }] = groups
    const time = new Date().toISOString()
    const found = await this.#options.lists[name](groups.map(({ limits }) => limits))
    for (const [at, group] of groups.entries()) {
      const list = found[at]
      if (list) await this.#tell(group, list, time)
      await this.#breathe()
    }
  }

  async #tell(group: Group, list: ToldList, time: string): Promise<void> {
    const read = new ListMessage(group.name, time, list.page)
    const facts = list.facts()
    const message = group.last?.list === read.list ? group.last : read
    group.last = message
    const now = performance.now()
    const { told } = group
    const isNews = facts !== told?.facts || (message.list !== told.message.list && now - told.at >= DRIFT_MS)
    if (!isNews) return
    group.told = { message, facts, at: now }
    // Who comes meanwhile has it.
    const clients = group.clients.values().toArray()
    for (const client of clients) {
      client.send(message)
      await this.#breathe()
    }
  }
}

function tooMany(): AppError {
  return new AppError(
    'STREAMS_TOO_MANY',
    `queues or workers are watched with ${MAX_GROUPS} different limits, and no more are taken at once`,
    { retryAfterMs: RETRY_AFTER_MS, hint: 'Ask now and then instead: GET /v1/queues, GET /v1/workers.' },
  )
}
