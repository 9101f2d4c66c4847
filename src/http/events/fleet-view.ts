import type { Principal } from '../../access/principal.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import { ownedJob } from '../../jobs/model/places.ts'
import type { FleetChange, MovedJob } from '../../jobs/progress/fleet.ts'
import { matchesLasting, matchesState, type StreamFilter } from '../../jobs/record/job-match.ts'
import { viewOf } from '../../jobs/record/view.ts'
import type { Owned } from '../../access/sight.ts'

/** What is told of a job, and whose it is: worked out once for all views. */
export interface OwnedNews<T extends FleetChange | MovedJob> {
  readonly news: T
  readonly owned: Owned
}

/** What of all jobs one stream shows. Streams of one key show the same. */
export interface FleetView {
  readonly key: string
  /** Of whom the first of its watchers is one; all others of the key see the same. */
  readonly caller: Principal
  readonly filter: StreamFilter
  /** Whether a change is told, and then whether the job is one of these (now); undefined: it is not told. */
  judge(change: OwnedNews<FleetChange>): boolean | undefined
  shows(job: OwnedNews<MovedJob>): boolean
}

export function fleetView(caller: Principal, filter: StreamFilter): FleetView {
  const view = viewOf(caller)
  return {
    key: JSON.stringify([view.name, canonical(filter)]),
    caller,
    filter,
    judge({ news: { facts, registries, from }, owned }) {
      if (!matchesLasting(facts, registries, filter)) return undefined
      const matches = matchesState(facts.state, filter)
      const matched = from.some((state) => state !== '' && matchesState(state as Job['state'], filter))
      return (matches || matched) && view.shows(owned) ? matches : undefined
    },
    shows: ({ news: { facts, registries }, owned }) =>
      matchesState(facts.state, filter) && matchesLasting(facts, registries, filter) && view.shows(owned),
  }
}

export function ownedNews<T extends FleetChange | MovedJob>(news: T): OwnedNews<T> {
  return { news, owned: ownedJob(news.facts) }
}

/** The same for filters that let the same through. */
function canonical({ states = [], kinds = [], labels = [], registry }: StreamFilter): unknown[] {
  const sorted = (words: readonly string[]) => [...new Set(words)].toSorted()
  const pairs = sorted(labels.map(({ key, value }) => JSON.stringify([key, value])))
  return [sorted(states), sorted(kinds), pairs, registry?.toLowerCase() ?? null]
}
