import { AppError, type Upstream } from '../../lib/errors.ts'
import type { RegistryCredential } from '../credentials/provider.ts'
import type { Verdict } from '../errors/errors.ts'
import type { Scope } from '../request/transport.ts'
import type { Authorization } from './authorizer.ts'
import { parseChallenges } from './challenge.ts'
import { formatScopes } from './scope.ts'
import type { TokenKey } from './token-cache.ts'

/** A registry's 401 that nothing cures. */
export interface FinalRefusal {
  readonly registry: string
  readonly credential: RegistryCredential | undefined
  readonly scopes: readonly Scope[]
  /** All WWW-Authenticate values. */
  readonly challenge: string | undefined
  /** What the refused request showed. */
  readonly used: Authorization | undefined
  /** The request went over plain HTTP. */
  readonly inClear: boolean
  /** The registry lets these credentials in where it lets nobody in without. */
  readonly letIn: boolean
}

/** What a registry's final 401 means, and what to do about it. */
export function refusalVerdict(refusal: FinalRefusal): Verdict {
  const { registry, credential, scopes, challenge, used, inClear, letIn } = refusal
  const challenges = parseChallenges(challenge)
  const said = new Set(challenges.map(({ params }) => params.get('error')))
  if (used?.token && said.has('invalid_token')) return { code: 'REGISTRY_UNAUTHORIZED', hint: unfit(registry) }
  if (credential === undefined) {
    return { code: 'REGISTRY_UNAUTHORIZED', hint: inClear ? `${NO_CREDENTIALS} ${WITHHELD}` : NO_CREDENTIALS }
  }
  // Harbor answers an unknown project so, and gcr.io anything at all.
  if (challenges.length === 0) return { code: 'REGISTRY_UNAUTHORIZED', hint: NO_CHALLENGE }
  // A token service that took the credentials leaves only the rights; olareg says so without insufficient_scope.
  if (used?.token || said.has('insufficient_scope')) return { code: 'REGISTRY_DENIED', hint: lacking(scopes) }
  if (letIn) return { code: 'REGISTRY_DENIED', hint: mayOnlyRead(credential, scopes) }
  const who = credential.kind === 'bearer' ? 'the token' : `the user "${credential.username}"`
  return { code: 'REGISTRY_UNAUTHORIZED', hint: `It did not take ${who}: ${CHECK_CREDENTIALS}` }
}

const CHECK_CREDENTIALS =
  "check what the job's X-Registry-Auth header says, or without one, what is kept for the registry (layerd registries), else docker login of the user layerd runs as."
const NO_CREDENTIALS =
  'No credentials are known for this registry: give them in the X-Registry-Auth header of the job, by layerd login, or by docker login for the user layerd runs as.'
const WITHHELD =
  'That login goes over plain HTTP only to loopback and to registries that LAYERD_PLAIN_HTTP_REGISTRIES names.'
const NO_CHALLENGE =
  'The registry does not say how to log in: the project may not exist, or these credentials may not see it.'

function lacking(scopes: readonly Scope[]): string {
  return `These credentials were taken, but do not give ${formatScopes(scopes).join(' and ')}: check their rights.`
}

function mayOnlyRead(credential: RegistryCredential, scopes: readonly Scope[]): string {
  const who = credential.kind === 'bearer' ? 'this token' : `"${credential.username}"`
  return `The registry lets ${who} in, but gives no ${formatScopes(scopes).join(' and ')}: check the rights there.`
}

function unfit(registry: string): string {
  return `${registry} does not trust the tokens of the token service that it names (invalid_token): their operator has to make key, issuer, service and clocks of the two fit.`
}

interface TokenAnswer {
  readonly status: number
  readonly text: string
  /** What a text of the far end may be told as. */
  told(text: string): string
}

/** What a token service's refusal means; undefined where the status says all there is. Source: registries.md 22. */
export function tokenRefusal(answer: TokenAnswer, key: TokenKey, by: 'GET' | 'POST'): Verdict | undefined {
  const { status, text } = answer
  const { credential, scopes } = key
  const code = 'REGISTRY_UNAUTHORIZED'
  if (by === 'POST' && (status === 404 || status === 405 || /unsupported_grant_type/.test(text))) {
    return { code, hint: NO_IDENTITY_TOKENS }
  }
  if (by === 'POST' && (status === 400 || status === 401 || status === 403)) return { code, hint: SPENT_IDENTITY_TOKEN }
  if (status !== 401 && status !== 403) return undefined
  if (credential === undefined) return { code, hint: NO_CREDENTIALS }
  const who = credential.kind === 'bearer' ? 'the token' : `the user "${credential.username}"`
  // GHCR and olareg answer a wrong password with 403, others an access that nobody gave.
  const or = status === 403 ? ` (or does not give it ${answer.told(scopes.join(' '))})` : ''
  return { code, hint: `Its token service did not take ${who}${or}: ${CHECK_CREDENTIALS}` }
}

const NO_IDENTITY_TOKENS =
  'This token service takes no identity tokens: give user and password (or an access token as the password) instead.'
const SPENT_IDENTITY_TOKEN =
  'Its token service did not take the identity token: it has run out or was withdrawn (docker login makes a new one), or this service takes none and wants user and password.'

/**
 * A streamed body met a 401: a new token is at hand, and the caller reopens the stream. A second one in a row is
 * permanent, so this never loops.
 */
export function staleTokenError(op: string, upstream: Upstream): AppError {
  const registry = upstream.registry ?? 'the registry'
  return new AppError('REGISTRY_UNAUTHORIZED', `${op}: ${registry} wanted a newer token; there is one now`, {
    op,
    retry: 'transient',
    details: { reauthenticated: true },
    upstream: { ...upstream, status: 401 },
  })
}
