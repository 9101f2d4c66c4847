import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose'
import type { Clock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { groupsOf, type Identity, nameOf } from './identity.ts'
import type { Issuer } from './issuer.ts'
import { ALGORITHMS, type FoundKey } from './signing-keys.ts'

export interface Verified {
  readonly identity: Identity
  readonly claims: JWTPayload
}

export interface Expected {
  audience: string
  groupsClaim: string
  /** Whole characters; more is no token. */
  maxLength: number
  /** Of `iat`, seconds. Default: any. */
  maxAge?: number
}

/** Clocks of others, seconds. */
const TOLERANCE = 60
/** `typ` of tokens that let in; others are for other things, such as logging out. Source: RFC 9068 2.1, RFC 8725 3.11. */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'application/jwt', 'at+jwt', 'application/at+jwt'])
/** The latest that a date can be. */
const LATEST_MS = 8.64e15

/** Without a signature it is another's: no signature, no token. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** The header of what says that it is a JWT of this issuer; undefined for anything else, without any cryptography. */
export function peek(token: string, issuer: string, maxLength: number): ProtectedHeaderParameters | undefined {
  if (token.length > maxLength || !COMPACT.test(token)) return undefined
  try {
    const header = decodeProtectedHeader(token)
    return typeof header.alg === 'string' && decodeJwt(token).iss === issuer ? header : undefined
  } catch {
    return undefined
  }
}

/**
 * Checks signature, issuer, audience, times and subject of a token that `peek` took. Where it says that its key is (`jku`, `x5u`, `jwk`)
 * counts for nothing. Throws UNAUTHENTICATED, which says why, and ISSUER_UNAVAILABLE.
 */
export async function verify(
  token: string,
  header: ProtectedHeaderParameters,
  { issuer, clock, expected }: { issuer: Issuer; clock: Clock; expected: Expected },
): Promise<Verified> {
  const { alg = '', kid, typ } = header
  if (!ALGORITHMS.includes(alg)) throw refused('is not signed by an algorithm that layerd takes')
  if (typ !== undefined && !isTypeOfTokens(typ)) throw refused('is of another type')
  const key = await keyFor({ alg, kid }, issuer)
  const claims = await claimsOf(token, key, { issuer, clock, expected })
  const { sub, iat, exp, events } = claims
  const now = clock.now() / 1000
  // A log-out token is signed as others are. Source: OpenID Connect Back-Channel Logout 1.0, 2.4.
  if (events !== undefined) throw refused('is of another type')
  if (iat !== undefined && iat > now + TOLERANCE) throw refused('was issued in the future, by the clock here')
  if (expected.maxAge !== undefined && (iat === undefined || iat < now - expected.maxAge - TOLERANCE)) {
    throw refused('was issued too long ago')
  }
  const name = nameOf(sub)
  if (name === undefined) throw refused('has no subject that can be a name')
  const expiresAt = Math.min(((exp as number) + TOLERANCE) * 1000, LATEST_MS)
  const groups = groupsOf(claims, expected.groupsClaim)
  return { identity: { name, groups, expiresAt, key: key.id }, claims }
}

function isTypeOfTokens(typ: unknown): boolean {
  return typeof typ === 'string' && TYPES.has(typ.toLowerCase())
}

async function keyFor(header: { alg: string; kid: unknown }, issuer: Issuer): Promise<FoundKey> {
  const { alg, kid } = header
  if (kid !== undefined && typeof kid !== 'string') throw refused('names no key')
  const found = (await issuer.keys.get()).find({ alg, kid }) ?? (await issuer.keys.newer()).find({ alg, kid })
  if (found) return found
  throw refused('is signed with a key that the issuer does not publish; it is asked for new ones once a minute')
}

async function claimsOf(
  token: string,
  key: FoundKey,
  { issuer, clock, expected }: { issuer: Issuer; clock: Clock; expected: Expected },
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, await key.load(), {
      algorithms: [...ALGORITHMS],
      issuer: issuer.name,
      audience: expected.audience,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: TOLERANCE,
      currentDate: new Date(clock.now()),
    })
    return payload
  } catch (error) {
    throw refused(reasonOf(error), error)
  }
}

/** Of a token whose signature is right, so that its reasons are told to who was given it. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'has expired'
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'is not signed as it says'
  if (error.claim === 'aud') return 'is for another audience'
  return error.claim === 'nbf' ? 'is not valid yet' : `has no "${error.claim}" that counts here`
}

export function refused(why: string, cause?: unknown): AppError {
  return new AppError('UNAUTHENTICATED', `the OIDC token ${why}`, {
    hint: 'Get a new token from the issuer, for the audience that this layerd is set to.',
    ...(cause === undefined ? {} : { cause }),
  })
}
