import type { FleetChange, FleetPage, MovedJob } from '../../jobs/progress/fleet.ts'
import { isOlderEvent } from '../../jobs/progress/event-id.ts'
import type { Logger } from '../../lib/logger.ts'
import type { EventClient } from './event-client.ts'
import { changeMessage, FleetMessage, pingMessage, progressMessage, type ProgressMessage } from './fleet-messages.ts'
import { type FleetView, ownedMove } from './fleet-view.ts'
import type { Message } from './sse.ts'

interface Watcher {
  readonly client: EventClient
  readonly group: Group
  /** The last entry that it was told, or that was none of its business. */
  lastId: string
  /** Newest revision that it was told of each job, while entries may come that are older. */
  told: Map<string, number> | undefined
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

/**
 * Those who watch all jobs, by what they see. Nobody waits in a buffer of ours while it catches up: it reads Redis' stream until that
 * says nothing new, and is live from then on. What one sees is judged for each change as it is sent.
 */
export class FleetWatchers {
  readonly #options: FleetWatchersOptions
  readonly #groups = new Map<string, Group>()
  /** The last entry that was heard. */
  #newest = BEGINNING
  #gaps = 0

  constructor(options: FleetWatchersOptions) {
    this.#options = options
  }

  get clients(): EventClient[] {
    return [...this.#groups.values()].flatMap(({ live, catching }) =>
      [...live, ...catching].map(({ client }) => client),
    )
  }

  /** Tells a client what its view shows of what changes after the entry `after`; of jobs in `known`, what is newer than that revision. */
  add(
    client: EventClient,
    view: FleetView,
    { after, known }: { after: string; known: ReadonlyMap<string, number> },
  ): void {
    const group = this.#groupOf(view)
    const watcher: Watcher = { client, group, lastId: after, told: new Map(known), pings: 0 }
    group.catching.add(watcher)
    client.onClose(() => this.#leave(watcher))
    void this.#catchUp(watcher)
  }

  /** After a gap in the subscription, or with a new one. Redis may be another by now, whose ids are lower. */
  catchUpAll(): void {
    this.#gaps += 1
    this.#newest = BEGINNING
    for (const { live } of this.#groups.values()) {
      for (const watcher of live) void this.#catchUp(watcher)
    }
  }

  /** At once. */
  tell(change: FleetChange): void {
    const before = this.#newest
    this.#newest = change.id
    const rendered = new Map<boolean, FleetMessage>()
    for (const { view, live } of this.#groups.values()) {
      const matches = live.size === 0 ? undefined : view.judge(change)
      const message = matches === undefined ? undefined : messageFor(rendered, change, matches)
      for (const watcher of live) {
        if (watcher.lastId !== before && !isOlderEvent(watcher.lastId, change.id)) continue
        watcher.lastId = change.id
        if (message && isNews(watcher, change)) watcher.client.send(message)
      }
    }
  }

  /** Rendered once for all views that show the same of them. */
  tellMoved(moved: readonly MovedJob[]): void {
    const jobs = moved.map(ownedMove)
    const rendered = new Map<string, ProgressMessage>()
    for (const { view, live } of this.#groups.values()) {
      if (live.size === 0) continue
      const shown = jobs.map((job) => view.shows(job))
      if (!shown.includes(true)) continue
      const key = shown.map(Number).join('')
      const message = rendered.get(key) ?? progressMessage(moved.filter((_, at) => shown[at]))
      rendered.set(key, message)
      for (const { client } of live) client.send(message)
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
        if (watcher.pings === OLD_NEWS_PINGS) watcher.told = undefined
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
    for (const change of page.changes) {
      if (client.closed) return false
      for (const message of told(group.view, change)) {
        if (isNews(watcher, change)) client.send(new FleetMessage(message))
        await client.drained()
      }
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
    group.live.delete(watcher)
    group.catching.delete(watcher)
    if (group.live.size + group.catching.size > 0) return
    if (this.#groups.get(group.view.key) === group) this.#groups.delete(group.view.key)
    if (this.#groups.size === 0) this.#options.onEmpty()
  }
}

export function told(view: FleetView, change: FleetChange): Message[] {
  const matches = view.judge(change)
  return matches === undefined ? [] : [changeMessage(change, matches)]
}

function messageFor(rendered: Map<boolean, FleetMessage>, change: FleetChange, matches: boolean): FleetMessage {
  const message = rendered.get(matches) ?? new FleetMessage(changeMessage(change, matches))
  rendered.set(matches, message)
  return message
}

/** Whether it was told nothing newer of the job: a record may be ahead of the stream's entries. */
function isNews({ told: known }: Watcher, { jobId, revision }: FleetChange): boolean {
  if (known === undefined) return true
  if ((known.get(jobId) ?? -1) >= revision) return false
  known.set(jobId, revision)
  return true
}
