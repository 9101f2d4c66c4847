import { namedRegistries, namesPlaces } from '../../access/limits.ts'
import type { Principal } from '../../access/principal.ts'
import { type Owned, sees, seesAll } from '../../access/sight.ts'
import { type JobAffair, ownedJob } from '../model/places.ts'

/** What of the jobs one caller sees, and where these are to be looked for. */
export interface JobView {
  /** Each sees another list; two callers who see the same jobs for the same reason have one. */
  readonly name: string
  /** Whose own jobs; undefined: it sees all there are. */
  readonly owner: string | undefined
  /** Where it may see jobs of others, too; undefined: at any registry. */
  readonly registries: readonly string[] | undefined
  sees(job: JobAffair): boolean
  /** The same of a job whose places many views ask for. */
  shows(job: Owned): boolean
}

/** More sets than these cost more than to go through all jobs. */
const MAX_REGISTRIES = 16

export function viewOf(who: Principal): JobView {
  if (seesAll(who)) {
    return { name: 'all', owner: undefined, registries: undefined, sees: () => true, shows: () => true }
  }
  const { name: owner, limits } = who
  const named = namesPlaces(limits) ? namedRegistries(limits) : []
  return {
    name: JSON.stringify([owner, limits]),
    owner,
    registries: named && named.length <= MAX_REGISTRIES ? named : undefined,
    sees: (job) => sees(who, ownedJob(job)),
    shows: (job) => sees(who, job),
  }
}
