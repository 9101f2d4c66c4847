import type { Clock } from '../../lib/clock.ts'
import type { RegistryCredential } from '../credentials/provider.ts'
import { type AppError, isAppError, withContext } from '../../lib/errors.ts'
import { type CallFacts, upstreamOf } from '../errors/errors.ts'
import { checkTarget } from '../request/redirect.ts'
import type { Outbound } from '../request/outbound.ts'
import type { RegistryWay } from '../request/registry-way.ts'
import type { Scope } from '../request/transport.ts'
import type { CallerCredential } from './caller-credential.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import { formatScopes, mergeScopes, parseScopes, scopeKey } from './scope.ts'
import { basicHeader, basicPair } from './token.ts'
import type { CachedToken, TokenCache } from './token-cache.ts'

/** How a registry wants to be asked. */
export type Plan =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined }

/** What goes into a request, and how it was come by. */
export interface Authorization {
  readonly header: string
  readonly token?: CachedToken
  readonly scopes: string
}

export interface Authorizer {
  /** For a request about to be sent to `base`; undefined is anonymous. Tokens about to expire are renewed first. */
  authorize(scopes: readonly Scope[], base: URL, signal: AbortSignal): Promise<Authorization | undefined>
  /** True once the registry at `base` has said how it wants to be asked, and nothing is wrong with what it would be shown. */
  knows(scopes: readonly Scope[], base: URL): boolean
  /**
   * After a 401: something other than `used` that is worth another try, or undefined. Throws CREDENTIALS_INVALID where the
   * credential that is wanted now cannot be found.
   */
  answer(refusal: Refusal, signal: AbortSignal): Promise<Authorization | undefined>
}

export interface Refusal {
  readonly facts: CallFacts
  readonly base: URL
  readonly scopes: readonly Scope[]
  /** All WWW-Authenticate values. */
  readonly challenge: string | undefined
  readonly used: Authorization | undefined
  /** `used` was already the answer to a refusal of this request. */
  readonly again: boolean
}

export interface AuthorizerOptions {
  readonly registry: string
  readonly way: RegistryWay
  readonly credential: CallerCredential
  readonly tokens: TokenCache
  readonly clock: Clock
  readonly outbound: Outbound
  /**
   * What other callers learnt about registries, by origin and way: what somebody on the way said over plain HTTP must lead nobody who
   * speaks TLS.
   */
  readonly plans: Map<string, Plan>
}

/** The authentication of one caller at one registry. Reacts to challenges, which may differ by repository. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { registry, way, credential, tokens, clock, outbound } = options
  const learnt = createLearnt(options)

  const apply = async (
    plan: Plan,
    scopes: readonly string[],
    { base, shown, ...options }: Applied,
  ): Promise<Authorization | undefined> => {
    if (plan.scheme === 'basic') {
      const pair = basicPair(shown)
      return pair && { header: basicHeader(pair), scopes: '' }
    }
    const { realm, service } = plan
    const reach = outbound.named(registry, base, new URL(realm))
    const key = { registry, base: base.origin, way, credential: shown, scopes, realm, service, reach }
    const token = await tokens.get(key, options)
    return { header: `Bearer ${token.value}`, token, scopes: scopeKey(scopes) }
  }

  return {
    knows: (scopes, base) =>
      readyMade(credential.current) !== undefined || (learnt.plan(scopes, base) !== undefined && credential.mayBeFound),

    async authorize(scopes, base, signal) {
      const plan = learnt.plan(scopes, base)
      if (plan === undefined) return readyMade(credential.current)
      const found = await credential.findAhead(signal)
      if (found === undefined) return undefined
      const shown = found.credential
      if (shown?.kind === 'bearer') return readyMade(shown)
      try {
        return await apply(plan, learnt.scopes(scopes), { base, shown, refused: undefined, signal })
      } catch (error) {
        // What the registry or one repository of it said once may be wrong by now: it is asked anew, after a passing fault
        // by the next try.
        if (!isAppError(error) || !speaksAgainstPlan(error)) throw error
        learnt.forget(scopes, base)
        if (error.retry === 'transient') throw error
        return undefined
      }
    },

    async answer({ facts, base, scopes, challenge, used, again }, signal) {
      const shown = await credential.find(signal).catch((error: unknown) => {
        throw withContext(error, { op: facts.op, upstream: { ...upstreamOf(facts), status: 401 } })
      })
      const ready = readyMade(shown)
      if (ready) return ready.header === used?.header ? undefined : ready
      const challenges = parseChallenges(challenge)
      const known = learnt.plan(scopes, base)
      const plan = choosePlan(challenges, known, facts.url)
      if (plan === undefined) return undefined
      if (plan.scheme === 'bearer') {
        const realm = new URL(plan.realm)
        checkTarget(facts, realm, base, outbound.named(registry, base, realm))
      }
      learnt.add({ scopes, base }, plan, challenges)
      const asked = learnt.scopes(scopes)
      const unchanged = used?.scopes === scopeKey(asked) && samePlan(plan, known)
      if (unchanged && isHopeless(used.token, again, clock.now())) return undefined
      const next = await apply(plan, asked, { base, shown, refused: used?.token?.value, signal })
      return next?.header === used?.header ? undefined : next
    },
  }
}

interface Applied {
  base: URL
  shown: RegistryCredential | undefined
  refused: string | undefined
  signal: AbortSignal
}

/** A registry token is shown as it is, whatever the challenge. */
function readyMade(credential: RegistryCredential | undefined): Authorization | undefined {
  return credential?.kind === 'bearer' ? { header: `Bearer ${credential.token}`, scopes: '' } : undefined
}

