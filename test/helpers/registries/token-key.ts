import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { createCertificate } from '../network/certificate.ts'

export interface TokenKeyOptions {
  /** Default ES256. */
  algorithm?: 'ES256' | 'RS256'
  /** How a token tells which key signed it: by its certificate, or by the name that libtrust gives keys. Default x5c. */
  told?: 'x5c' | 'kid'
}

/** Signs tokens, and says what a registry has to trust for that. */
export interface TokenKey {
  /** What `auth.token.rootcertbundle` names the file of. */
  readonly certPem: string
  /** What `auth.token.jwks` names the file of. */
  readonly jwks: string
  /** A token as a JWT. Source: RFC 7515 3.1. */
  token(payload: object): string
}

export function createTokenKey({ algorithm = 'ES256', told = 'x5c' }: TokenKeyOptions = {}): TokenKey {
  const { key, certPem, certDer } = createCertificate(undefined, { kind: algorithm === 'RS256' ? 'RSA' : 'P-256' })
  const kid = libtrustName(key)
  const header = {
    typ: 'JWT',
    alg: algorithm,
    ...(told === 'kid' ? { kid } : { x5c: [certDer.toString('base64')] }),
  }
  const jwk = { ...createPublicKey(key).export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }
  return {
    certPem,
    jwks: JSON.stringify({ keys: [jwk] }),
    token(payload) {
      const signed = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
      const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
      return `${signed}.${signature.toString('base64url')}`
    },
  }
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** 240 bits of the key's hash, in base32 and groups of four. Source: github.com/docker/libtrust keyIDFromCryptoKey. */
function libtrustName(key: KeyObject): string {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' })
  let bits = BigInt(`0x${createHash('sha256').update(der).digest('hex').slice(0, 60)}`)
  let text = ''
  for (let at = 0; at < 48; at += 1) {
    text = `${BASE32[Number(bits & 31n)]}${text}`
    bits >>= 5n
  }
  return text.match(/.{4}/g)?.join(':') ?? ''
}
