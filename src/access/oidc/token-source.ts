import { createHash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import type { TokenSource } from '../authenticator.ts'
import type { FollowedFile } from '../followed-file.ts'
import { NO_LIMITS } from '../limits.ts'
import type { Principal } from '../principal.ts'
import { type GroupRule, ruleFor } from './groups-file.ts'
import { credentialOf, type Identity, identityIn, KIND } from './identity.ts'
import type { Issuer } from './issuer.ts'
import { type Expected, peek, verify } from './verify.ts'

/** Tokens that need not be verified again: as many as are in use at once. */
const MAX_TOKENS = 2000

export interface TokenSourceOptions {
  issuer: Issuer
  expected: Expected
  groups: FollowedFile<GroupRule>
  clock: Clock
}

/** What an identity may now, by the groups file; nothing where no rule is for it. */
export async function principalOf(identity: Identity, groups: FollowedFile<GroupRule>): Promise<Principal> {
  const rule = ruleFor(await groups.entries(), identity.groups)
  return {
    name: identity.name,
    scopes: rule?.scopes ?? new Set(),
    limits: rule?.limits ?? NO_LIMITS,
    credential: credentialOf(identity),
    expiresAt: identity.expiresAt,
  }
}

/**
 * JWTs of the issuer as bearer tokens, and log-ins of browsers there (`current`). A token is verified once, and known again by its hash
 * until it expires, the issuer takes its key back, or 2,000 others were used since.
 */
export function createTokenSource({ issuer, expected, groups, clock }: TokenSourceOptions): TokenSource {
  const verified = new Map<string, Identity>()
  const keep = (hash: string, identity: Identity) => {
    verified.delete(hash)
    verified.set(hash, identity)
    const [oldest] = verified.keys()
    if (verified.size > MAX_TOKENS && oldest !== undefined) verified.delete(oldest)
  }
  const isCurrent = async ({ expiresAt, key }: Identity): Promise<boolean> =>
    expiresAt > clock.now() && (key === undefined || (await issuer.keys.get()).has(key))
  return {
    kind: KIND,
    async authenticate(token) {
      if (token.length > expected.maxLength) return undefined
      const hash = createHash('sha256').update(token).digest('base64url')
      const before = verified.get(hash)
      if (before && (await isCurrent(before))) {
        keep(hash, before)
        return await principalOf(before, groups)
      }
      verified.delete(hash)
      const header = peek(token, issuer.name, expected.maxLength)
      if (!header) return undefined
      const { identity } = await verify(token, header, { issuer, clock, expected })
      keep(hash, identity)
      return await principalOf(identity, groups)
    },
    async current(credential) {
      const identity = identityIn(credential)
      return identity && (await isCurrent(identity)) ? await principalOf(identity, groups) : undefined
    },
    // Of keys nobody tells: the guard asks `current` each half a minute, and old keys are read again by that.
    onChange: (listener) => groups.onChange(listener),
  }
}
