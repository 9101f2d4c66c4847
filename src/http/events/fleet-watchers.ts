import type { Principal } from '../../access/principal.ts'
import type { FleetChange, FleetPage, MovedJob } from '../../jobs/progress/fleet.ts'
import { isOlderEvent } from '../../jobs/progress/event-id.ts'
import type { Logger } from '../../lib/logger.ts'
import { createBreathing, nextTurn } from '../../lib/loop/breathe.ts'
import type { EventClient } from './event-client.ts'
import {
  changeMessage,
  type FleetMessage,
  FleetMessages,
  pingMessage,
  progressMessage,
  type ProgressMessage,
} from './fleet-messages.ts'
import { type FleetView, type OwnedNews, ownedNews } from './fleet-view.ts'
import type { Message, SharedMessage } from './sse.ts'

interface Watcher {
  readonly client: EventClient
  readonly group: Group
  /** The last entry that it was told, or that was none of its business. */
  lastId: string
  /** Revisions of jobs that were ahead of the entries that told them, while these may come. */
  told: Map<string, number> | undefined
  /** The same of its snapshot, which is others' as well. */
  known: ReadonlyMap<string, number> | undefined
  /** So many since it is live. */
  pings: number
}

/** Watchers of one view. */
interface Group {
  readonly view: FleetView
  /** Those that have caught up. */
  readonly live: Set<Watcher>
  readonly catching: Set<Watcher>
}

/** A change that a view shows, as it shows it. */
interface Shown {
  readonly change: FleetChange
  readonly message: FleetMessage
}

export interface FleetWatchersOptions {
  /** What changed after an entry; undefined: more than is kept. Who comes at one time mostly comes to one place. */
  readonly page: (after: string) => Promise<FleetPage | undefined>
  readonly logger: Logger
  /** Told when the last one has gone. */
  readonly onEmpty: () => void
}

/** Before every id that Redis gives. */
const BEGINNING = '0-0'
/** After so many, no entry comes that is older than what was read of its job when it caught up. */
const OLD_NEWS_PINGS = 2
/** Changes that are told in one piece; fewer where many views judge them. */
const PIECE = 200
const PIECE_JUDGEMENTS = 20_000
/** Bytes of jobs that were heard and not told yet: past these all read them from Redis, each as fast as it takes them. */
const MAX_HEARD_BYTES = 16 * 1024 * 1024

/**
 * Those who watch all jobs, by what they see. Nobody waits in a buffer of ours while it catches up: it reads Redis' stream until that
 * says nothing new, and is live from then on. What one sees is judged for each change as it is sent. Changes that come together go out
 * together, one write a watcher; in between the event loop goes on.
 */
export class FleetWatchers {
  readonly #options: FleetWatchersOptions
  readonly #groups = new Map<string, Group>()
  readonly #breathe = createBreathing()
  #heard: FleetChange[] = []
  #heardBytes = 0
  #telling: Promise<void> | undefined
  /** The last entry that was heard. */
  #newest = BEGINNING
  #gaps = 0
  size = 0

  constructor(options: FleetWatchersOptions) {
    this.#options = options
  }

  get clients(): EventClient[] {
    return [...this.#groups.values()].flatMap(({ live, catching }) =>
      [...live, ...catching].map(({ client }) => client),
    )
  }

  get views(): number {
    return this.#groups.size
  }

