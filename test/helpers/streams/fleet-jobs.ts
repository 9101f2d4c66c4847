import { randomBytes } from 'node:crypto'
import type { Progress, Transfer } from '../../../src/jobs/model/definitions.ts'
import { createJobQueue, type JobQueue } from '../../../src/jobs/queue.ts'
import { initialProgress } from '../../../src/jobs/record/record.ts'
import { createJobRuns, type JobRuns } from '../../../src/jobs/runs.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { newJob, RESULT } from '../redis/jobs.ts'
import { waitFor } from '../wait-for.ts'

/** Jobs of a daemon that has no worker, which run by the scripts that workers use. */
export interface FleetJobs {
  readonly ids: readonly string[]
  /** For further ones. */
  readonly queue: JobQueue
  readonly runs: JobRuns
  /** Reports of each job as often as a worker makes them, and jobs beside these that come, begin and end. */
  start(): void
  /** Reports and changes so far. */
  readonly written: () => { reports: number; changes: number }
  stop(): Promise<void>
}

/** As a worker's reporter (worker/reporter.ts). */
const REPORT_MS = 250
const BLOB_BYTES = 4 * 1024 * 1024 * 1024
/** Each has one of two values; filters are made of them. */
export const LABELS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const

export interface FleetJobsOptions {
  socketPath: string
  count: number
  changesPerSecond: number
  /** Of the job of that number. Default: bytesDone is the time at which they were written. */
  figures?: (at: number, now: number) => Progress
}

export async function openFleetJobs(t: Cleanup, options: FleetJobsOptions): Promise<FleetJobs> {
  const { socketPath, count, changesPerSecond, figures = (_, now) => movedTo(now) } = options
  const connection = { redis: { socketPath }, secretKey: randomBytes(32) }
  const queue = createJobQueue(connection)
  const runs = createJobRuns(connection)
  defer(t, async () => void (await Promise.all([queue.close(), runs.close()])))
  await waitFor('the queue to answer', () => queue.ping(1000))
  const written = { reports: 0, changes: 0 }
  let stopped = false
  const under = new Set<Promise<unknown>>()
  const begun = async (at: number) => {
    const labels = Object.fromEntries(LABELS.map((label, bit) => [label, String((at >> bit) & 1)]))
    const source = `file:/packages/zarf-package-nemo-${at}-amd64-1.2.0.tar.zst`
    const { job } = await queue.create(newJob({ labels, source }))
    const run = await runs.begin({ id: job.id, round: 1 }, 'bench')
    if (run.ended) throw new Error(`job ${job.id} does not begin`)
    return { id: job.id, epoch: run.epoch }
  }
  const jobs: Array<{ id: string; epoch: number }> = []
  for (let at = 0; at < count; at += 1) jobs.push(await begun(at))

  const task = (work: Promise<unknown>) => {
    // On a busy machine Redis may be late for one; what is written is counted.
    const done = work.catch(() => {}).finally(() => under.delete(done))
    under.add(done)
  }
  const report = async ({ id, epoch }: { id: string; epoch: number }, at: number): Promise<void> => {
    const progress = figures(at, Date.now())
    const transfers = [row(progress)]
    await runs.report(id, epoch, { progress, transfers, events: [{ type: 'progress', progress, transfers }] })
    written.reports += 1
  }
  const live = async (at: number): Promise<void> => {
    const job = await begun(at)
    await runs.finish(job.id, job.epoch, { state: 'succeeded', result: RESULT })
    await queue.remove(job.id)
    written.changes += 4
  }
  const every = (ms: number, at: number, work: () => Promise<unknown>) => {
    if (stopped) return
    const due = at + ms
    task(work())
    setTimeout(() => every(ms, due, work), Math.max(0, due - performance.now()))
  }
  return {
    ids: jobs.map(({ id }) => id),
    queue,
    runs,
    written: () => ({ ...written }),
    start() {
      for (const [at, job] of jobs.entries()) {
        setTimeout(() => every(REPORT_MS, performance.now(), () => report(job, at)), (at * REPORT_MS) / count)
      }
      if (changesPerSecond > 0) every(4000 / changesPerSecond, performance.now(), () => live(written.changes))
    },
    async stop() {
      stopped = true
      await Promise.all(under)
    },
  }
}

const GIB = 1024 ** 3
const beganAt = Date.now()

/** As of a package of 64 GiB that goes on at a speed which changes with every report: all that is shown of it changes. */
export function movingFigures(at: number, now: number): Progress {
  const bytesTotal = 64 * GIB
  const bytesDone = Math.min(bytesTotal, Math.round(((now - beganAt) / 1000) * (20 + (at % 40)) * 1e6))
  const bytesPerSecond = (20 + (at % 40)) * 1e6 + (now % 1000) * 1e4
  const etaSeconds = (bytesTotal - bytesDone) / bytesPerSecond
  const bytesSkipped = Math.min(bytesDone, GIB)
  const bytesSent = bytesDone - bytesSkipped
  return { ...movedTo(now), bytesTotal, bytesDone, bytesSkipped, bytesSent, bytesPerSecond, etaSeconds }
}

/** Figures as those of a large package; bytesDone is the time at which they were written. */
function movedTo(now: number): Progress {
  return {
    ...initialProgress(new Date(now).toISOString()),
    phase: 'transferring',
    bytesTotal: now + BLOB_BYTES,
    bytesDone: now,
    bytesSkipped: 123_456_789,
    bytesSent: now - 123_456_789,
    wireBytes: now,
    sourceBytesRead: now,
    sourceBytes: now + BLOB_BYTES,
    layers: { total: 24, done: 11, skipped: 3, mounted: 0, failed: 0 },
    bytesPerSecond: 84_123_456.7,
    etaSeconds: 51.2,
  }
}

function row({ bytesDone }: Progress): Transfer {
  return {
    digest: `sha256:${'ab'.repeat(32)}`,
    title: 'components/nemo.tar',
    mediaType: 'application/vnd.zarf.layer.v1.blob',
    size: bytesDone + BLOB_BYTES,
    state: 'active',
    bytesDone,
    attempt: 1,
    retryAt: null,
    error: null,
  }
}
