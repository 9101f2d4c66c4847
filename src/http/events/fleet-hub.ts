import type { Principal } from '../../access/principal.ts'
import type { FleetPage, FleetReader } from '../../jobs/progress/fleet.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { StreamFilter } from '../../jobs/record/job-match.ts'
import { AppError } from '../../lib/errors.ts'
import { createFairLimiter } from '../../lib/queues/fair-limiter.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import { EventClient } from './event-client.ts'
import { onAbort, type Opening } from './event-hub.ts'
import { FleetLists, type FleetListsOptions, type ListName, type ListsPlace } from './fleet-lists.ts'
import { type FleetMessage, type ListMessage, resetMessage, snapshotMessage } from './fleet-messages.ts'
import { type FleetView, fleetView } from './fleet-view.ts'
import { FleetWatchers, told } from './fleet-watchers.ts'
import { withId } from './sse.ts'

export interface FleetHubOptions extends FleetListsOptions {
  queue: Pick<JobQueue, 'list'>
  fleet: FleetReader
  /** How often each stream shows that it lives. Default 15 s. */
  heartbeatMs?: number
  /** EventClientOptions.stuckMs. */
  stuckMs?: number
  /** How often progress is told. Default 500 ms. Source: api.md "SSE". */
  tickMs?: number
  /** Views that may be watched at once: each judges each change, and each job that moves. Default 1,000. */
  maxViews?: number
  /** Of these, of one caller, where callers are told apart. Default: all. */
  maxViewsOfOne?: number
}

/** Who asks, for what, and from where on. */
export interface FleetWish {
  readonly caller: Principal
  readonly filter: StreamFilter
  readonly lastEventId: string | undefined
  /** Lists that are told beside jobs. */
  readonly include: readonly ListName[]
}

interface Beginning {
  readonly messages: readonly FleetMessage[]
  readonly after: string
  /** Revisions of the jobs that the messages tell. */
  readonly known: ReadonlyMap<string, number>
}

const REPLAY_PAGE = 200
/** Who comes back within so long of another reads what that one read. */
const PAGE_KEPT_MS = 500
/** The same of a snapshot: what changed since follows it. */
const SNAPSHOT_KEPT_MS = 1000
const PAGES_KEPT = 16
/** Jobs in a snapshot; the rest is in the list, behind its page token. */
const SNAPSHOT_JOBS = 200
/** Jobs that are read at once. */
const MOVED_PAGE = 200
/** Lists that are read for snapshots at once, and of one caller. */
const SNAPSHOTS = { all: 6, perKey: 3 }
const RETRY_AFTER_MS = 5000

/**
 * All streams of all jobs in this process. Changes come from one subscription and go out as they come; of progress only the
 * names come, and a tick reads it once, renders it once for each view that shows other jobs, and hands the same bytes to all.
 */
export class FleetHub {
  readonly #options: FleetHubOptions
  readonly #watchers: FleetWatchers
  readonly #lists: FleetLists
  readonly #snapshots = createSingleFlight<Beginning>()
  readonly #recents = new Map<string, Beginning>()
  readonly #reading = createFairLimiter(SNAPSHOTS)
  readonly #pages = new Map<string, Promise<FleetPage | undefined>>()
  readonly #heartbeat: NodeJS.Timeout
  readonly #ticks: NodeJS.Timeout
  #subscription: Promise<() => Promise<void>> | undefined
  /** Streams that are about to begin. */
  #arriving = 0
  /** Goes up with each subscription and each gap in one: what was read before says nothing of what is missed since. */
  #era = 0
  #moved = new Set<string>()
  #ticking = false
  #draining = false

