import type { ServerResponse } from 'node:http'
import type { Job, JobEvent } from '../../jobs/model/definitions.ts'
import { isOlderEvent } from '../../jobs/progress/event-id.ts'
import type { JobEventReader, LoggedEvent } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import { EventChannel } from './event-channel.ts'
import { EventClient } from './event-client.ts'
import { Frame, type Framing } from './sse.ts'

export interface EventHubOptions {
  queue: Pick<JobQueue, 'get'>
  events: JobEventReader
  logger: Logger
  /** How often each stream shows that it lives; a stream that was silent for so long is compared with the job. */
  heartbeatMs?: number
  /** EventClientOptions.stuckMs. */
  stuckMs?: number
}

/** A stream that is ready to begin: nothing was written yet, and nothing of it can be refused any more. */
export interface Opening {
  /** `ended`: ends it as a shutdown does; who comes back is judged again. */
  start(response: ServerResponse, framing: Framing, ended: AbortSignal): void
}

/** Where a stream begins: what is sent at once, and after which event it goes on. */
interface Beginning {
  frames: Frame[]
  after: { id: string; seq: number | undefined }
  ended: boolean
}

/** All event streams of this process: one channel a watched job, one heartbeat for all. */
export class EventHub {
  readonly #options: EventHubOptions
  readonly #channels = new Map<string, EventChannel>()
  /** Hundreds of watchers that come at once read one snapshot; each goes on with entries of its own reading. */
  readonly #snapshots = createSingleFlight<LoggedEvent | undefined>()
  readonly #heartbeat: NodeJS.Timeout
  #draining = false

  constructor(options: EventHubOptions) {
    this.#options = options
    const { heartbeatMs = 15_000 } = options
    this.#heartbeat = setInterval(() => this.#beat(heartbeatMs), heartbeatMs).unref()
  }

  /**
   * Prepares a stream of `job`: the entries after `lastEventId`, or a snapshot where there is none or it is too old
   * (`reset` comes first then). "over" when the job has ended and the client has had its end. Throws QUEUE_UNAVAILABLE,
   * JOB_NOT_FOUND.
   */
  async open(job: Job, lastEventId: string | undefined): Promise<Opening | 'over'> {
    const channel = this.#channelOf(job.id)
    await channel.hold()
    try {
      const beginning = await this.#begin(job, lastEventId)
      if (beginning !== 'over') {
        return {
          start: (response, framing, ended) =>
            this.#start(channel, beginning, { response, framing, accessEnded: ended }),
        }
      }
    } catch (error) {
      channel.letGo()
      throw error
    }
    channel.letGo()
    return 'over'
  }

  /** The snapshot alone, as a whole answer. Throws JOB_NOT_FOUND, QUEUE_UNAVAILABLE. */
  async once(jobId: string): Promise<Frame> {
    return new Frame(await this.#snapshot(jobId))
  }

  /** Ends every stream; clients come back after a time of their own, and not all at once. */
  drain(): void {
    this.#draining = true
    clearInterval(this.#heartbeat)
    for (const channel of this.#channels.values()) {
      for (const client of channel.clients) client.sendAway()
    }
  }

  get watchers(): number {
    return [...this.#channels.values()].reduce((sum, channel) => sum + channel.clients.length, 0)
  }

  #channelOf(jobId: string): EventChannel {
    const known = this.#channels.get(jobId)
    if (known) return known
    const channel: EventChannel = new EventChannel({
      jobId,
      events: this.#options.events,
      onEmpty: () => {
        if (this.#channels.get(jobId) === channel) this.#channels.delete(jobId)
      },
    })
    this.#channels.set(jobId, channel)
    return channel
  }

  async #begin(job: Job, lastEventId: string | undefined): Promise<Beginning | 'over'> {
    if (lastEventId !== undefined) {
      const bounds = await this.#options.events.bounds(job.id)
      if (bounds && job.done && lastEventId === bounds.last) return 'over'
      const kept = bounds && !isOlderEvent(lastEventId, bounds.first) && !isOlderEvent(bounds.last, lastEventId)
      if (kept) return { frames: [], after: { id: lastEventId, seq: undefined }, ended: false }
    }
    const snapshot = await this.#snapshot(job.id)
    const { id, event } = snapshot
    // The stream has expired since; the client had its last event.
    if (event.job.done && id === lastEventId) return 'over'
    const logged: LoggedEvent[] = [snapshot]
    if (lastEventId !== undefined) logged.unshift({ id: '', event: { ...baseOf(event), type: 'reset' } })
    if (event.job.done) logged.push({ id, event: { ...baseOf(event), type: 'end', job: event.job } })
    const frames = logged.map((one) => new Frame(one))
    return { frames, after: { id, seq: event.seq }, ended: event.job.done }
  }

  async #snapshot(jobId: string): Promise<LoggedEvent & { event: Extract<JobEvent, { type: 'snapshot' }> }> {
    const snapshot = await this.#snapshots.run(jobId, () => this.#options.events.snapshot(jobId))
    if (snapshot?.event.type === 'snapshot') return { id: snapshot.id, event: snapshot.event }
    throw new AppError('JOB_NOT_FOUND', `there is no job ${jobId}`)
  }

  #start(
    channel: EventChannel,
    { frames, after, ended }: Beginning,
    { response, framing, accessEnded }: { response: ServerResponse; framing: Framing; accessEnded: AbortSignal },
  ): void {
    const { stuckMs } = this.#options
    const client = new EventClient({ response, framing, ...(stuckMs === undefined ? {} : { stuckMs }) })
    client.open()
    for (const frame of frames) client.send(frame)
    if (ended) client.end()
    else if (this.#draining) client.sendAway()
    else void channel.attach(client, after)
    onAbort(accessEnded, () => client.sendAway())
    channel.letGo()
  }

  #beat(heartbeatMs: number): void {
    for (const channel of this.#channels.values()) {
      channel.heartbeat()
      if (channel.silentMs < heartbeatMs) continue
      this.#compare(channel).catch((error: unknown) => {
        // Redis is gone; the streams stay open until it is back.
        this.#options.logger.debug({ err: error, jobId: channel.jobId }, 'silent job not checked')
      })
    }
  }

  /** A silent job may have ended, or be gone, without this process hearing of it. */
  async #compare(channel: EventChannel): Promise<void> {
    const job = await this.#options.queue.get(channel.jobId)
    if (job && !job.done) return
    await channel.catchUpAll()
    // Still here: its end is no longer in the stream. It comes back, and is given a snapshot and the end, or a 404.
    for (const client of channel.clients) client.endForNow()
  }
}

function baseOf({ jobId, seq, time, attempt }: JobEvent): Pick<JobEvent, 'jobId' | 'seq' | 'time' | 'attempt'> {
  return { jobId, seq, time, attempt }
}

export function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener()
  else signal.addEventListener('abort', listener, { once: true })
}
