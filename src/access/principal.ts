import { type Limits, NO_LIMITS } from './limits.ts'

/** Who asks. */
export interface Principal {
  /** Whose jobs, uploads and packages are its own: the name of a token, `oidc:SUBJECT`, or `anonymous`. */
  readonly name: string
  /** "*", or single ones: scopes.ts says what they are for. */
  readonly scopes: ReadonlySet<string>
  readonly limits: Limits
  /** What let it in, to know it again: `open`, or `KIND:ID` of a token or session. Never a secret. */
  readonly credential: string
  /** When that ends, ms since 1970. Default: when it is taken away. */
  readonly expiresAt?: number
  /** No token that it issues may last longer, ms since 1970: it was issued to end then itself. Default: none is bound. */
  readonly issuesUntil?: number
}

/** Everybody where no token is required, and the owner of what is older than owners. */
export const ANONYMOUS: Principal = Object.freeze({
  name: 'anonymous',
  scopes: new Set(['*']),
  limits: NO_LIMITS,
  credential: 'open',
})
