import { AppError } from '../../lib/errors.ts'
import type { Principal } from './token-file.ts'

/** What routes ask of tokens; "*" is all of them. */
export type Scope = 'registries:read' | 'registries:admin'

/** Who has the second may do what the first is for. */
const WIDER: Readonly<Partial<Record<Scope, Scope>>> = { 'registries:read': 'registries:admin' }

/** Throws SCOPE_MISSING. `scope` undefined: whoever is known may. */
export function requireScope({ name, scopes }: Principal, scope: Scope | undefined): void {
  if (scope === undefined || ['*', scope, WIDER[scope]].some((one) => one !== undefined && scopes.has(one))) return
  throw new AppError('SCOPE_MISSING', `the token "${name}" does not have the scope ${scope}`, {
    hint: `Add ${scope} to the token's line in LAYERD_TOKENS_FILE, or use one that has it or *.`,
    details: { scope },
  })
}
