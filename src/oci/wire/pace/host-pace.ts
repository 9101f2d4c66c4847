import type { SharedLimits, SharedPace, SharedTurns } from '../../../content/limits/registry-limits.ts'
import type { Clock } from '../../../lib/clock.ts'
import { AppError } from '../../../lib/errors.ts'
import { parseRetryAfter } from '../../errors/retry-after.ts'
import { createRates, type Rates } from './rates.ts'
import { type Remaining, remainingOf } from './remaining.ts'
import { limitedBy } from './wait-cause.ts'
import { createWaitingLine, type Waiting, type WaitingLine } from './waiting-line.ts'

/** A longer Retry-After is for who got it: it may be about one user or one repository. Source: oci-client.md Y2. */
export const LONGEST_PAUSE_MS = 600_000
/** A pause is longer by up to so much of it, so that processes that were refused together don't come back together. */
const JITTER = 0.2
const LONGEST_JITTER_MS = 10_000
const MAX_HOSTS = 1000
/** So much later a pause that another process tells of ends by its way here, and not because it is a longer one. */
const SAME_PAUSE_MS = 50

/** Waits after refusals in a row, where the far end names none or a shorter one. */
export interface PaceOptions {
  clock: Clock
  /** The first; it doubles with each. Default 500 ms. Source: oci-client.md Y2. */
  baseMs?: number
  /** Default 30 s. */
  maxMs?: number
  /** In [0, 1). Default Math.random. */
  random?: () => number
  /** What is set, and what other processes ask and learn. Default: nothing is, and there are none. */
  shared?: SharedLimits
}

/** What is known of an answer that may be a refusal for now. */
export interface PacedAnswer {
  readonly status: number
  header(name: string): string | undefined
}

/**
 * When requests to one host may go out: at once, until it refuses one for now (429, or 503 with Retry-After) or a limit is
 * set for it. Then nothing goes out until the pause is over, and from then on one after the other, as fast as was learnt
 * that it takes them. All requests of all processes share it, whoever makes them.
 */
export interface HostPace extends Pick<WaitingLine, 'open'> {
  /** Resolves when it is not paused any more. Rejects with the signal's reason. */
  pause(waiting: Waiting): Promise<void>
  /** The same, when it is the turn of the request that comes right after. */
  turn(waiting: Waiting): Promise<void>
  /** Requests that a registry counts as pulls, and only those, may have to wait here before. */
  readonly pulls: Pick<WaitingLine, 'open' | 'turn'>
  /** Names a request that goes out now. */
  sent(): Sent
  /** What came of it; undefined where it was not refused for now. */
  answered(sent: Sent, answer: PacedAnswer): Refusal | undefined
}

export interface Refusal {
  /** How long nothing goes out from now on, ms. */
  readonly pauseMs: number
  /** It asked for longer than a host is paused. */
  readonly tooLong: boolean
}

/** Which pause it came after: of requests that were under way together, the first that is refused decides. */
export type Sent = number

/** The paces of a process, by host. */
export interface HostPaces extends Disposable {
  /** `host[:port]`, as URL.host has it. */
  of(host: string): HostPace
  /** Another process was refused by that host. */
  paused(host: string, pace: SharedPace): void
  /** What others were told meanwhile may have been missed. */
  lookAgain(): void
  /** Aborted when all waits end. */
  readonly closed: AbortSignal
}

export function createHostPaces(options: PaceOptions): HostPaces {
  const paces = new Map<string, KnownPace>()
  const closing = new AbortController()
  return {
    closed: closing.signal,
    of(host) {
      const known = paces.get(host)
      if (known) return known
      const made = createHostPace(host, options, closing.signal)
      paces.set(host, made)
      // Whoever redirects chooses names.
      const [oldest] = paces.keys()
      if (paces.size > MAX_HOSTS && oldest !== undefined) paces.delete(oldest)
      return made
    },
    paused: (host, pace) => paces.get(host)?.adopt(pace),
    lookAgain() {
      for (const pace of paces.values()) pace.look()
    },
    [Symbol.dispose]() {
      closing.abort(new AppError('SHUTTING_DOWN', 'nothing is asked any more: layerd is shutting down'))
    },
  }
}

interface KnownPace extends HostPace {
  /** What all have learnt together. */
  adopt(pace: SharedPace): void
  /** Asks for it before the next request goes out. */
  look(): void
}

