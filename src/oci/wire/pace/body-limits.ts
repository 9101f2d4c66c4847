import type { SharedLimits } from '../../../content/limits/registry-limits.ts'
import type { Clock } from '../../../lib/clock.ts'
import { type ByteLine, createByteLine } from './byte-line.ts'
import { type BodyPlaces, createBodyPlaces } from './body-places.ts'

/** Of the bodies of one registry's blobs, wherever it has them sent or fetched. */
export interface BodyLimits {
  readonly bytes: ByteLine
  readonly places: BodyPlaces
}

/** By registry, `host[:port]`. */
export interface BodyLimitsByRegistry {
  /** Undefined where nothing is limited, ever. */
  of(registry: string): BodyLimits | undefined
  freed(registry: string): void
}

/** As many registries as may be named by whoever; of one that is forgotten, bodies under way count no more. */
const MOST_REGISTRIES = 1000

export function createBodyLimits({
  clock,
  closed,
  shared,
}: {
  clock: Clock
  closed: AbortSignal
  shared: SharedLimits | undefined
}): BodyLimitsByRegistry {
  const known = new Map<string, BodyLimits>()
  const limitsOf = (registry: string, all: SharedLimits): BodyLimits => ({
    bytes: createByteLine({
      clock,
      closed,
      limit: () => all.limitsOf(registry)?.bytesPerSecond ?? undefined,
      ask: (limit, wanted) => all.bytes(registry, limit, wanted),
    }),
    places: createBodyPlaces({
      clock,
      closed,
      limit: () => all.limitsOf(registry)?.concurrency ?? undefined,
      ask: (limit, bodies) => all.places(registry, limit, bodies),
    }),
  })
  return {
    of(registry) {
      if (!shared) return undefined
      const found = known.get(registry)
      if (found) return found
      const made = limitsOf(registry, shared)
      known.set(registry, made)
      const [oldest] = known.keys()
      if (known.size > MOST_REGISTRIES && oldest !== undefined) known.delete(oldest)
      return made
    },
    freed: (registry) => known.get(registry)?.places.freed(),
  }
}
