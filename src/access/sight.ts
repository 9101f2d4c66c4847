import { covers, namesPlaces, type Place } from './limits.ts'
import type { Principal } from './principal.ts'
import { hasScope, type Scope, scopeMissing } from './scopes.ts'

/** What belongs to somebody: a job, an upload, a stored package. */
export interface Owned {
  /** Names of principals. */
  readonly owners: readonly string[]
  /** The repositories that it is about; none where it is about no registry. */
  readonly places: readonly Place[]
}

/** Whether it is shown at all: to who may not see it, it is not there (404). */
export function sees(who: Principal, thing: Owned): boolean {
  return isOwn(who, thing) || seesAll(who)
}

/** Whether it may be changed by who sees it and has the scope for the change. */
export function mayChange(who: Principal, thing: Owned): boolean {
  return isOwn(who, thing) || operates(who, 'system:admin')
}

/** For what it sees. Throws SCOPE_MISSING where it may not change it. */
export function requireChange(who: Principal, thing: Owned): void {
  if (!mayChange(who, thing)) throw scopeMissing(who, ['system:admin'])
}

/** Whether nothing is hidden from it. */
export function seesAll(who: Principal): boolean {
  return operates(who, 'system:read')
}

/** Of a token that is limited to registries or repositories no scope opens what lies elsewhere: it covers what it was given, and no more. */
function operates(who: Principal, scope: Scope): boolean {
  return hasScope(who, scope) && !namesPlaces(who.limits)
}

/** Of who brought it, or of whose token was given its repositories by name. */
function isOwn({ name, limits }: Principal, { owners, places }: Owned): boolean {
  return owners.includes(name) || covers(limits, places)
}
