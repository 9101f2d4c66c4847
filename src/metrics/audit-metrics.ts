import { Counter, Gauge } from 'prom-client'
import type { ProcessMetrics } from './process-metrics.ts'

/** Records of the audit on their way to one place. */
interface Outlet {
  readonly lost: number
  readonly waiting: number
}

/** What became of records of the audit, by where they go: redis, file. Asked for when it is read. */
export function countAudit({ registry }: ProcessMetrics, outlets: ReadonlyMap<string, Outlet>): void {
  const told = new Map<string, number>()
  const lost: Counter = new Counter({
    name: 'layerd_audit_lost_total',
    help: 'Records of the audit that were not written, since too many waited.',
    labelNames: ['to'],
    registers: [registry],
    collect(): void {
      for (const [to, outlet] of outlets) {
        lost.inc({ to }, outlet.lost - (told.get(to) ?? 0))
        told.set(to, outlet.lost)
      }
    },
  })
  const waiting: Gauge = new Gauge({
    name: 'layerd_audit_waiting',
    help: 'Records of the audit that wait to be written: more than a few where it cannot be.',
    labelNames: ['to'],
    registers: [registry],
    aggregator: 'sum',
    collect(): void {
      for (const [to, outlet] of outlets) waiting.set({ to }, outlet.waiting)
    },
  })
}
