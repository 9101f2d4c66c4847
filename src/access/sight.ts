import { covers, type Place } from './limits.ts'
import type { Principal } from './principal.ts'
import { hasScope } from './scopes.ts'

/** What belongs to somebody: a job, an upload, a stored package. */
export interface Owned {
  /** Names of principals. */
  readonly owners: readonly string[]
  /** The repositories that it is about; none where it is about no registry. */
  readonly places: readonly Place[]
}

/** Whether it is shown at all: to who may not see it, it is not there (404). */
export function sees(who: Principal, thing: Owned): boolean {
  return isOwn(who, thing) || hasScope(who, 'system:read')
}

/** Whether it may be changed by who sees it and has the scope for the change. */
export function mayChange(who: Principal, thing: Owned): boolean {
  return isOwn(who, thing) || hasScope(who, 'system:admin')
}

/** Of who brought it, or of whose token was given its repositories by name. */
function isOwn({ name, limits }: Principal, { owners, places }: Owned): boolean {
  return owners.includes(name) || covers(limits, places)
}
