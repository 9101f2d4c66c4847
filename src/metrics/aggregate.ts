import { AggregatorRegistry, type RegistryContentType } from 'prom-client'
import type { MetricJson } from './process-metrics.ts'

/** The text that Prometheus reads, of the figures of one or several processes; each metric tells how it is put together. */
export async function exposition(processes: ReadonlyArray<readonly MetricJson[]>): Promise<string> {
  return AggregatorRegistry.aggregate(processes.map((metrics) => [...metrics])).metrics()
}

export const EXPOSITION_TYPE: RegistryContentType = 'text/plain; version=0.0.4; charset=utf-8'