/** What challenges taught: how to ask, by repository (else as other callers found it), and for which scopes beyond ours. */
function createLearnt({ plans, way }: Pick<AuthorizerOptions, 'plans' | 'way'>) {
  const byRepository = new Map<string, Plan>()
  /** ACR's metadata_read, Gitea's "*". */
  const extra = new Map<string, readonly string[]>()
  const originOf = ({ origin }: URL) => (way.own.id === '' ? origin : `${origin} ${way.own.id}`)
  const placeOf = (scopes: readonly Scope[], base: URL) => `${base.origin}/${scopes[0]?.repository ?? ''}`
  return {
    plan: (scopes: readonly Scope[], base: URL) => byRepository.get(placeOf(scopes, base)) ?? plans.get(originOf(base)),
    forget(scopes: readonly Scope[], base: URL): void {
      plans.delete(originOf(base))
      byRepository.delete(placeOf(scopes, base))
    },
    scopes(scopes: readonly Scope[]): string[] {
      const own = formatScopes(scopes)
      return mergeScopes(own, extra.get(scopeKey(own)) ?? [])
    },
    add({ scopes, base }: { scopes: readonly Scope[]; base: URL }, plan: Plan, challenges: readonly Challenge[]): void {
      byRepository.set(placeOf(scopes, base), plan)
      plans.set(originOf(base), plan)
      const bearer = challenges.filter(({ scheme }) => scheme === 'bearer')
      const asked = bearer.flatMap(({ params }) => parseScopes(params.get('scope')))
      const key = scopeKey(formatScopes(scopes))
      extra.set(key, mergeScopes(extra.get(key) ?? [], asked))
    },
  }
}

/**
 * Bearer where it is offered. A registry that once asked for Bearer is not followed down to Basic: Harbor answers
 * `Basic realm="harbor"` to a token that has run out, and others answer nothing at all.
 */
function choosePlan(challenges: readonly Challenge[], known: Plan | undefined, url: URL): Plan | undefined {
  for (const { scheme, params } of challenges) {
    const realm = scheme === 'bearer' ? URL.parse(params.get('realm') ?? '', url.href) : null
    if (realm && params.get('realm')) return { scheme: 'bearer', realm: realm.href, service: params.get('service') }
  }
  if (known?.scheme === 'bearer') return known
  return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : known
}

/** A wrong password is the caller's, and no reason to ask the registry anew; nor is a job that ends, or a limit. */
function speaksAgainstPlan({ code, retry, upstream }: AppError): boolean {
  return retry !== 'canceled' && code !== 'REGISTRY_UNAUTHORIZED' && upstream?.status !== 429
}

function samePlan(a: Plan, b: Plan | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** A token younger than this that was never let in lacks the rights, not the freshness: its twin would fare no better. */
const FRESH_MS = 5000

function isHopeless(token: CachedToken | undefined, again: boolean, now: number): boolean {
  if (token === undefined) return false
  return again || (!token.accepted && (token.renewal || now - token.issuedAt < FRESH_MS))
}
