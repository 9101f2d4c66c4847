import { Gauge, Registry } from 'prom-client'
import type { JobQueue } from '../jobs/queue.ts'
import type { ContentStore } from '../store/content-store.ts'
import { createHostLabels } from './hosts.ts'
import type { MetricJson } from './process-metrics.ts'

const SAME = 'The same from every API of one layerd: take the maximum, never the sum.'
/** The store's folders are read for it. */
const STORE_EVERY_MS = 30_000

export interface FleetMetricsOptions {
  queue: Pick<JobQueue, 'figures'>
  store: Pick<ContentStore, 'space'>
  /** LAYERD_STORE_MAX_BYTES. */
  storeMaxBytes: number | undefined
}

/** What Redis and the store tell of all of layerd, read when it is asked for. Without Redis only `up` is left. */
export function createFleetMetrics({ queue, store, storeMaxBytes }: FleetMetricsOptions): () => Promise<MetricJson[]> {
  const registry = new Registry()
  const hostLabel = createHostLabels()
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({
      name: `layerd_fleet_${name}`,
      help: `${help} ${SAME}`,
      labelNames,
      registers: [registry],
      aggregator: 'max',
    })
  const up = gauge('redis_up', 'Whether Redis answers: 1 or 0.')
  const roundTrip = gauge('redis_round_trip_seconds', 'How long one reading of these figures took Redis.')
  const jobs = gauge('jobs', 'Jobs that are kept, by state.', ['state'])
  const queued = gauge('queue_jobs', 'Jobs that have not ended, by the registry whose queue they are in.', ['registry'])
  const oldest = gauge('queue_oldest_seconds', 'Age of the oldest job that waits; 0 when none does.')
  const leftUploads = gauge(
    'left_uploads_jobs',
    'Ended jobs whose upload sessions at registries have still to be given up.',
  )
  const workers = gauge('workers', 'Worker processes that gave a sign lately, drained ones too.')
  const measureStore = storeFigures(gauge, { store, storeMaxBytes })
  const readFigures = async (): Promise<void> => {
    const start = performance.now()
    const figures = await queue.figures()
    up.set(1)
    roundTrip.set((performance.now() - start) / 1000)
    for (const [state, count] of Object.entries(figures.jobs)) jobs.set({ state }, count)
    queued.reset()
    for (const [host, count] of figures.queues) queued.inc({ registry: hostLabel(host) }, count)
    oldest.set(figures.oldestQueuedMs / 1000)
    leftUploads.set(figures.leftUploads)
    workers.set(figures.workers)
  }
  return async () => {
    await Promise.all([
      readFigures().catch(() => {
        for (const metric of [roundTrip, jobs, queued, oldest, leftUploads, workers]) metric.reset()
        up.set(0)
      }),
      measureStore(),
    ])
    return registry.getMetricsAsJSON()
  }
}

type NewGauge = (name: string, help: string, labelNames?: string[]) => Gauge

/** Of the store and its disk, read anew every 30 s. */
function storeFigures(
  gauge: NewGauge,
  { store, storeMaxBytes }: Pick<FleetMetricsOptions, 'store' | 'storeMaxBytes'>,
): () => Promise<void> {
  const storeBytes = gauge(
    'store_bytes',
    'Bytes of the content store: used, limit; of its disk: free, kept_free for Redis, reserved for pulls, uploads and archives under way.',
    ['what'],
  )
  const diskLow = gauge(
    'disk_low',
    'Whether less is free on the disk than is kept free: 1 or 0. Uploads get 507 then, pulls wait.',
  )
  let measuredAt = Number.NEGATIVE_INFINITY

  const measure = async (): Promise<void> => {
    const { usedBytes, freeBytes, reserveBytes, low, promisedBytes } = await store.space()
    storeBytes.set({ what: 'used' }, usedBytes)
    storeBytes.set({ what: 'reserved' }, promisedBytes)
    storeBytes.set({ what: 'free' }, freeBytes)
    storeBytes.set({ what: 'kept_free' }, reserveBytes)
    diskLow.set(low ? 1 : 0)
    if (storeMaxBytes !== undefined) storeBytes.set({ what: 'limit' }, storeMaxBytes)
  }
  return async () => {
    if (performance.now() - measuredAt < STORE_EVERY_MS) return
    measuredAt = performance.now()
    await measure().catch(() => [storeBytes, diskLow].forEach((metric) => metric.reset()))
  }
}
