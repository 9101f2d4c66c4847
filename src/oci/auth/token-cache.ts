import { createHash } from 'node:crypto'
import { untilAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { isAppError } from '../../lib/errors.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import type { RegistryCredential } from '../credentials/provider.ts'
import type { Reach } from '../request/outbound.ts'
import type { RegistryWay } from '../request/registry-way.ts'
import { covers, scopeKey } from './scope.ts'

/** A token as the token service gave it. */
export interface IssuedToken {
  readonly value: string
  readonly lifetimeMs: number
  /** A new identity token, to be used instead of the one we came with. */
  readonly refreshToken?: string
}

export interface CachedToken {
  readonly value: string
  /** What it was asked for; the service may have given less. */
  readonly key: TokenKey
  /** Milliseconds since the epoch, as is the next. */
  readonly issuedAt: number
  /** From here on a new one is fetched. */
  readonly staleAt: number
  /** It was fetched because the registry refused the one before it. */
  readonly renewal: boolean
  /** The registry let a request with it through. */
  accepted: boolean
  /** Something was written with it, so the service gave what was asked: it serves for less too. */
  proven: boolean
}

export interface TokenKey {
  readonly registry: string
  /** The registry's own origin. */
  readonly base: string
  readonly way: RegistryWay
  readonly realm: string
  readonly service: string | undefined
  readonly credential: RegistryCredential | undefined
  readonly scopes: readonly string[]
  /** How close to this machine the token service may be. */
  readonly reach: Reach
}

/**
 * The tokens of a process: one for each registry, token service, credential and set of scopes; fetched once at a time. A proven
 * one for more (`pull,push`) takes the place of one for less (`pull`).
 */
export interface TokenCache {
  /** A token that is not about to expire, and not `refused`. */
  get(key: TokenKey, options: { refused: string | undefined; signal: AbortSignal }): Promise<CachedToken>
}

/** More than a process needs at a time; what is stale goes first. */
const MAX_TOKENS = 1000

export function createTokenCache(clock: Clock, fetch: (key: TokenKey) => Promise<IssuedToken>): TokenCache {
  const tokens = new Map<string, CachedToken>()
  const flights = createSingleFlight<CachedToken>()

  const issue = createIssuer(fetch)

  const renew = async (id: string, key: TokenKey, renewal: boolean): Promise<CachedToken> => {
    const issued = await issue(key)
    // A quarter of its life or a minute before it expires: a request that begins with it must also arrive with it.
    const issuedAt = clock.now()
    const staleAt = issuedAt + issued.lifetimeMs - Math.min(issued.lifetimeMs / 4, 60_000)
    const { value } = issued
    const token: CachedToken = { value, key, issuedAt, staleAt, renewal, accepted: false, proven: false }
    keep(id, token)
    return token
  }
  const keep = (id: string, token: CachedToken) => {
    if (tokens.size >= MAX_TOKENS) makeRoom()
    tokens.set(id, token)
  }
  const makeRoom = () => {
    for (const [id, token] of tokens) if (token.staleAt <= clock.now()) tokens.delete(id)
    for (const id of tokens.keys()) {
      if (tokens.size < MAX_TOKENS) return
      tokens.delete(id)
    }
  }

  const wider = (key: TokenKey): CachedToken | undefined => {
    const party = partyId(key)
    return tokens
      .values()
      .find(
        (token) =>
          token.proven && isFresh(token) && covers(token.key.scopes, key.scopes) && partyId(token.key) === party,
      )
  }
  const isFresh = (token: CachedToken) => token.staleAt > clock.now()

  return {
    async get(key, { refused, signal }) {
      const id = keyId(key)
      const known = tokens.get(id)
      if (known && isFresh(known) && known.value !== refused) return known
      // Once one is refused the wider one may lack just this, so the next is asked for as it is needed.
      const other = refused === undefined ? wider(key) : undefined
      if (other) {
        keep(id, other)
        return other
      }
      return untilAborted(
        flights.run(id, () => renew(id, key, refused !== undefined)),
        signal,
      )
    },
  }
}

/**
 * Token services may hand out a new identity token with each answer and let the old one die (OAuth2 "refresh token
 * rotation"), so the newest is used; when it is refused we start again from the one we were given.
 */
function createIssuer(fetch: (key: TokenKey) => Promise<IssuedToken>): (key: TokenKey) => Promise<IssuedToken> {
  const rotated = new Map<string, string>()
  return async (key) => {
    if (key.credential?.kind !== 'identity') return await fetch(key)
    const id = JSON.stringify([key.realm, credentialId(key.credential)])
    const newest = rotated.get(id)
    rotated.delete(id)
    const issued = await (newest === undefined
      ? fetch(key)
      : fetch({ ...key, credential: { ...key.credential, token: newest } }).catch((error: unknown) => {
          if (isAppError(error) && error.retry === 'permanent') return fetch(key)
          rotated.set(id, newest)
          throw error
        }))
    const next = issued.refreshToken ?? newest
    if (next !== undefined) rotated.set(id, next)
    return issued
  }
}

/** Which credential it is, without holding the secret. */
export function credentialId(credential: RegistryCredential | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(credential ?? null))
    .digest('hex')
}

function keyId(key: TokenKey): string {
  return `${partyId(key)} ${scopeKey(key.scopes)}`
}

/** Who asks whom. */
function partyId({ registry, way, realm, service, credential }: TokenKey): string {
  return JSON.stringify([registry, way.own.id, realm, service, credentialId(credential)])
}