  /** Those that this caller was the first to watch. */
  viewsOf(caller: Principal): number {
    let count = 0
    for (const { view } of this.#groups.values()) if (view.caller.name === caller.name) count += 1
    return count
  }

  has(view: FleetView): boolean {
    return this.#groups.has(view.key)
  }

  /** Tells a client what its view shows of what changes after the entry `after`; of jobs in `known`, what is newer than that revision. */
  add(
    client: EventClient,
    view: FleetView,
    { after, known }: { after: string; known: ReadonlyMap<string, number> },
  ): void {
    const group = this.#groupOf(view)
    const watcher: Watcher = { client, group, lastId: after, told: new Map(), known, pings: 0 }
    group.catching.add(watcher)
    this.size += 1
    client.onClose(() => this.#leave(watcher))
    void this.#catchUp(watcher)
  }

  /** After a gap in the subscription, or with a new one. Redis may be another by now, whose ids are lower. */
  catchUpAll(): void {
    this.#newest = BEGINNING
    this.#readAll()
  }

  /** At once. */
  tell(change: FleetChange): void {
    this.#newest = change.id
    if (this.size === 0) return
    this.#heard.push(change)
    this.#heardBytes += change.job?.length ?? 0
    if (this.#heardBytes > MAX_HEARD_BYTES) this.#readAll()
    else this.#telling ??= this.#tellHeard()
  }

  /** Rendered once for all views that show the same of them. */
  async tellMoved(time: string, moved: readonly MovedJob[]): Promise<void> {
    // Who is told figures was told before that the job runs.
    await this.#telling
    const jobs = moved.map(ownedNews)
    const rendered = new Map<string, ProgressMessage>()
    for (const { view, live } of this.#groups.values()) {
      if (live.size === 0) continue
      const shown = jobs.map((job) => view.shows(job))
      await this.#breathe()
      if (!shown.includes(true)) continue
      const key = shown.map(Number).join('')
      const message =
        rendered.get(key) ??
        progressMessage(
          time,
          moved.filter((_, at) => shown[at]),
        )
      rendered.set(key, message)
      for (const { client } of live) {
        client.send(message)
        await this.#breathe()
      }
    }
  }

  heartbeat(): void {
    const pings = new Map<string, Message>()
    const pingOf = (id: string): Message => {
      const ping = pings.get(id) ?? pingMessage(id)
      pings.set(id, ping)
      return ping
    }
    for (const { live, catching } of this.#groups.values()) {
      for (const { client } of catching) client.sendHeartbeat(client.framing.heartbeat(pingOf('')))
      for (const watcher of live) {
        const { client, lastId } = watcher
        client.sendHeartbeat(client.framing.heartbeat(pingOf(lastId)))
        watcher.pings += 1
        if (watcher.pings < OLD_NEWS_PINGS) continue
        watcher.told = undefined
        watcher.known = undefined
      }
    }
  }

  #readAll(): void {
    this.#gaps += 1
    this.#heard = []
    this.#heardBytes = 0
    for (const { live } of this.#groups.values()) {
      for (const watcher of live) void this.#catchUp(watcher)
    }
  }

  async #tellHeard(): Promise<void> {
    do {
      // What comes in one read of the socket is heard in one turn.
      await nextTurn()
      const piece = this.#heard.splice(0, Math.max(1, Math.min(PIECE, PIECE_JUDGEMENTS / this.#groups.size)))
      this.#heardBytes -= piece.reduce((sum, { job }) => sum + (job?.length ?? 0), 0)
      await this.#tellPiece(piece.map(ownedNews))
    } while (this.#heard.length > 0)
    this.#telling = undefined
  }

  async #tellPiece(changes: ReadonlyArray<OwnedNews<FleetChange>>): Promise<void> {
    const [first, last] = [changes[0]?.news.id ?? BEGINNING, changes.at(-1)?.news.id ?? BEGINNING]
    const rendered = new Map<string, FleetMessages>()
    for (const { view, live } of this.#groups.values()) {
      if (live.size === 0) continue
      const judged = changes.map((change) => view.judge(change))
      const shown = shownBy(changes, judged)
      const key = judged.join()
      const together = rendered.get(key) ?? new FleetMessages(shown.map(({ message }) => message))
      rendered.set(key, together)
      for (const watcher of live) {
        await this.#breathe()
        // It may have to catch up, or have caught up past these, meanwhile.
        if (!live.has(watcher) || !isOlderEvent(watcher.lastId, last)) continue
        const message = isInStep(watcher, first) ? together : rest(watcher, shown, together)
        watcher.lastId = last
        if (message && message.size > 0) watcher.client.send(message)
      }
    }
  }

  async #catchUp(watcher: Watcher): Promise<void> {
    const { client, group } = watcher
    group.live.delete(watcher)
    group.catching.add(watcher)
    watcher.told ??= new Map()
    try {
      while (!(await this.#giveNext(watcher))) if (client.closed) return
      if (!group.catching.delete(watcher)) return
      group.live.add(watcher)
      watcher.pings = 0
    } catch (error) {
      // Redis is gone, or more changed than is kept: the client comes back with its last id and is told so.
      this.#options.logger.debug({ err: error }, 'a stream of all jobs cannot go on')
      client.endForNow()
    }
  }

  /** One page of what it has not had; true when there is no more, and what comes from now on is heard. */
  async #giveNext(watcher: Watcher): Promise<boolean> {
    const { client, group } = watcher
    const gaps = this.#gaps
    const page = await this.#options.page(watcher.lastId)
    if (!page) throw new Error('the last id is older than all that is kept')
    for (const { change, message } of told(group.view, page.changes)) {
      if (client.closed) return false
      if (isNews(watcher, change)) client.send(message)
      if (change.ahead) watcher.told?.set(change.jobId, change.revision)
      await client.drained()
      await this.#breathe()
    }
    watcher.lastId = page.lastId
    return !page.more && gaps === this.#gaps && !isOlderEvent(watcher.lastId, this.#newest)
  }

  #groupOf(view: FleetView): Group {
    const known = this.#groups.get(view.key)
    if (known) return known
    const group: Group = { view, live: new Set(), catching: new Set() }
    this.#groups.set(view.key, group)
    return group
  }

  #leave(watcher: Watcher): void {
    const { group } = watcher
    this.size -= 1
    group.live.delete(watcher)
    group.catching.delete(watcher)
    if (group.live.size + group.catching.size > 0) return
    if (this.#groups.get(group.view.key) === group) this.#groups.delete(group.view.key)
    if (this.#groups.size === 0) this.#options.onEmpty()
  }
}

/** What a view shows of these. */
export function told(view: FleetView, changes: readonly FleetChange[]): Shown[] {
  const owned = changes.map(ownedNews)
  return shownBy(
    owned,
    owned.map((change) => view.judge(change)),
  )
}

function shownBy(changes: ReadonlyArray<OwnedNews<FleetChange>>, judged: ReadonlyArray<boolean | undefined>): Shown[] {
  return changes.flatMap(({ news }, at) => {
    const matches = judged[at]
    return matches === undefined ? [] : [{ change: news, message: changeMessage(news, matches) }]
  })
}

/** Whether it is to be told all of what begins with the entry `first`. */
function isInStep({ lastId, told: ahead, known }: Watcher, first: string): boolean {
  return known === undefined && (ahead === undefined || ahead.size === 0) && isOlderEvent(lastId, first)
}

function rest(watcher: Watcher, shown: readonly Shown[], together: FleetMessages): SharedMessage | undefined {
  const news = shown.filter(({ change }) => isOlderEvent(watcher.lastId, change.id) && isNews(watcher, change))
  if (news.length === shown.length) return together
  return news.length === 0 ? undefined : new FleetMessages(news.map(({ message }) => message))
}

/** Whether it was told nothing newer of the job: a record may be ahead of the stream's entries. */
function isNews({ told: ahead, known }: Watcher, { jobId, revision }: FleetChange): boolean {
  return Math.max(ahead?.get(jobId) ?? -1, known?.get(jobId) ?? -1) < revision
}
