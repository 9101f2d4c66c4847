import type { Clock } from '../../lib/clock.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'

/** After so long it is read again before it is used: what the issuer has taken back counts no longer. */
const FRESH_MS = 600_000
/** While an issuer is away, what it said last counts for a day. */
const KEPT_MS = 24 * 3_600_000
/** Between readings that callers bring about. */
const GAP_MS = 60_000
/** Between readings while there is nothing yet. */
const FIRST_GAP_MS = 5000

/** What an issuer says, read when it is needed. All callers share one reading. */
export interface Kept<T> {
  /** Not older than ten minutes, or a day while it can't be read. Throws `unavailable`. */
  get(): Promise<T>
  /** Newer than a minute, for who misses something in it. Throws `unavailable`. */
  newer(): Promise<T>
}

export interface KeptOptions<T> {
  read: () => Promise<T>
  unavailable: (cause: unknown) => Error
  /** Told of each reading that failed. */
  onFailure: (error: unknown) => void
  clock: Clock
}

export function createKept<T>({ read, unavailable, onFailure, clock }: KeptOptions<T>): Kept<T> {
  const flights = createSingleFlight<void>()
  let last: { readonly value: T; readonly readAt: number } | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let failure: { readonly error: unknown } | undefined

  const readNow = () =>
    flights.run('', async () => {
      triedAt = clock.now()
      try {
        const value = await read()
        last = { value, readAt: clock.now() }
        failure = undefined
      } catch (error) {
        failure = { error }
        onFailure(error)
      }
    })
  /** Callers of the same reading wait for it, whenever it began. */
  const readUnlessTried = async (gapMs: number) => {
    if (flights.isFlying('') || clock.now() - triedAt >= gapMs) await readNow()
  }
  const ageMs = () => (last ? clock.now() - last.readAt : Number.POSITIVE_INFINITY)
  return {
    async get() {
      if (!last) await readUnlessTried(FIRST_GAP_MS)
      else if (ageMs() >= FRESH_MS) {
        const away = failure !== undefined
        const reading = readUnlessTried(GAP_MS)
        // Nobody waits for an issuer that was away a minute ago, as there is something to go on with.
        if (!away || ageMs() >= KEPT_MS) await reading
      }
      if (!last || ageMs() >= KEPT_MS) throw unavailable(failure?.error)
      return last.value
    },
    async newer() {
      await readUnlessTried(last ? GAP_MS : FIRST_GAP_MS)
      if (!last || failure) throw unavailable(failure?.error)
      return last.value
    },
  }
}
