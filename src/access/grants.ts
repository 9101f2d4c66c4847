import { AppError, isAppError } from '../lib/errors.ts'
import { isLimited, type Limits, namesPlaces, within } from './limits.ts'
import type { Principal } from './principal.ts'
import { hasScope, isScope, requireScope } from './scopes.ts'

/** What a token lets do. */
export type Grant = Pick<Principal, 'scopes' | 'limits'>
type Giver = Pick<Principal, 'name' | 'scopes' | 'limits'>

/**
 * Nobody gives, or takes away, more than they have. That goes for what limits give, too: whoever is given repositories by
 * name sees what others do there (sight.ts), so they are given by who was given them, or sees all. Throws SCOPE_MISSING,
 * TOKEN_LIMITED.
 */
export function requireIncluded(giver: Giver, { scopes, limits }: Grant): void {
  for (const scope of scopes) if (!givesScope(giver, scope)) throw scopeBeyond(giver, scope)
  if (!within(giver.limits, limits)) throw limitBeyond(giver)
  if (namesPlaces(limits) && !namesPlaces(giver.limits)) requireScope(giver, ['system:admin'])
}

/** Whether who has the one has all of the other. */
export function includes(one: Giver, other: Grant): boolean {
  try {
    requireIncluded(one, other)
    return true
  } catch (error) {
    if (isAppError(error)) return false
    throw error
  }
}

/** A scope that this layerd does not know is given by who has it, word by word. */
function givesScope(giver: Giver, scope: string): boolean {
  return isScope(scope) ? hasScope(giver, scope) : giver.scopes.has('*') || giver.scopes.has(scope)
}

function scopeBeyond({ name }: Giver, scope: string): AppError {
  return new AppError('SCOPE_MISSING', `"${name}" does not have the scope ${scope}, and so cannot give or take it`, {
    hint: 'Ask with a token that has all that this one is to have. GET /v1/session tells what a token has.',
    details: { scope },
  })
}

function limitBeyond({ name, limits }: Giver): AppError {
  const own: Limits = limits
  return new AppError('TOKEN_LIMITED', `"${name}" is limited, and cannot give or take what lies beyond its limits`, {
    hint: 'Name registries and kinds out of your own limits, and of repositories a pattern of your own or a plain one that it takes; leave none of them out.',
    ...(isLimited(own) ? { details: { limits: own } } : {}),
  })
}
