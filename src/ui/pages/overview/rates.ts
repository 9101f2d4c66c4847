import type { Stats } from '../../api/types.ts'

const MINUTE_SECONDS = 60
/** In less than this a figure is chance. */
const LEAST_SECONDS = 5

/** Bytes a second of each minute. The one that is not over counts by what has gone of it; at its very beginning it is left out. */
export function ratesOf(
  { times, series, now }: Pick<Stats, 'times' | 'series' | 'now'>,
  measure: 'wireBytesSent' | 'wireBytesReceived',
): number[] {
  const gone = Math.floor(Date.parse(now) / 1000) - (times.at(-1) ?? 0)
  const bytes = series[measure]
  const shown = gone < LEAST_SECONDS ? bytes.slice(0, -1) : bytes
  return shown.map((one, at) => one / (at === bytes.length - 1 ? Math.min(gone, MINUTE_SECONDS) : MINUTE_SECONDS))
}
