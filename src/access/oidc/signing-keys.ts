import { createHash } from 'node:crypto'
import { type CryptoKey, importJWK, type JWK } from 'jose'
import { isObject } from '../../lib/formats/json-object.ts'

/** Signatures whose public key is of no use to sign with: never `none`, never a MAC. Source: RFC 7518 3.1, RFC 8037 3.1, RFC 9864. */
const KEYS_OF: Readonly<Record<string, { readonly kty: string; readonly crv?: string }>> = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
}
export const ALGORITHMS: readonly string[] = Object.keys(KEYS_OF)

const MAX_KEYS = 100
/** Their public members alone. Source: RFC 7518 6, RFC 8037 2. */
const MEMBERS = ['kty', 'kid', 'alg', 'crv', 'x', 'y', 'n', 'e'] as const

interface SigningKey {
  /** The same for the same key, whenever it was read. */
  readonly id: string
  readonly jwk: JWK
}

export interface FoundKey {
  readonly id: string
  load(): Promise<CryptoKey | Uint8Array>
}

/** The keys that an issuer signs with now. */
export interface SigningKeys {
  /** Whether it still has the key of that id. */
  has(id: string): boolean
  /** The one that a token's header can mean; undefined where there is none, or several. */
  find(header: { alg: string; kid: string | undefined }): FoundKey | undefined
}

/** Those of a JWK Set that signatures can be checked with; all others count for nothing. RSA of less than 2048 bits jose refuses, of more than 16,384 OpenSSL. Undefined: it is no set. Source: RFC 7517 5. */
export function readSigningKeys(set: unknown): SigningKeys | undefined {
  if (!isObject(set) || !Array.isArray(set['keys'])) return undefined
  const keys = set['keys'].slice(0, MAX_KEYS).flatMap(readKey)
  const loaded = new Map<string, Promise<CryptoKey | Uint8Array>>()
  return {
    has: (id) => keys.some((key) => key.id === id),
    find({ alg, kid }) {
      const [found, ...others] = keys.filter(({ jwk }) => fits(jwk, alg) && (kid === undefined || jwk.kid === kid))
      if (!found || others.length > 0) return undefined
      const { id, jwk } = found
      return {
        id,
        load() {
          const known = loaded.get(`${alg} ${id}`) ?? importJWK(jwk, alg)
          loaded.set(`${alg} ${id}`, known)
          return known
        },
      }
    },
  }
}

function readKey(entry: unknown): SigningKey[] {
  if (!isObject(entry)) return []
  const { use, key_ops: operations } = entry
  const signs =
    (use === undefined || use === 'sig') &&
    (operations === undefined || (Array.isArray(operations) && operations.includes('verify')))
  const members = MEMBERS.flatMap((name) => (entry[name] === undefined ? [] : [[name, entry[name]] as const]))
  const isText = members.every(([, value]) => typeof value === 'string')
  const jwk: JWK = Object.fromEntries(members)
  const id = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  return signs && isText ? [{ id, jwk }] : []
}

function fits(jwk: JWK, alg: string): boolean {
  const wanted = Object.hasOwn(KEYS_OF, alg) ? KEYS_OF[alg] : undefined
  if (!wanted || jwk.kty !== wanted.kty || (jwk.alg !== undefined && jwk.alg !== alg)) return false
  return wanted.crv === undefined || jwk.crv === wanted.crv
}
