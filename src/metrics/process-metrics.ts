import { collectDefaultMetrics, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'

/** One metric with its values, as processes hand it to each other. */
export type MetricJson = MetricObjectWithValues<MetricValue<string>>

/** What this process counts of itself: Node's and the system's own figures, and what is registered beside them. */
export interface ProcessMetrics {
  readonly registry: Registry
  json(): Promise<MetricJson[]>
}

export function createProcessMetrics(): ProcessMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return { registry, json: () => registry.getMetricsAsJSON() }
}
