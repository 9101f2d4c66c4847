import type { JobEvent } from '../../jobs/model/definitions.ts'
import { isOlderEvent } from '../../jobs/progress/event-id.ts'
import type { JobEventReader, LoggedEvent } from '../../jobs/progress/events.ts'
import type { EventClient } from './event-client.ts'
import { Frame, messageOf } from './sse.ts'

const REPLAY_PAGE = 200
/** Live events held for a client that catches up; past this it is cut off and comes back with its Last-Event-ID. */
const MAX_WAITING = 1000

/** A client on a channel: first it catches up (live events wait in `waiting`), then it is live. */
interface Watcher {
  readonly client: EventClient
  /** Id of the last event it was given. */
  lastId: string
  /** Its number in the job's count, which has no gaps; undefined before the first event. */
  lastSeq: number | undefined
  /** The last event it was given was the job's end. */
  atEnd: boolean
  waiting: Frame[] | undefined
}

export interface ChannelOptions {
  jobId: string
  events: Pick<JobEventReader, 'subscribe' | 'replay'>
  /** Told when the last client has gone. */
  onEmpty: () => void
}

/**
 * One job's live events and who watches them. No gap and no duplicate: the subscription comes first, what it brings is
 * held back while a client is given the stream's entries after its last id, and of what was held it gets the higher ids.
 * A client that can't be given all of that is ended, and begins with a snapshot when it comes back.
 */
export class EventChannel {
  readonly jobId: string
  readonly #options: ChannelOptions
  readonly #watchers = new Set<Watcher>()
  #subscription: Promise<() => Promise<void>> | undefined
  #latest: Pick<JobEvent, 'seq' | 'attempt'> = { seq: 0, attempt: 0 }
  #heardAt = performance.now()
  /** Clients between `hold` and `letGo`. */
  #arriving = 0

  constructor(options: ChannelOptions) {
    this.jobId = options.jobId
    this.#options = options
  }

  /** Milliseconds since the last event. */
  get silentMs(): number {
    return performance.now() - this.#heardAt
  }

  get clients(): EventClient[] {
    return [...this.#watchers].map(({ client }) => client)
  }

  /** Subscribes, and keeps the channel until the matching `letGo`. Throws QUEUE_UNAVAILABLE. */
  async hold(): Promise<void> {
    this.#arriving += 1
    this.#subscription ??= this.#options.events.subscribe(
      this.jobId,
      (logged) => this.#deliver(logged),
      () => void this.catchUpAll(),
    )
    const subscription = this.#subscription
    try {
      await subscription
    } catch (error) {
      if (this.#subscription === subscription) this.#subscription = undefined
      this.letGo()
      throw error
    }
  }

  letGo(): void {
    this.#arriving -= 1
    this.#closeWhenEmpty()
  }

  /** Gives the client all events after `after`, those of the past and those to come. The caller holds the channel. */
  attach(client: EventClient, after: { id: string; seq: number | undefined }): Promise<void> {
    const watcher: Watcher = { client, lastId: after.id, lastSeq: after.seq, atEnd: false, waiting: undefined }
    this.#watchers.add(watcher)
    client.onClose(() => {
      this.#watchers.delete(watcher)
      this.#closeWhenEmpty()
    })
    return this.#catchUp(watcher)
  }

  /** After a gap in the subscription, or a silence that may hide one. */
  async catchUpAll(): Promise<void> {
    const live = [...this.#watchers].filter(({ waiting }) => waiting === undefined)
    await Promise.all(live.map((watcher) => this.#catchUp(watcher)))
  }

  heartbeat(): void {
    const time = new Date().toISOString()
    const ping: JobEvent = { type: 'ping', jobId: this.jobId, ...this.#latest, time }
    const message = messageOf({ id: '', event: ping })
    for (const client of this.clients) client.sendHeartbeat(client.framing.heartbeat(message))
  }

  #deliver(logged: LoggedEvent): void {
    this.#heardAt = performance.now()
    const frame = new Frame(logged)
    for (const watcher of this.#watchers) {
      if (watcher.waiting !== undefined) {
        if (watcher.waiting.push(frame) > MAX_WAITING) watcher.client.destroy()
      } else if (!this.#give(watcher, frame)) void this.#catchUp(watcher, [frame])
      else if (watcher.atEnd) watcher.client.end()
    }
  }

  async #catchUp(watcher: Watcher, waiting: Frame[] = []): Promise<void> {
    const { client } = watcher
    watcher.waiting = waiting
    try {
      const whole = (await this.#replay(watcher)) && (await this.#giveAll(watcher, waiting))
      watcher.waiting = undefined
      // A retried job's stream goes on after an end, so only the newest entry's counts.
      if (watcher.atEnd) client.end()
      else if (!whole) client.endForNow()
    } catch {
      // Redis is gone: the client comes back with its last id and is told so.
      client.endForNow()
    }
  }

  /** False when entries that the client has not seen are no longer kept. */
  async #replay(watcher: Watcher): Promise<boolean> {
    for (;;) {
      const page = await this.#options.events.replay(this.jobId, watcher.lastId, REPLAY_PAGE)
      const frames = page.map((logged) => new Frame(logged))
      if (!(await this.#giveAll(watcher, frames))) return false
      if (page.length < REPLAY_PAGE || watcher.client.closed) return true
    }
  }

  /** One by one as the client takes them, so that none is merged into another; also those that are added meanwhile. */
  async #giveAll(watcher: Watcher, frames: Frame[]): Promise<boolean> {
    for (let frame = frames.shift(); frame !== undefined && !watcher.client.closed; frame = frames.shift()) {
      if (!this.#give(watcher, frame)) return false
      await watcher.client.drained()
    }
    return true
  }

  /** False when the event is not the next one. */
  #give(watcher: Watcher, frame: Frame): boolean {
    const { id, event } = frame.logged
    if (!isOlderEvent(watcher.lastId, id)) return true
    if (watcher.lastSeq !== undefined && event.seq !== watcher.lastSeq + 1) return false
    watcher.lastId = id
    watcher.lastSeq = event.seq
    watcher.atEnd = event.type === 'end'
    this.#latest = { seq: event.seq, attempt: event.attempt }
    watcher.client.send(frame)
    return true
  }

  #closeWhenEmpty(): void {
    if (this.#arriving > 0 || this.#watchers.size > 0) return
    this.#options.onEmpty()
    this.#subscription?.then((unsubscribe) => unsubscribe()).catch(() => {})
    this.#subscription = undefined
  }
}
