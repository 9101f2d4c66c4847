import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { AppError } from '../lib/errors.ts'

/** A public key that signatures are checked with. */
export interface PublicKey {
  /** sha256:hex of its DER form (SubjectPublicKeyInfo), as Sigstore bundles hint at it. */
  readonly fingerprint: string
  /** In words: ECDSA P-256, RSA 3072, Ed25519. */
  readonly algorithm: string
  /** SubjectPublicKeyInfo. */
  readonly pem: string
  /** Whether this key made the signature over these bytes. */
  verifies(bytes: Buffer, signature: Buffer): boolean
}

/** An RSA key of 8192 bits has under 2 KiB. */
export const MAX_KEY_CHARACTERS = 8 * 1024
const [MIN_RSA_BITS, MAX_RSA_BITS] = [2048, 8192]
/** Larger ones only make each check slow. */
const MAX_RSA_EXPONENT = 2n ** 32n
const CURVES = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
])
/** Signers take the first for any key, or the one that fits a larger curve; each is strong, so each is tried. */
const HASHES = ['sha256', 'sha384', 'sha512']

const ENVELOPE = /^-----BEGIN ([A-Z0-9 ]{1,40})-----/gm

/** What the blocks of a text call themselves. */
export function pemLabels(text: string): string[] {
  return [...text.matchAll(ENVELOPE)].map(([, label = '']) => label)
}

/**
 * Reads one public key in PEM: ECDSA (P-256, P-384, P-521), RSA of 2048 to 8192 bits, Ed25519. Throws KEY_INVALID; a private
 * key is refused, and no part of what was given stands in the error.
 */
export function parsePublicKey(pem: string): PublicKey {
  if (pem.length > MAX_KEY_CHARACTERS) throw invalid(`has more than ${MAX_KEY_CHARACTERS} characters`)
  const labels = pemLabels(pem)
  const [label, ...others] = labels
  if (label === undefined) throw invalid('is not PEM: it has no "-----BEGIN PUBLIC KEY-----"')
  if (labels.some((each) => each.includes('PRIVATE'))) throw isPrivate()
  if (others.length > 0) throw invalid(`holds ${labels.length} blocks of PEM, and one key is wanted`)
  if (label !== 'PUBLIC KEY' && label !== 'RSA PUBLIC KEY') throw invalid(`is a ${label}, not a PUBLIC KEY`)
  const key = readKey(pem)
  const hashes = hashesFor(key)
  return {
    fingerprint: fingerprintOf(key),
    algorithm: algorithmOf(key),
    pem: key.export({ format: 'pem', type: 'spki' }).toString(),
    verifies: (bytes, signature) => hashes.some((hash) => verifiesWith(hash, { key, bytes, signature })),
  }
}

function readKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw invalid('looks like PEM and cannot be read as a key', cause)
  }
}

/** undefined for a key that hashes by itself. Throws KEY_INVALID for one that is not taken. */
function hashesFor({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): (string | undefined)[] {
  if (type === 'ed25519') return [undefined]
  if (type === 'ec') {
    if (CURVES.has(details.namedCurve ?? '')) return HASHES
    throw invalid(`is on the curve ${details.namedCurve ?? 'of its own'}; taken are P-256, P-384 and P-521`)
  }
  if (type !== 'rsa') throw invalid(`is of the kind ${type ?? 'unknown'}; taken are ECDSA, RSA and Ed25519`)
  const { modulusLength = 0, publicExponent = 0n } = details
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) {
    throw invalid(`has ${modulusLength} bits; RSA keys of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are taken`)
  }
  if (publicExponent > MAX_RSA_EXPONENT) throw invalid('has a public exponent of more than 32 bits')
  return HASHES
}

function verifiesWith(
  hash: string | undefined,
  { key, bytes, signature }: { key: KeyObject; bytes: Buffer; signature: Buffer },
): boolean {
  try {
    return verify(hash, bytes, key, signature)
  } catch {
    return false
  }
}

function fingerprintOf(key: KeyObject): string {
  const der = key.export({ format: 'der', type: 'spki' })
  return `sha256:${createHash('sha256').update(der).digest('hex')}`
}

function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): string {
  if (type === 'ec') return `ECDSA ${CURVES.get(details.namedCurve ?? '')}`
  return type === 'rsa' ? `RSA ${details.modulusLength}` : 'Ed25519'
}

function isPrivate(): AppError {
  return new AppError('KEY_INVALID', 'the key is a private one, which nobody but its owner may hold', {
    hint: 'Give the public half (cosign.pub), and take the private key for known to others if this was not a test.',
  })
}

function invalid(why: string, cause?: unknown): AppError {
  return new AppError('KEY_INVALID', `the key ${why}`, {
    hint: 'Give the PEM of one public key, such as the cosign.pub that "zarf tools gen-key" wrote.',
    ...(cause === undefined ? {} : { cause }),
  })
}
