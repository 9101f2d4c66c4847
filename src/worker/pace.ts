import type { Progress } from '../jobs/model/definitions.ts'

/** Weight of the newest second in the smoothed rate. */
const RATE_WEIGHT = 0.3

/** A count, and how fast it has grown lately. */
export interface Rate {
  at: number
  bytes: number
  perSecond: number
}

/** The newest second weighs as said, however often one looks. */
export function smooth(rate: Rate, bytes: number, now: number): void {
  const seconds = (now - rate.at) / 1000
  if (seconds <= 0) return
  const weight = 1 - (1 - RATE_WEIGHT) ** seconds
  const newest = (bytes - rate.bytes) / seconds
  rate.perSecond = rate.perSecond === 0 ? newest : rate.perSecond + weight * (newest - rate.perSecond)
  rate.at = now
  rate.bytes = bytes
}

/** Never less than what is known to be there. Before anything was said, what an earlier run knew stands. */
export function estimateOf(sums: Progress, estimate: number | undefined, atLeast: number): number | null {
  if (sums.bytesTotal !== null) return null
  const said = estimate ?? sums.bytesTotalEstimate
  return said === null ? null : Math.max(said, atLeast)
}

/** How fast bytes go over the wire, are settled in any way, and are read of the source; a second. */
export interface Rates {
  wire: Pick<Rate, 'perSecond'>
  done: Pick<Rate, 'perSecond'>
  source: Pick<Rate, 'perSecond'>
}

const STILL = { perSecond: 0 }
/** Of a run that has ended. */
export const AT_REST: Rates = { wire: STILL, done: STILL, source: STILL }

/**
 * By what goes over the wire where the total is known. Where it is not, what is left may be there already, so what was
 * settled in any way counts, and before anything was, how fast the source is read.
 */
export function secondsLeft(
  { bytesTotal, bytesTotalEstimate, bytesDone, sourceBytes, sourceBytesRead }: Progress,
  rates: Rates,
): number | null {
  if (bytesTotal === bytesDone) return 0
  const total = bytesTotal ?? bytesTotalEstimate
  const perSecond = bytesTotal === null ? Math.max(rates.wire.perSecond, rates.done.perSecond) : rates.wire.perSecond
  if (total !== null && perSecond >= 1) return Math.ceil((total - bytesDone) / perSecond)
  if (bytesTotal !== null || sourceBytes === null || rates.source.perSecond < 1) return null
  return Math.ceil((sourceBytes - sourceBytesRead) / rates.source.perSecond)
}
