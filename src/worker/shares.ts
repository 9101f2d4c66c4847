import type { LookIntoQueues } from '../jobs/dispatch/look-queues.ts'

/** Others that do not take what was kept for them for so long evidently cannot. */
const KEPT_MS = 10_000

/** A host whose job has just been fetched, and wants a place for it. */
export interface PlaceClaim {
  host: string
  /** Its jobs here, this one included. */
  here: number
  /** Places here that stay free when it gets one. */
  free: number
}

/** The number of a host's last turn at a place; 0 when it had none. */
export type LastTurn = (host: string) => number

/**
 * Who gets a place of this process. As long as another host has jobs that could be taken here, one has at most half of all
 * places of the fleet (but one), and the last place goes to whoever has waited longest for its turn. When nobody else
 * wants them one may have all: they come back as its jobs end.
 */
export interface Shares {
  /** The hosts that the place is kept for; none when the claim may have it. */
  keptFor(claim: PlaceClaim, others: readonly string[]): Promise<readonly string[]>
}

export interface ShareOptions {
  look: LookIntoQueues
  /** Of this process. */
  places: number
  /** Of all processes. */
  allPlaces: () => number
  lastTurn: LastTurn
}

export function createShares({ look, places, allPlaces, lastTurn }: ShareOptions): Shares {
  /** Since when a host has been refused, and when it was last, ms of performance.now. */
  const refused = new Map<string, { since: number; at: number }>()

  const preferred = async ({ host, here, free }: PlaceClaim, others: readonly string[]): Promise<readonly string[]> => {
    // Half of this process's places is never more than half of all.
    if (others.length === 0 || (here <= Math.floor(places / 2) && free > 0)) return []
    const looks = await look([host, ...others])
    const share = Math.max(1, Math.floor(Math.max(places, allPlaces()) / 2))
    const wanting = others.filter((other) => {
      const { takeable = 0, active = 0 } = looks.get(other) ?? {}
      return takeable > 0 && active < share
    })
    if ((looks.get(host)?.active ?? 0) > share) return wanting
    return free > 0 ? [] : wanting.filter((other) => lastTurn(other) < lastTurn(host))
  }

  return {
    async keptFor(claim, others) {
      const now = performance.now()
      for (const [host, { at }] of refused) if (now - at > 2 * KEPT_MS) refused.delete(host)
      const { since } = refused.get(claim.host) ?? { since: now }
      const kept = now - since > KEPT_MS ? [] : await preferred(claim, others)
      if (kept.length === 0) refused.delete(claim.host)
      else refused.set(claim.host, { since, at: now })
      return kept
    },
  }
}