function createHostPace(host: string, options: PaceOptions, closed: AbortSignal): KnownPace {
  const { clock, shared } = options
  const { learnt: rate, ...rates } = createRates(host, () => clock.now(), shared)
  const backoff = createBackoff(options)
  /** The number of the newest pause. */
  let newest: Sent = 0

  const adopt = ({ pauseMs, status, learnt }: SharedPace): void => {
    const now = clock.now()
    rate.adopt(learnt && { perSecond: learnt.perSecond, from: now - learnt.sinceMs })
    if (now + pauseMs <= Math.max(now, line.closedUntil) + SAME_PAUSE_MS) return
    newest += 1
    line.closeUntil(now + pauseMs, limitedBy(status))
  }
  const askTurns = async (all: SharedLimits, wanted: number): Promise<SharedTurns | undefined> => {
    const seen = newest
    const turns = await all.turns(host, rates.told(clock.now()), wanted)
    // What was asked before a refusal does not know of it.
    if (turns && seen === newest) adopt(turns.pace)
    return turns
  }
  const ask = shared && ((wanted: number) => askTurns(shared, wanted))
  const line = createWaitingLine({ clock, closed, ...rates.all, ...(ask ? { ask } : {}) })
  const pulls = createWaitingLine({ clock, closed, ...rates.pulls })

  const refuse = (sent: Sent, status: number, askedMs: number): void => {
    const now = clock.now()
    const first = sent === newest
    const until = now + backoff.next(askedMs, first)
    const measured = rate.measured(now)
    if (first) {
      newest += 1
      if (status === 429) rate.refused(now, until)
      else rate.held(until)
    }
    if (first || until > line.closedUntil) void shared?.refused(host, { status, pauseMs: until - now, first, measured })
    line.closeUntil(until, limitedBy(status))
  }
  const look = async (): Promise<void> => {
    const pace = await shared?.pace(host)
    if (pace) adopt(pace)
  }
  const looked = afterLook(line, look)
  if (shared) looked.look()
  return Object.assign(looked, {
    adopt,
    pulls,
    sent: () => newest,
    answered(sent: Sent, answer: PacedAnswer): Refusal | undefined {
      const now = clock.now()
      hear(answer, now, { requests: line, pulls, forecasts: rates.forecasts })
      const askedMs = isHeld(answer.status) ? parseRetryAfter(answer.header('retry-after'), now) : undefined
      if (answer.status === 429 || askedMs !== undefined) {
        const tooLong = (askedMs ?? 0) > LONGEST_PAUSE_MS
        refuse(sent, answer.status, tooLong ? 0 : (askedMs ?? 0))
        return { pauseMs: line.closedUntil - now, tooLong }
      }
      if (sent === newest) backoff.over()
      rate.accepted(now)
      return undefined
    },
  })
}

type Heard = Readonly<Record<Remaining['counts'], WaitingLine>> & Pick<Rates, 'forecasts'>

/** What an answer says of how much is left: where nothing is, nobody goes before there is. */
function hear(answer: PacedAnswer, now: number, { forecasts, ...lines }: Heard): void {
  const remaining = remainingOf((name) => answer.header(name))
  const none = remaining && forecasts[remaining.counts].heard(remaining, now)
  if (none) lines[remaining.counts].closeUntil(none.until, none.cause)
}

/** The line, in which nobody goes while it is looked what others have learnt. */
function afterLook(
  line: WaitingLine,
  lookNow: () => Promise<void>,
): Pick<KnownPace, 'open' | 'pause' | 'turn' | 'look'> {
  let looking: Promise<void> | undefined
  const look = async (): Promise<void> => {
    await lookNow()
    looking = undefined
  }
  return {
    look: () => void (looking ??= look()),
    get open() {
      return looking === undefined && line.open
    },
    async pause(waiting) {
      if (looking) await looking
      await line.pause(waiting)
    },
    async turn(waiting) {
      if (looking) await looking
      if (!line.open) await line.turn(waiting)
    },
  }
}

/** How long nothing goes out after a refusal. */
function createBackoff({ baseMs = 500, maxMs = 30_000, random = Math.random }: PaceOptions) {
  /** Pauses with nothing let in since. */
  let inRow = 0
  return {
    next(askedMs: number, first: boolean): number {
      if (first) inRow += 1
      const wait = Math.max(askedMs, Math.min(maxMs, baseMs * 2 ** (inRow - 1)))
      return wait + Math.min(LONGEST_JITTER_MS, JITTER * wait * random())
    },
    over: () => void (inRow = 0),
  }
}

function isHeld(status: number): boolean {
  return status === 429 || status === 503
}
