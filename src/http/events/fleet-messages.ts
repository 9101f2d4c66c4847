import { type Job, TERMINAL_STATES } from '../../jobs/model/definitions.ts'
import type { FleetChange, MovedJob } from '../../jobs/progress/fleet.ts'
import type { PageOf } from '../../jobs/model/requests.ts'
import { type Message, SharedMessage } from './sse.ts'

/** What a stream of all jobs says once. */
export class FleetMessage extends SharedMessage {
  readonly told: Message

  constructor(told: Message) {
    super()
    this.told = told
  }

  protected message(): Message {
    return this.told
  }

  over(): undefined {
    return undefined
  }
}

/**
 * A job came, changed its state, ended or went. `matches`: whether the filter lets it through as it is now; one that it does not is
 * told to those whom it did before, so that they can take it from their lists.
 */
export function changeMessage(change: FleetChange, matches: boolean): Message {
  const { id, jobId, revision, job } = change
  const head = `"jobId":"${jobId}","time":"${timeOf(id)}"`
  if (job === undefined) return { id, type: 'removed', json: `{"type":"removed",${head}}` }
  const type = typeOf(change)
  return { id, type, json: `{"type":"${type}",${head},"revision":${revision},"matches":${matches},"job":${job}}` }
}

export function snapshotMessage(id: string, { items, nextPageToken }: PageOf<Job>): Message {
  const page = nextPageToken === undefined ? {} : { nextPageToken }
  return { id, type: 'snapshot', json: JSON.stringify({ type: 'snapshot', time: timeOf(id), jobs: items, ...page }) }
}

export function resetMessage(): Message {
  return { id: '', type: 'reset', json: JSON.stringify({ type: 'reset', time: new Date().toISOString() }) }
}

/** Its id is where to go on, so that a filter that lets little through does not lead past what is kept. */
export function pingMessage(id: string): Message {
  return { id, type: 'ping', json: JSON.stringify({ type: 'ping', time: new Date().toISOString() }) }
}

/** All jobs that moved in one tick, as far as a view shows them. */
export class ProgressMessage extends SharedMessage {
  readonly #time: string
  readonly #rows: ReadonlyMap<string, string>

  constructor(time: string, rows: ReadonlyMap<string, string>) {
    super()
    this.#time = time
    this.#rows = rows
  }

  protected message(): Message {
    const json = `{"type":"progress","time":"${this.#time}","moved":[${[...this.#rows.values()].join(',')}]}`
    return { id: '', type: 'progress', json }
  }

  /** The newest figures of each job that moved in either. */
  over(older: SharedMessage): ProgressMessage | undefined {
    if (!(older instanceof ProgressMessage)) return undefined
    return new ProgressMessage(this.#time, new Map([...older.#rows, ...this.#rows]))
  }
}

export function progressMessage(jobs: readonly MovedJob[]): ProgressMessage {
  return new ProgressMessage(new Date().toISOString(), new Map(jobs.map(({ jobId, row }) => [jobId, row])))
}

function typeOf({ from, facts }: FleetChange): 'created' | 'state' | 'end' {
  if (TERMINAL_STATES.has(facts.state)) return 'end'
  return from.includes('') ? 'created' : 'state'
}

/** A stream id begins with milliseconds since 1970. */
function timeOf(id: string): string {
  return new Date(Number(id.slice(0, id.indexOf('-')))).toISOString()
}
