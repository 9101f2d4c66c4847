import { cpus } from 'node:os'

/** Measures the share of processor time that the machine left unused since the call before. */
export function createIdleMeter(): () => number {
  let before = totals()
  return () => {
    const now = totals()
    const total = now.total - before.total
    const idle = now.idle - before.idle
    before = now
    return total <= 0 ? 0 : idle / total
  }
}

function totals(): { idle: number; total: number } {
  let idle = 0
  let total = 0
  for (const { times } of cpus()) {
    idle += times.idle
    total += times.idle + times.user + times.sys + times.nice + times.irq
  }
  return { idle, total }
}
