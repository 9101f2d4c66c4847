import type { SharedLimits } from '../../../content/limits/registry-limits.ts'
import { createForecast, type Forecasts } from './forecast.ts'
import { createLearnedRate, type LearnedRate } from './learned-rate.ts'
import { limitedBy, requestsPerSecond, type WaitCause } from './wait-cause.ts'
import type { LineOptions } from './waiting-line.ts'

/** How fast requests to one host go, and why not faster: the lowest of what is set, what it says and what it was seen to take. */
export interface Rates {
  readonly learnt: LearnedRate
  readonly forecasts: Forecasts
  /** Of all requests. */
  readonly all: Pick<LineOptions, 'rate' | 'cause'>
  /** Of those that count as pulls, beside it. */
  readonly pulls: Pick<LineOptions, 'rate' | 'cause'>
  /** Of all requests, without what was learnt: that is known to all processes. */
  told(at: number): number | undefined
}

export function createRates(host: string, now: () => number, shared: SharedLimits | undefined): Rates {
  const learnt = createLearnedRate()
  const forecasts: Forecasts = { requests: createForecast(), pulls: createForecast() }
  const limit = (): number => shared?.limitsOf(host)?.requestsPerSecond ?? Infinity
  const said = (at: number): number => forecasts.requests.slowed(at)?.perSecond ?? Infinity
  const seen = (at: number): number => learnt.at(at) ?? Infinity
  const cause = (): WaitCause => {
    const at = now()
    const [set, slowed] = [limit(), forecasts.requests.slowed(at)]
    if (set <= Math.min(seen(at), slowed?.perSecond ?? Infinity) && set < Infinity) return requestsPerSecond(set)
    return slowed && slowed.perSecond <= seen(at) ? slowed.cause : limitedBy(429)
  }
  return {
    learnt,
    forecasts,
    all: { rate: (at) => finite(Math.min(limit(), said(at), seen(at))), cause },
    pulls: {
      rate: (at) => forecasts.pulls.slowed(at)?.perSecond,
      cause: () => forecasts.pulls.slowed(now())?.cause ?? limitedBy(429),
    },
    told: (at) => finite(Math.min(limit(), said(at))),
  }
}

function finite(rate: number): number | undefined {
  return rate === Infinity ? undefined : rate
}
