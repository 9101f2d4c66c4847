import { type Job, TERMINAL_STATES } from '../../jobs/model/definitions.ts'
import type { FleetChange, MovedJob } from '../../jobs/progress/fleet.ts'
import type { PageOf } from '../../jobs/model/requests.ts'
import { type Framing, type Message, SharedMessage } from './sse.ts'

/** What a stream of all jobs says once. */
export class FleetMessage extends SharedMessage {
  readonly told: Message

  constructor(told: Message) {
    super()
    this.told = told
  }

  get size(): number {
    return this.told.json.length
  }

  protected render(framing: Framing): Buffer {
    return Buffer.from(framing.message(this.told))
  }

  over(): undefined {
    return undefined
  }
}

/** A whole list; of one that is behind by several, the last is enough. */
export class ListMessage extends SharedMessage {
  readonly told: Message
  /** Without the time at which it was read. */
  readonly list: string

  constructor(name: 'queues' | 'workers', time: string, { items, nextPageToken }: PageOf<unknown>) {
    super()
    const rest = JSON.stringify({ [name]: items, nextPageToken })
    this.list = rest
    this.told = { id: '', type: name, json: `{"type":"${name}","time":"${time}",${rest.slice(1)}` }
  }

  get size(): number {
    return this.told.json.length
  }

  protected render(framing: Framing): Buffer {
    return Buffer.from(framing.message(this.told))
  }

  over(older: SharedMessage): ListMessage | undefined {
    return older instanceof ListMessage && older.told.type === this.told.type ? this : undefined
  }
}

/** Changes that came at one moment: one write for each of those who watch. */
export class FleetMessages extends SharedMessage {
  readonly #messages: readonly FleetMessage[]
  readonly size: number

  constructor(messages: readonly FleetMessage[]) {
    super()
    this.#messages = messages
    this.size = messages.reduce((sum, { size }) => sum + size, 0)
  }

  protected render(framing: Framing): Buffer {
    return Buffer.concat(this.#messages.map((message) => message.bytes(framing)))
  }

  over(): undefined {
    return undefined
  }
}

/** Of each change, for those whose filters let it through and for the others: rendered once, whoever asks. */
const CHANGES = new WeakMap<FleetChange, Map<boolean, FleetMessage>>()

/**
 * A job came, changed its state, ended or went. `matches`: whether the filter lets it through as it is now; one that it does not is
 * told to those whom it did before, so that they can take it from their lists.
 */
export function changeMessage(change: FleetChange, matches: boolean): FleetMessage {
  const known = CHANGES.get(change) ?? new Map<boolean, FleetMessage>()
  CHANGES.set(change, known)
  const message = known.get(matches) ?? new FleetMessage(changeText(change, matches))
  known.set(matches, message)
  return message
}

function changeText(change: FleetChange, matches: boolean): Message {
  const { id, jobId, revision, job } = change
  const head = `"jobId":"${jobId}","time":"${timeOf(id)}"`
  if (job === undefined) return { id, type: 'removed', json: `{"type":"removed",${head}}` }
  const type = typeOf(change)
  return { id, type, json: `{"type":"${type}",${head},"revision":${revision},"matches":${matches},"job":${job}}` }
}

export function snapshotMessage(id: string, { items, nextPageToken }: PageOf<Job>): FleetMessage {
  const page = nextPageToken === undefined ? {} : { nextPageToken }
  const json = JSON.stringify({ type: 'snapshot', time: timeOf(id), jobs: items, ...page })
  return new FleetMessage({ id, type: 'snapshot', json })
}

export function resetMessage(): FleetMessage {
  const json = JSON.stringify({ type: 'reset', time: new Date().toISOString() })
  return new FleetMessage({ id: '', type: 'reset', json })
}

/** Its id is where to go on, so that a filter that lets little through does not lead past what is kept. */
export function pingMessage(id: string): Message {
  return { id, type: 'ping', json: JSON.stringify({ type: 'ping', time: new Date().toISOString() }) }
}

/** All jobs that moved in one tick, as far as a view shows them. */
export class ProgressMessage extends SharedMessage {
  readonly #time: string
  readonly #rows: ReadonlyMap<string, string>
  /** Of those that are behind by the same, all are given the same. */
  readonly #merged = new WeakMap<ProgressMessage, ProgressMessage>()
  readonly size: number

  constructor(time: string, rows: ReadonlyMap<string, string>) {
    super()
    this.#time = time
    this.#rows = rows
    this.size = rows.values().reduce((sum, row) => sum + row.length, 0)
  }

  protected render(framing: Framing): Buffer {
    const json = `{"type":"progress","time":"${this.#time}","moved":[${[...this.#rows.values()].join(',')}]}`
    return Buffer.from(framing.message({ id: '', type: 'progress', json }))
  }

  /** The newest figures of each job that moved in either. */
  over(older: SharedMessage): ProgressMessage | undefined {
    if (!(older instanceof ProgressMessage)) return undefined
    const merged = this.#merged.get(older) ?? new ProgressMessage(this.#time, new Map([...older.#rows, ...this.#rows]))
    this.#merged.set(older, merged)
    return merged
  }
}

/** `time`: when the figures began to be read. */
export function progressMessage(time: string, jobs: readonly MovedJob[]): ProgressMessage {
  return new ProgressMessage(time, new Map(jobs.map(({ jobId, row }) => [jobId, row])))
}

function typeOf({ from, facts }: FleetChange): 'created' | 'state' | 'end' {
  if (TERMINAL_STATES.has(facts.state)) return 'end'
  return from.includes('') ? 'created' : 'state'
}

/** A stream id begins with milliseconds since 1970. */
function timeOf(id: string): string {
  return new Date(Number(id.slice(0, id.indexOf('-')))).toISOString()
}
