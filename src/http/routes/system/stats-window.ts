import { STATS_BUCKETS, type StatsQuery } from '../../../jobs/system/stats.ts'
import { AppError } from '../../../lib/errors.ts'

/** Up to an hour it is told by minute, else by hour. */
export type StatsWindow = Pick<StatsQuery, 'resolution' | 'buckets'>

const MINUTES_OF: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440, w: 10_080 }

/** 15m, 1h, 7d, or in ISO 8601 PT15M, PT1H, P7D. Throws REQUEST_INVALID. */
export function parseStatsWindow(text: string): StatsWindow {
  const minutes = minutesOf(text)
  if (minutes !== undefined && minutes >= 1 && minutes <= STATS_BUCKETS.minute) {
    return { resolution: 'minute', buckets: minutes }
  }
  if (minutes !== undefined && minutes % 60 === 0 && minutes > 0 && minutes <= STATS_BUCKETS.hour * 60) {
    return { resolution: 'hour', buckets: minutes / 60 }
  }
  throw new AppError('REQUEST_INVALID', `no figures are kept for the window "${text.slice(0, 32)}"`, {
    hint: 'A window is 1m to 60m, told by minute, or whole hours from 2h to 168h (7d), told by hour; 1h, 7d, PT15M and P1D are such.',
    details: { parameter: 'window' },
  })
}

function minutesOf(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,5})([mhdw])$/i.exec(text) ?? []
  if (count !== undefined) return Number(count) * (MINUTES_OF[unit.toLowerCase()] ?? 0)
  const [whole, weeks, days, hours, minutes] =
    /^P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?)?$/i.exec(text) ?? []
  if (whole === undefined || !/\d[a-z]$/i.test(whole)) return undefined
  return [weeks, days, hours, minutes].reduce(
    (sum, part, at) => sum + Number(part ?? 0) * ([10_080, 1440, 60, 1][at] ?? 0),
    0,
  )
}
