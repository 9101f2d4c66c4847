import type { RecordedRequest, WireTrace } from '../../content/wire-request.ts'
import type { TracePart } from '../../jobs/progress/reports.ts'
import type { TracedRequest } from '../../jobs/progress/trace.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'

/** Of a job that was asked to tell of all. Redis keeps so many, or 2 MiB of them (scripts/jobs/moves.lua). */
export const TRACED_REQUESTS = 5000
/** Of one that has failed, whether it was asked to or not. */
export const LAST_REQUESTS = 50
/** Told with one report: the texts of a request cost a tenth of a millisecond. */
const PER_REPORT = 500

/** What a run keeps of its requests until somebody wants to see them. */
export interface RunTrace extends WireTrace {
  /** What the next report has of them. */
  take(): Promise<TracePart | undefined>
  /** What the last one has: those that are still under way too, and of a job that failed always the last fifty. */
  rest(failed: boolean): Promise<TracePart | undefined>
}

export interface RunTraceOptions {
  /** options.trace: all are told, as they end. */
  all: boolean
  /** Of the job. */
  attempt: number
  /** There is something to take. */
  onNews: () => void
}

export function createRunTrace(options: RunTraceOptions): RunTrace {
  return options.all ? tellingAll(options) : keepingLast(options)
}

function tellingAll({ attempt, onNews }: RunTraceOptions): RunTrace {
  const open = new Set<RecordedRequest>()
  let pending: RecordedRequest[] = []
  let dropped = 0
  const taken = async (count: number): Promise<TracePart | undefined> => {
    const [wanted, unkept] = [pending.slice(0, count), dropped]
    pending = pending.slice(count)
    dropped = 0
    if (wanted.length === 0 && unkept === 0) return undefined
    return { requests: await toldAll(wanted, attempt), dropped: unkept, most: TRACED_REQUESTS }
  }
  return {
    began: (request) => void open.add(request),
    ended(request) {
      if (!open.delete(request)) return
      pending.push(request)
      // While Redis is slow the oldest go; not each by itself, as all others would have to be moved for it.
      if (pending.length >= 2 * TRACED_REQUESTS) dropped += pending.splice(0, TRACED_REQUESTS).length
      onNews()
    },
    async take() {
      const part = await taken(PER_REPORT)
      if (pending.length > 0) onNews()
      return part
    },
    rest() {
      pending.push(...open)
      open.clear()
      dropped += pending.splice(0, pending.length - TRACED_REQUESTS).length
      return taken(TRACED_REQUESTS)
    },
  }
}

/** A ring: packages have thousands of small layers, and most jobs don't fail. */
function keepingLast({ attempt }: RunTraceOptions): RunTrace {
  const last: RecordedRequest[] = []
  let count = 0
  return {
    began(request) {
      last[count % LAST_REQUESTS] = request
      count += 1
    },
    ended: () => undefined,
    take: async () => undefined,
    async rest(failed) {
      if (!failed || count === 0) return undefined
      const requests = await toldAll(last, attempt)
      return { requests, dropped: count - requests.length, most: LAST_REQUESTS }
    },
  }
}

async function toldAll(requests: readonly RecordedRequest[], attempt: number): Promise<TracedRequest[]> {
  const breathe = createBreathing()
  const all: TracedRequest[] = []
  for (const request of requests) {
    all.push({ ...request.told(), attempt })
    await breathe()
  }
  return all
}
