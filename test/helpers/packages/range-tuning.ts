import type { RangeTuning } from '../../../src/store/ingest/range-growth.ts'

const MIB = 1024 * 1024

/** Several ranges for layers of a few MiB. */
export const SMALL_RANGES: Partial<RangeTuning> = {
  minBytes: MIB,
  lookMs: 150,
  leastBytes: 2 * MIB,
  mostBytes: 2 * MIB,
}
