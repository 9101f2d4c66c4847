import type { Clock } from '../../../lib/clock.ts'
import { AppError } from '../../../lib/errors.ts'
import { parseRetryAfter } from '../../errors/retry-after.ts'
import { createLearnedRate } from './learned-rate.ts'
import { createWaitingLine, type WaitingLine } from './waiting-line.ts'

/** A longer Retry-After is for who got it: it may be about one user or one repository. Source: oci-client.md Y2. */
export const LONGEST_PAUSE_MS = 600_000
/** A pause is longer by up to so much of it, so that processes that were refused together don't come back together. */
const JITTER = 0.2
const LONGEST_JITTER_MS = 10_000
const MAX_HOSTS = 1000

/** Waits after refusals in a row, where the far end names none or a shorter one. */
export interface PaceOptions {
  clock: Clock
  /** The first; it doubles with each. Default 500 ms. Source: oci-client.md Y2. */
  baseMs?: number
  /** Default 30 s. */
  maxMs?: number
  /** In [0, 1). Default Math.random. */
  random?: () => number
}

/** What is known of an answer that may be a refusal for now. */
export interface PacedAnswer {
  readonly status: number
  header(name: string): string | undefined
}

/**
 * When requests to one host may go out: at once, until it refuses one for now (429, or 503 with Retry-After). Then nothing
 * goes out until the pause is over, and from then on one after the other, as fast as was learnt that it takes them.
 * All requests of the process share it, whoever makes them.
 */
export interface HostPace extends Pick<WaitingLine, 'open' | 'pause' | 'turn'> {
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

/** The paces of a process, by host. What several processes were to share would be behind this. */
export interface HostPaces extends Disposable {
  /** `host[:port]`, as URL.host has it. */
  of(host: string): HostPace
}

export function createHostPaces(options: PaceOptions): HostPaces {
  const paces = new Map<string, HostPace>()
  const closing = new AbortController()
  return {
    of(host) {
      const known = paces.get(host)
      if (known) return known
      const made = createHostPace(options, closing.signal)
      paces.set(host, made)
      // Whoever redirects chooses names.
      const [oldest] = paces.keys()
      if (paces.size > MAX_HOSTS && oldest !== undefined) paces.delete(oldest)
      return made
    },
    [Symbol.dispose]() {
      closing.abort(new AppError('SHUTTING_DOWN', 'nothing is asked any more: layerd is shutting down'))
    },
  }
}

function createHostPace(options: PaceOptions, closed: AbortSignal): HostPace {
  const { clock, baseMs = 500, maxMs = 30_000, random = Math.random } = options
  const rate = createLearnedRate()
  const line = createWaitingLine({ clock, closed, rate: (at) => rate.at(at) })
  /** The number of the newest pause. */
  let newest: Sent = 0
  /** Pauses with nothing let in since. */
  let inRow = 0

  const refuse = (sent: Sent, status: number, askedMs: number): void => {
    const now = clock.now()
    const first = sent === newest
    if (first) inRow += 1
    const wait = Math.max(askedMs, Math.min(maxMs, baseMs * 2 ** (inRow - 1)))
    const until = now + wait + Math.min(LONGEST_JITTER_MS, JITTER * wait * random())
    if (first) {
      newest += 1
      if (status === 429) rate.refused(now, until)
      else rate.held(until)
    }
    line.closeUntil(until)
  }

  return {
    get open() {
      return line.open
    },
    pause: (waiting) => line.pause(waiting),
    turn: (waiting) => line.turn(waiting),
    sent: () => newest,
    answered(sent, answer) {
      const now = clock.now()
      const askedMs = isHeld(answer.status) ? parseRetryAfter(answer.header('retry-after'), now) : undefined
      if (answer.status === 429 || askedMs !== undefined) {
        const tooLong = (askedMs ?? 0) > LONGEST_PAUSE_MS
        refuse(sent, answer.status, tooLong ? 0 : (askedMs ?? 0))
        return { pauseMs: line.closedUntil - now, tooLong }
      }
      if (sent === newest) inRow = 0
      rate.accepted(now)
      return undefined
    },
  }
}

function isHeld(status: number): boolean {
  return status === 429 || status === 503
}
