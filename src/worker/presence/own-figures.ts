import type { Job, JobKind } from '../../jobs/model/definitions.ts'
import type { RunObserver } from '../run-observer.ts'

/** Kinds whose layers go out; those of the others come in answers' bodies. */
const SENDS: ReadonlySet<JobKind> = new Set<JobKind>(['publish', 'copy', 'mirror'])

export interface RunningJob {
  readonly id: string
  readonly kind: JobKind
  /** ms of performance.now. */
  readonly since: number
}

/** What this process uses, lately. */
export interface Used {
  readonly memory: { readonly rssBytes: number; readonly heapBytes: number }
  readonly cpu: number
  readonly bytesPerSecond: { readonly in: number; readonly out: number }
}

/** What a worker counts of itself: its jobs, the bytes that they move, what of the machine it uses. */
export interface OwnFigures {
  readonly observer: RunObserver
  /** Those that run, the oldest first. */
  readonly jobs: readonly RunningJob[]
  /** Since the call before. */
  take(): Used
}

export function createOwnFigures(now: () => number = () => performance.now()): OwnFigures {
  const jobs = new Set<RunningJob>()
  const moved = { in: 0, out: 0 }
  let before = { at: now(), cpu: process.cpuUsage(), ...moved }
  return {
    get jobs() {
      return [...jobs]
    },
    observer: {
      async around({ id, kind }: Job, work) {
        const running = { id, kind, since: now() }
        jobs.add(running)
        try {
          return await work()
        } finally {
          jobs.delete(running)
        }
      },
      began: ({ kind }) => ({
        event(event) {
          if (event.type === 'bytes' && SENDS.has(kind)) moved.out += event.wire
        },
        body: (bytes) => void (moved.in += bytes),
        progress: () => undefined,
        ended: () => undefined,
      }),
    },
    take() {
      const { rss, heapUsed } = process.memoryUsage()
      const next = { at: now(), cpu: process.cpuUsage(), ...moved }
      const ms = Math.max(1, next.at - before.at)
      const perSecond = (bytes: number) => Math.round((1000 * bytes) / ms)
      const busy = next.cpu.user - before.cpu.user + (next.cpu.system - before.cpu.system)
      const used = {
        memory: { rssBytes: rss, heapBytes: heapUsed },
        cpu: Math.round(busy / ms / 10) / 100,
        bytesPerSecond: { in: perSecond(moved.in - before.in), out: perSecond(moved.out - before.out) },
      }
      before = next
      return used
    },
  }
}
