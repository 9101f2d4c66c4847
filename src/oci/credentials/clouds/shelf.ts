import { untilAborted } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'
import { createSingleFlight } from '../../../lib/single-flight.ts'
import type { RegistryCredential } from '../provider.ts'

/** A password that a cloud gave for a while. */
export interface Derived {
  readonly credential: RegistryCredential
  /** From when it came. */
  readonly lifetimeMs: number
}

export interface ShelfRequest {
  /** Equal for those who get the same. */
  readonly id: string
  readonly make: () => Promise<Derived>
  /** One that the registry did not take. */
  readonly refused: RegistryCredential | undefined
  readonly signal: AbortSignal
}

/** Passwords that clouds gave, for all who ask alike: fetched once at a time, and anew ahead of their end. In memory alone. */
export interface Shelf {
  /** Throws what `make` throws, unless there still is one that holds. */
  get(request: ShelfRequest): Promise<RegistryCredential>
}

interface Kept {
  readonly credential: RegistryCredential
  readonly gotAt: number
  /** The one before it was refused. */
  readonly replaces: boolean
  readonly endsAt: number
  /** From here on a new one is fetched. */
  staleAt: number
}

/** ECR's lives 12 h, so a job that waited for 9 of them still has 3. */
const FRESH_SHARE = 0.75
/** One that took the place of a refused one and is refused so soon lacks the rights, not the freshness: its twin would fare no better. */
const YOUNG_MS = 30_000
/** Until it is tried again to renew one that still holds. */
const PAUSE_MS = 60_000
/** More than there are registries to keep credentials of. */
const MAX_KEPT = 1000

export function createShelf(clock: Clock): Shelf {
  const shelf = new Map<string, Kept>()
  const flights = createSingleFlight<Kept>()
  const fetched = async ({ id, make }: ShelfRequest, replaces: boolean): Promise<Kept> => {
    const { credential: given, lifetimeMs } = await make()
    const gotAt = clock.now()
    const staleAt = gotAt + lifetimeMs * FRESH_SHARE
    const kept = { credential: { ...given, staleAt }, gotAt, replaces, endsAt: gotAt + lifetimeMs, staleAt }
    shelf.delete(id)
    shelf.set(id, kept)
    for (const oldest of shelf.keys()) {
      if (shelf.size <= MAX_KEPT) break
      shelf.delete(oldest)
    }
    return kept
  }
  return {
    async get(request) {
      const { id, refused, signal } = request
      const known = shelf.get(id)
      const isRefused = known !== undefined && refused !== undefined && same(known.credential, refused)
      const now = clock.now()
      const isYoung = known?.replaces === true && now - known.gotAt < YOUNG_MS
      if (known && (isRefused ? isYoung : now < known.staleAt)) return known.credential
      try {
        return (
          await untilAborted(
            flights.run(id, () => fetched(request, isRefused)),
            signal,
          )
        ).credential
      } catch (error) {
        if (signal.aborted || !known || isRefused || now >= known.endsAt) throw error
        known.staleAt = now + PAUSE_MS
        return known.credential
      }
    },
  }
}

function same(one: RegistryCredential, other: RegistryCredential): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
