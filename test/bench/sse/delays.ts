/** Milliseconds from when an event was written until a watcher had it. */
export interface Delays {
  /** Of entries with an id: from the write in Redis. */
  readonly entries: number[]
  /** Of ticks: from the moment the figures were read in Redis. */
  readonly ticks: number[]
  /** How old the figures of a tick are when they are there. */
  readonly figures: number[]
}

export const EVENT = /\nevent: /
const HEAD = /(?:\nid: (\d+)-\d+)?\nevent: ([a-z]+)\ndata: \{"type":"[a-z]+"(?:,"time":"([^"]+)")?/g
/** The longest that HEAD can be. */
const HEAD_LENGTH = 200

export function delaysOf(): Delays {
  return { entries: [], ticks: [], figures: [] }
}

/** Counts what begins in `text`; returns what may be the beginning of one that goes on. */
export function record(text: string, { entries, ticks }: Delays): string {
  const now = Date.now()
  let end = 0
  HEAD.lastIndex = 0
  for (let head = HEAD.exec(text); head !== null; head = HEAD.exec(text)) {
    const [, id, type, time] = head
    end = HEAD.lastIndex
    if (type === 'snapshot' || type === 'ping') continue
    if (id !== undefined) entries.push(now - Number(id))
    else if (time !== undefined) ticks.push(now - Date.parse(time))
  }
  return text.slice(Math.max(end, text.length - HEAD_LENGTH))
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
