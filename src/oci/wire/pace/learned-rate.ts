/** How many answers are remembered. */
const REMEMBERED = 256
/** Fewer tell no rate. */
const LEAST_SAMPLE = 8
const SAMPLE_MS = 1000
/** So many of longer ago tell how much was asked, not how much is taken. */
const OLDEST_SAMPLE_MS = 2000
/** Where nothing is known yet. Requests a second, as all rates here. */
const FIRST_CEILING = 10
/** Below this the pauses between refusals do the slowing. */
const LOWEST_CEILING = 0.2
/** Faster than this nobody waits. */
const NO_LIMIT = 1000
/** So many requests from a refusal until the rate is back at what was refused, in 5 to 20 seconds. */
const GROWTH_REQUESTS = 75
const FASTEST_GROWTH_MS = 5000
const SLOWEST_GROWTH_MS = 20_000

/**
 * What a far end takes, in requests a second: halved when it refuses one, and grown again slowly (oci-client.md Y3). It
 * grows as TCP's windows do: soon near the rate that was refused, long about there, and faster the longer nothing is refused
 * above it, until it is no limit any more. Source: RFC 9438 (CUBIC), 4.2.
 */
export interface LearnedRate {
  /** Undefined as long as nothing limits it. `now`: ms. */
  at(now: number): number | undefined
  /** A request was let in. */
  accepted(now: number): void
  /** Requests are refused, and may go out again from `until` on. Once for all that were under way. */
  refused(now: number, until: number): void
  /** Requests a second that were let in lately; undefined where that is too little to tell. */
  measured(now: number): number | undefined
  /** What all processes have learnt together, in place of what this one has: the rate that was refused, and since when it is approached. */
  adopt(learnt: { perSecond: number; from: number } | undefined): void
  /** Nothing goes out before `until` for another reason: then not all at once, and nothing is learnt. */
  held(until: number): void
}

export function createLearnedRate(): LearnedRate {
  const times = new Float64Array(REMEMBERED)
  let count = 0
  /** The rate that was refused, and since when it is approached again. */
  let limit: { ceiling: number; from: number } | undefined

  /** What was let in lately; undefined where that is too little to tell. */
  const measured = (now: number): number | undefined => {
    const known = Math.min(count, REMEMBERED)
    let sample = 0
    let since = now
    while (sample < known) {
      const time = times[(count - 1 - sample) % REMEMBERED] ?? 0
      const enough = sample >= LEAST_SAMPLE && now - time > SAMPLE_MS
      if (enough || now - time > OLDEST_SAMPLE_MS) break
      since = time
      sample += 1
    }
    return sample < LEAST_SAMPLE ? undefined : (sample * 1000) / Math.max(SAMPLE_MS, now - since)
  }
  const at = (now: number): number | undefined => {
    if (limit === undefined) return undefined
    const rate = limit.ceiling * growth(limit.ceiling, now - limit.from)
    if (rate > NO_LIMIT) limit = undefined
    return limit && rate
  }
  return {
    at,
    measured,
    adopt(learnt) {
      limit = learnt && { ceiling: learnt.perSecond, from: learnt.from }
    },
    accepted(now) {
      times[count % REMEMBERED] = now
      count += 1
    },
    refused(now, until) {
      const rate = at(now)
      const ceiling = Math.min(rate ?? Infinity, measured(now) ?? rate ?? FIRST_CEILING)
      limit = { ceiling: Math.max(LOWEST_CEILING, ceiling), from: until }
    },
    held(until) {
      if (at(until) === undefined) limit = { ceiling: FIRST_CEILING, from: until }
    },
  }
}

/** Of the rate that was refused: half of it at first, all of it after the time of growth, five times it after three of those. */
function growth(ceiling: number, ms: number): number {
  const whole = Math.min(SLOWEST_GROWTH_MS, Math.max(FASTEST_GROWTH_MS, (1000 * GROWTH_REQUESTS) / ceiling))
  return 1 + ((Math.max(0, ms) - whole) / whole) ** 3 / 2
}
