import { Gauge, Histogram } from 'prom-client'
import type { ProcessMetrics } from './process-metrics.ts'

const SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 300]

/** What an API answers, and who watches. */
export interface ApiMetrics {
  readonly onAnswered: (answer: { route: string; method: string; status: number; seconds: number }) => void
  /** How many streams of a kind are open is asked for when it is read. */
  readonly watchStreams: (count: () => number) => void
}

export function createApiMetrics({ registry }: ProcessMetrics): ApiMetrics {
  const durations = new Histogram({
    name: 'layerd_http_request_duration_seconds',
    help: 'From a request of the API until the end of its answer; streams of events last as long as they are watched.',
    labelNames: ['route', 'method', 'status'],
    buckets: SECONDS,
    registers: [registry],
  })
  const streams: Array<() => number> = []
  const open: Gauge = new Gauge({
    name: 'layerd_event_streams',
    help: 'Streams of events that are open.',
    registers: [registry],
    aggregator: 'sum',
    collect(): void {
      open.set(streams.reduce((sum, count) => sum + count(), 0))
    },
  })
  return {
    onAnswered: ({ route, method, status, seconds }) =>
      durations.observe({ route, method, status: `${Math.floor(status / 100)}xx` }, seconds),
    watchStreams(count) {
      streams.push(count)
    },
  }
}
