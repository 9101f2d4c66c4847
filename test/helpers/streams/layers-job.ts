import { createHash } from 'node:crypto'
import type { Progress, Transfer } from '../../../src/jobs/model/definitions.ts'
import type { JobQueue } from '../../../src/jobs/queue.ts'
import { initialProgress } from '../../../src/jobs/record/record.ts'
import type { JobRuns } from '../../../src/jobs/runs.ts'
import { newJob, RESULT } from '../redis/jobs.ts'

/** A running job of many layers, by the scripts that workers use. */
export interface LayersJob {
  readonly id: string
  /** How many layers are complete. */
  readonly done: () => number
  /** One report: so many more layers are complete, and as many as a worker moves at once are active. */
  step(layers: number): Promise<void>
  succeed(): Promise<void>
}

/** As many as a worker moves at once, and rows of one report. */
const [ACTIVE, CHUNK] = [6, 500]
const KIB = 1024

export interface LayersJobOptions {
  queue: JobQueue
  runs: JobRuns
  count: number
  name?: string
}

export async function openLayersJob({ queue, runs, count, name = 'kraken' }: LayersJobOptions): Promise<LayersJob> {
  const source = `file:/packages/zarf-package-${name}-amd64-1.0.0.tar.zst`
  const { job } = await queue.create(newJob({ source }))
  const run = await runs.begin({ id: job.id, round: 1 }, 'bench')
  if (run.ended) throw new Error(`job ${job.id} does not begin`)
  const { epoch } = run
  const layers = Array.from({ length: count }, (_, at) => layerOf(at))
  const bytesTotal = layers.reduce((sum, { size }) => sum + size, 0)
  let [done, bytesDone] = [0, 0]
  const progress = (): Progress => ({
    ...initialProgress(new Date().toISOString()),
    phase: 'transferring',
    bytesTotal,
    bytesDone,
    bytesSent: bytesDone,
    wireBytes: bytesDone,
    layers: { total: count, done, skipped: 0, mounted: 0, failed: 0 },
    bytesPerSecond: 12_000_000 + done,
    etaSeconds: (bytesTotal - bytesDone) / 12_000_000,
  })
  const tell = async (transfers: Transfer[]) => {
    const now = progress()
    await runs.report(job.id, epoch, {
      progress: now,
      transfers,
      events: [{ type: 'progress', progress: now, transfers }],
    })
  }
  for (let at = 0; at < count; at += CHUNK) {
    const transfers = layers.slice(at, at + CHUNK)
    await runs.report(job.id, epoch, { progress: progress(), transfers, events: [{ type: 'transfer', transfers }] })
  }
  return {
    id: job.id,
    done: () => done,
    async step(more) {
      const complete = layers.slice(done, done + more).map((layer) => ({ ...layer, ...endOf(layer) }))
      done += complete.length
      bytesDone += complete.reduce((sum, { size }) => sum + size, 0)
      const active = layers.slice(done, done + ACTIVE).map((layer) => ({ ...layer, state: 'active' as const }))
      await tell([...complete, ...active])
    },
    async succeed() {
      await runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
    },
  }
}

function endOf({ size }: Transfer): Pick<Transfer, 'state' | 'bytesDone'> {
  return { state: 'complete', bytesDone: size }
}

/** Sizes between 1 KiB and 1 MiB, in no order. */
function layerOf(at: number): Transfer {
  return {
    digest: `sha256:${createHash('sha256').update(String(at)).digest('hex')}`,
    title: `images/blobs/layer-${String(at).padStart(5, '0')}.tar`,
    mediaType: 'application/vnd.zarf.layer.v1.blob',
    size: KIB * (1 + ((at * 7919) % KIB)),
    state: 'waiting',
    bytesDone: 0,
    attempt: 1,
    retryAt: null,
    error: null,
  }
}
