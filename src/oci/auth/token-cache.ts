import { createHash } from 'node:crypto'
import { untilAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import type { RegistryCredential } from '../credentials/provider.ts'
import { scopeKey } from './scope.ts'

/** A token as the token service gave it. */
export interface IssuedToken {
  readonly value: string
  readonly lifetimeMs: number
  /** A new identity token, to be used instead of the one we came with. */
  readonly refreshToken?: string
}

export interface CachedToken {
  readonly value: string
  /** Milliseconds since the epoch; from here on a new one is fetched. */
  readonly staleAt: number
  /** It was fetched because the registry refused the one before it. */
  readonly renewal: boolean
  /** The registry let a request with it through. */
  accepted: boolean
}

export interface TokenKey {
  readonly registry: string
  readonly realm: string
  readonly service: string | undefined
  readonly credential: RegistryCredential | undefined
  readonly scopes: readonly string[]
}

/** The tokens of a process: one for each registry, token service, credential and set of scopes; fetched once at a time. */
export interface TokenCache {
  /** A token that is not about to expire, and not `refused`. */
  get(key: TokenKey, options: { refused?: string; signal: AbortSignal }): Promise<CachedToken>
}

/** More than a process needs at a time; what is stale goes first. */
const MAX_TOKENS = 1000

export function createTokenCache(clock: Clock, fetch: (key: TokenKey) => Promise<IssuedToken>): TokenCache {
  const tokens = new Map<string, CachedToken>()
  const flights = createSingleFlight<CachedToken>()

  const renew = async (id: string, key: TokenKey, renewal: boolean): Promise<CachedToken> => {
    const issued = await fetch(key)
    // A quarter of its life or a minute before it expires: a request that begins with it must also arrive with it.
    const staleAt = clock.now() + issued.lifetimeMs - Math.min(issued.lifetimeMs / 4, 60_000)
    const token: CachedToken = { value: issued.value, staleAt, renewal, accepted: false }
    if (tokens.size >= MAX_TOKENS) makeRoom()
    tokens.set(id, token)
    return token
  }
  const makeRoom = () => {
    for (const [id, token] of tokens) if (token.staleAt <= clock.now()) tokens.delete(id)
    for (const id of tokens.keys()) {
      if (tokens.size < MAX_TOKENS) return
      tokens.delete(id)
    }
  }

  return {
    async get(key, { refused, signal }) {
      const id = keyId(key)
      const known = tokens.get(id)
      if (known && known.staleAt > clock.now() && known.value !== refused) return known
      return untilAborted(
        flights.run(id, () => renew(id, key, refused !== undefined)),
        signal,
      )
    },
  }
}

/** Which credential it is, without holding the secret. */
export function credentialId(credential: RegistryCredential | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(credential ?? null))
    .digest('hex')
}

function keyId(key: TokenKey): string {
  return JSON.stringify([key.registry, key.realm, key.service, credentialId(key.credential), scopeKey(key.scopes)])
}