  constructor(options: FleetHubOptions) {
    this.#options = options
    this.#lists = new FleetLists(options)
    this.#watchers = new FleetWatchers({
      page: (after) => this.#page(after),
      logger: options.logger,
      onEmpty: () => this.#closeWhenEmpty(),
    })
    this.#heartbeat = setInterval(() => this.#watchers.heartbeat(), options.heartbeatMs ?? 15_000).unref()
    this.#ticks = setInterval(() => void this.#tick(), options.tickMs ?? 500).unref()
  }

  get watchers(): number {
    return this.#watchers.size
  }

  /** Prepares a stream: what changed after `lastEventId`, else a snapshot (behind `reset` where that id is too old). Throws QUEUE_UNAVAILABLE, STREAMS_TOO_MANY. */
  async open(wish: FleetWish): Promise<Opening> {
    const view = fleetView(wish.caller, wish.filter)
    this.#requireRoom(view)
    const lists = await this.#lists.join(wish.caller, wish.include)
    try {
      return await this.#openWith(lists, view, wish.lastEventId)
    } catch (error) {
      lists.leave()
      throw error
    }
  }

  async #openWith(lists: ListsPlace, view: FleetView, lastEventId: string | undefined): Promise<Opening> {
    await this.#hold()
    try {
      const beginning = await this.#begin(view, lastEventId)
      return {
        start: (response, framing, ended) => {
          const { stuckMs } = this.#options
          const client = new EventClient({ response, framing, ...(stuckMs === undefined ? {} : { stuckMs }) })
          this.#start(client, view, { ...beginning, lists })
          onAbort(ended, () => client.sendAway())
        },
      }
    } catch (error) {
      this.#letGo()
      throw error
    }
  }

  /** The snapshot alone. Throws QUEUE_UNAVAILABLE, STREAMS_TOO_MANY. */
  async once(wish: FleetWish): Promise<ReadonlyArray<FleetMessage | ListMessage>> {
    const { messages } = await this.#snapshot(fleetView(wish.caller, wish.filter))
    return [...messages, ...(await this.#listsOf(wish))]
  }

  async #listsOf({ caller, include }: FleetWish): Promise<readonly ListMessage[]> {
    const place = await this.#lists.join(caller, include)
    place.leave()
    return place.messages
  }

  /** What a stream would say by now, of at most `size` entries, as JSON texts, and where to go on. Throws QUEUE_UNAVAILABLE, STREAMS_TOO_MANY. */
  async page(wish: FleetWish, size: number): Promise<{ items: string[]; lastEventId: string }> {
    const { caller, filter, lastEventId } = wish
    const view = fleetView(caller, filter)
    const found = lastEventId === undefined ? undefined : await this.#options.fleet.replay(lastEventId, size)
    if (found) {
      const messages = [...told(view, found.changes).map(({ message }) => message), ...(await this.#listsOf(wish))]
      return { items: messages.map((message) => withId(message.told)), lastEventId: found.lastId }
    }
    // A page is what is there now; a stream goes on from what was.
    const { messages, after } = await this.#snapshot(view)
    const all = [...(lastEventId === undefined ? [] : [resetMessage()]), ...messages, ...(await this.#listsOf(wish))]
    return { items: all.map((message) => withId(message.told)), lastEventId: after }
  }

  /** Ends every stream; clients come back after a time of their own, and not all at once. */
  drain(): void {
    this.#draining = true
    clearInterval(this.#heartbeat)
    clearInterval(this.#ticks)
    for (const client of this.#watchers.clients) client.sendAway()
  }

  #requireRoom(view: FleetView): void {
    const { maxViews = 1000, maxViewsOfOne = maxViews } = this.#options
    if (this.#watchers.has(view)) return
    if (this.#watchers.viewsOf(view.caller) >= maxViewsOfOne) throw tooManyViews(`${maxViewsOfOne} of yours`)
    if (this.#watchers.views >= maxViews) throw tooManyViews(String(maxViews))
  }

  async #hold(): Promise<void> {
    this.#arriving += 1
    this.#subscription ??= this.#subscribe()
    const subscription = this.#subscription
    try {
      await subscription
    } catch (error) {
      if (this.#subscription === subscription) this.#subscription = undefined
      this.#letGo()
      throw error
    }
  }

  #subscribe(): Promise<() => Promise<void>> {
    const begin = () => {
      this.#era += 1
      this.#watchers.catchUpAll()
    }
    begin()
    return this.#options.fleet.subscribe({
      onChange: (change) => this.#watchers.tell(change),
      onMoved: (jobId) => void this.#moved.add(jobId),
      onGap: begin,
    })
  }

  #letGo(): void {
    this.#arriving -= 1
    this.#closeWhenEmpty()
  }

  #closeWhenEmpty(): void {
    if (this.#arriving > 0 || this.watchers > 0) return
    this.#subscription?.then((unsubscribe) => unsubscribe()).catch(() => {})
    this.#subscription = undefined
    this.#moved.clear()
  }

  async #begin(view: FleetView, lastEventId: string | undefined): Promise<Beginning> {
    if (lastEventId === undefined) return await this.#recent(view)
    if (await this.#page(lastEventId)) return { messages: [], after: lastEventId, known: new Map() }
    const snapshot = await this.#recent(view)
    return { ...snapshot, messages: [resetMessage(), ...snapshot.messages] }
  }

  /** For a stream alone, which goes on from there. Thousands come back at once after a restart. */
  async #recent(view: FleetView): Promise<Beginning> {
    const known = this.#recents.get(view.key)
    if (known && (await this.#page(known.after))) return known
    const snapshot = await this.#snapshot(view)
    this.#recents.set(view.key, snapshot)
    const forget = () => void (this.#recents.get(view.key) === snapshot && this.#recents.delete(view.key))
    setTimeout(forget, SNAPSHOT_KEPT_MS).unref()
    return snapshot
  }

  /** The place in the stream comes first: what changes while jobs are read is told again, if it is news. */
  #snapshot(view: FleetView): Promise<Beginning> {
    return this.#snapshots.run(view.key, () => this.#reading.run(view.caller.name, () => this.#readSnapshot(view)))
  }

  async #readSnapshot(view: FleetView): Promise<Beginning> {
    const after = await this.#options.fleet.newest()
    const page = await this.#options.queue.list(view.filter, { size: SNAPSHOT_JOBS }, view.caller)
    const known = new Map(page.items.map(({ id, revision }) => [id, revision] as const))
    return { messages: [snapshotMessage(after, page)], after, known }
  }

  /** Who comes back at one time, as after a drain, mostly comes back to one place. What is told since a page was read is heard. */
  #page(after: string): Promise<FleetPage | undefined> {
    const key = `${after} ${this.#era}`
    const known = this.#pages.get(key)
    if (known) return known
    const page = this.#options.fleet.replay(after, REPLAY_PAGE)
    this.#pages.set(key, page)
    const forget = () => void (this.#pages.get(key) === page && this.#pages.delete(key))
    // The newest page is read anew: who reads it again waits for what was heard since.
    page.then((read) => (read?.more ? setTimeout(forget, PAGE_KEPT_MS).unref() : forget()), forget)
    const [oldest] = this.#pages.keys()
    if (this.#pages.size > PAGES_KEPT && oldest !== undefined) this.#pages.delete(oldest)
    return page
  }

  #start(
    client: EventClient,
    view: FleetView,
    { messages, after, known, lists }: Beginning & { lists: ListsPlace },
  ): void {
    client.open()
    for (const message of messages) client.send(message)
    lists.attach(client)
    if (this.#draining) client.sendAway()
    this.#watchers.add(client, view, { after, known })
    this.#letGo()
  }

  async #tick(): Promise<void> {
    if (this.#ticking || this.#moved.size === 0) return
    this.#ticking = true
    const ids = [...this.#moved]
    this.#moved.clear()
    try {
      for (let at = 0; at < ids.length; at += MOVED_PAGE) {
        const time = new Date().toISOString()
        await this.#watchers.tellMoved(time, await this.#options.fleet.moved(ids.slice(at, at + MOVED_PAGE)))
      }
    } catch (error) {
      // Redis is gone; there are newer figures when it is back.
      this.#options.logger.debug({ err: error }, 'progress of jobs not read')
    } finally {
      this.#ticking = false
    }
  }
}

function tooManyViews(many: string): AppError {
  return new AppError(
    'STREAMS_TOO_MANY',
    `streams of ${many} different views of all jobs are open, and no more are taken at once`,
    {
      retryAfterMs: RETRY_AFTER_MS,
      hint: 'Watch with the same filters as others, or ask for pages now and then: GET /v1/events with Accept: application/json.',
    },
  )
}
