import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Job } from '../../src/jobs/model/definitions.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { apiOf, childrenOf, readyUrl, startLayerd, workersOf } from '../helpers/processes/layerd.ts'
import { serverSentEvents } from '../helpers/streams/sse-client.ts'
import { type Cost, cpuOf, forgetPeak, peakOf, watchSizes } from './measure.ts'

/** What a caller of the API sends. */
export interface JobRequest {
  kind: 'publish' | 'pull' | 'copy'
  source: string
  destination?: string
  options?: Record<string, unknown>
}

/** Processor seconds of one job, by process. */
export interface DaemonCost extends Cost {
  parts: { worker: number; api: number; redis: number }
}

/** layerd as people run it, warm: API, one worker and its own Redis. */
export interface Daemon {
  /** Processor seconds until it was ready. */
  readonly startCpuSeconds: number
  readonly url: string
  readonly apiPid: number
  readonly workerPid: number
  /** Sends the job over the API, watches its events to the end as a client does, and says what all of it cost. */
  run(job: JobRequest): Promise<DaemonCost & { job: Job; firstEvent: string }>
  /** Forgets what was pulled, so that the next pull moves everything again. */
  emptyStore(): Promise<void>
  stop(): Promise<void>
  /** What it printed. */
  output(): string
}

export interface DaemonOptions {
  folder: string
  /** Where packages lie. */
  roots: readonly string[]
  env?: Record<string, string>
}

export async function startDaemon(t: Cleanup, options: DaemonOptions): Promise<Daemon> {
  const temporary = join(options.folder, 'tmp')
  const dataDir = join(options.folder, 'data')
  mkdirSync(temporary, { recursive: true })
  const layerd = await startLayerd(t, {
    dataDir,
    env: {
      LAYERD_WORKERS: '1',
      LAYERD_FILE_ROOTS: options.roots.join(':'),
      TMPDIR: temporary,
      ...options.env,
    },
  })
  const url = await readyUrl(layerd)
  const [worker] = workersOf(layerd.pid)
  if (!worker) throw new Error(`layerd has no worker:\n${layerd.output()}`)
  const api = apiOf(layerd.pid)
  const redis = childrenOf(layerd.pid).filter(({ pid }) => pid !== worker.pid && pid !== api.pid)
  const cpu = () => ({
    worker: cpuOf(worker.pid),
    api: cpuOf(api.pid) + cpuOf(layerd.pid),
    redis: sum(redis.map(({ pid }) => cpuOf(pid))),
  })
  const daemon = {
    startCpuSeconds: sum(Object.values(cpu())),
    url,
    apiPid: api.pid,
    workerPid: worker.pid,
    async run(request: JobRequest) {
      const sizes = watchSizes([dataDir, temporary])
      forgetPeak(worker.pid)
      const before = cpu()
      const started = performance.now()
      const ended = await runToEnd(url, request).finally(() => sizes.stop())
      const wallSeconds = (performance.now() - started) / 1000
      const after = cpu()
      const parts = {
        worker: after.worker - before.worker,
        api: after.api - before.api,
        redis: after.redis - before.redis,
      }
      const peakBytes = peakOf(worker.pid)
      return {
        ...ended,
        wallSeconds,
        cpuSeconds: sum(Object.values(parts)),
        peakBytes,
        temporaryBytes: sizes.beyondEnd(),
        parts,
      }
    },
    async emptyStore() {
      const { items } = (await (await fetch(`${url}/v1/packages`)).json()) as { items: { digest: string }[] }
      for (const { digest } of items) await fetch(`${url}/v1/packages/${digest}`, { method: 'DELETE' })
    },
    stop: async () => void (await layerd.stop()),
    output: () => layerd.output(),
  }
  return daemon
}

/** Posts a job and reads its event stream until it ends. Throws when it does not succeed. */
async function runToEnd(url: string, request: JobRequest): Promise<{ job: Job; firstEvent: string }> {
  const { id } = await submit(url, request)
  let firstEvent = ''
  for await (const event of serverSentEvents(await fetch(`${url}/v1/jobs/${id}/events`))) {
    firstEvent ||= event.id ?? ''
    const { job } = JSON.parse(event.data) as { job?: Job }
    if (event.event !== 'end' && !(event.event === 'snapshot' && job?.done)) continue
    if (job?.state === 'succeeded') return { job, firstEvent }
    throw new Error(`the job ended ${job?.state}: ${JSON.stringify(job?.error)}`)
  }
  throw new Error(`the events of job ${id} ended before the job did`)
}

export async function submit(url: string, request: JobRequest): Promise<Job> {
  const response = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  })
  if (response.status !== 202) throw new Error(`POST answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Job
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
