/**
 * When another reader of a compressed archive pays. Each reader decompresses the whole archive up to what it claims, so
 * one more is right only while the wire is what everybody waits for and processor time is left over.
 * Source: design.md "Archives are read in place"; a pass costs about 1.3 CPU seconds per GB.
 */
export interface ReaderLoad {
  readers: number
  maxReaders: number
  /** Share of the last interval that the readers' uploads spent waiting for the far end, 0 to 1. */
  sinkWait: number
  /** Share of the machine's processor time that nobody used, 0 to 1. */
  idle: number
  /** Blobs that nobody has claimed yet. */
  unclaimed: number
}

/** Memory that decoder windows of all readers may take together. */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024

export function wantsAnotherReader(load: ReaderLoad): boolean {
  return load.readers < load.maxReaders && load.unclaimed > 0 && load.sinkWait > 0.6 && load.idle > 0.35
}

/** How many readers may run: the job's concurrency, within the memory of their decoder windows. */
export function maxReaders(concurrency: number, windowBytes: number): number {
  return Math.max(1, Math.min(concurrency, Math.floor(WINDOW_BUDGET_BYTES / Math.max(1, windowBytes))))
}
