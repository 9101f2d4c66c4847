import { AppError, type Upstream } from '../../lib/errors.ts'
import type { RegistryCredential } from '../credentials/provider.ts'
import type { Verdict } from '../errors/errors.ts'
import type { RegistryResponse, Scope } from '../request/transport.ts'
import { parseChallenges } from './challenge.ts'
import { formatScopes } from './scope.ts'

/** What a registry's final 401 means, and what to do about it. */
export function refusalVerdict(
  response: RegistryResponse,
  credential: RegistryCredential | undefined,
  scopes: readonly Scope[],
): Verdict {
  const challenges = parseChallenges(response.header('www-authenticate'))
  if (credential === undefined) return { code: 'REGISTRY_UNAUTHORIZED', hint: NO_CREDENTIALS }
  if (challenges.some(({ params }) => params.get('error') === 'insufficient_scope')) {
    const hint = `These credentials were taken, but do not give ${formatScopes(scopes).join(' and ')}: check their rights.`
    return { code: 'REGISTRY_DENIED', hint }
  }
  // Harbor answers an unknown project so, and gcr.io anything at all.
  if (challenges.length === 0) return { code: 'REGISTRY_UNAUTHORIZED', hint: NO_CHALLENGE }
  const who = credential.kind === 'bearer' ? 'the token' : `the user "${credential.username}"`
  const hint = `It did not take ${who}: check what the job's X-Registry-Auth header says, or without one, docker login of the user layerd runs as.`
  return { code: 'REGISTRY_UNAUTHORIZED', hint }
}

const NO_CREDENTIALS =
  'No credentials are known for this registry: give them in the X-Registry-Auth header of the job, or by docker login for the user layerd runs as.'
const NO_CHALLENGE =
  'The registry does not say how to log in: the project may not exist, or these credentials may not see it.'

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
