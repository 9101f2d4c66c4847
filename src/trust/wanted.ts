import { AppError } from '../lib/errors.ts'
import { compilePattern } from '../lib/patterns/path-match.ts'
import type { Identity } from './certificate.ts'
import { type PublicKey, parsePublicKey } from './keys.ts'

export const VERIFY_MODES = ['never', 'if-possible', 'always'] as const
export type VerifyMode = (typeof VERIFY_MODES)[number]

/** What a caller wants of a package's signature. At most one of key, keyRef, identity and identityPattern. */
export interface VerifyRequest {
  /** Default always. */
  readonly mode?: VerifyMode
  /** PEM. */
  readonly key?: string
  /** The name of a key that is kept, in its place. */
  readonly keyRef?: string
  /** Both to the letter. */
  readonly identity?: WantedIdentity
  /** Both as Go's path.Match has it, of the whole text: a star does not pass a slash. */
  readonly identityPattern?: WantedIdentity
  /** Whose certificates and logs count, by its file's name. Default: "default". */
  readonly trustedRoot?: string
}

export interface WantedIdentity {
  readonly san: string
  readonly issuer: string
}

/** Whom a signature has to be by. */
export type Wanted =
  | { readonly kind: 'key'; readonly key: PublicKey }
  | {
      readonly kind: 'identity'
      readonly matches: (found: Identity) => boolean
      /** As errors tell it. */
      readonly told: Record<string, string>
      readonly trustedRoot: string
    }

export const DEFAULT_TRUSTED_ROOT = 'default'
const ROOT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

export interface Reading {
  readonly mode: VerifyMode
  readonly wanted: Wanted | undefined
}

/** Reads what is wanted, without looking anything up: of a `keyRef` nothing yet. Throws KEY_INVALID, BODY_INVALID. */
export function readRequest(request: VerifyRequest): Reading {
  const { mode = 'always', key, keyRef, identity, identityPattern, trustedRoot } = request
  const given = [key, keyRef, identity, identityPattern].filter((each) => each !== undefined)
  if (given.length > 1) throw invalid('takes one of "key", "keyRef", "identity" and "identityPattern", and has more')
  if (trustedRoot !== undefined && !ROOT_NAME.test(trustedRoot)) throw invalid('has a "trustedRoot" that is no name')
  if (trustedRoot !== undefined && identity === undefined && identityPattern === undefined) {
    throw invalid('has a "trustedRoot", which only an identity is checked with')
  }
  if (mode === 'always' && given.length === 0) {
    throw invalid('is to be verified always, and has neither "key", "keyRef" nor "identity" to do it with')
  }
  if (key !== undefined) return { mode, wanted: { kind: 'key', key: parsePublicKey(key) } }
  const root = trustedRoot ?? DEFAULT_TRUSTED_ROOT
  if (identity) return { mode, wanted: { kind: 'identity', ...exactly(identity), trustedRoot: root } }
  if (identityPattern) return { mode, wanted: { kind: 'identity', ...like(identityPattern), trustedRoot: root } }
  return { mode, wanted: undefined }
}

function exactly({ san, issuer }: WantedIdentity) {
  return { matches: (found: Identity) => found.san === san && found.issuer === issuer, told: { san, issuer } }
}

function like({ san, issuer }: WantedIdentity) {
  const [sanPattern, issuerPattern] = [compilePattern(san, 'BODY_INVALID'), compilePattern(issuer, 'BODY_INVALID')]
  return {
    matches: (found: Identity) =>
      found.san !== null &&
      found.issuer !== null &&
      sanPattern.matches(found.san) &&
      issuerPattern.matches(found.issuer),
    told: { sanPattern: san, issuerPattern: issuer },
  }
}

function invalid(why: string): AppError {
  return new AppError('BODY_INVALID', `what "verify" asks for ${why}`, {
    hint: 'For example {"mode": "always", "key": "-----BEGIN PUBLIC KEY-----..."}.',
  })
}
