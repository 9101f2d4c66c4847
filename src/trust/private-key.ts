import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { AppError } from '../lib/errors.ts'
import { COSIGN_LABELS, openCosignKey } from './cosign-key.ts'
import { parsePublicKey, pemLabels, type PublicKey } from './keys.ts'

/** A key that was read: with its private half, or the public one alone. */
export interface ReadKey {
  readonly publicKey: PublicKey
  /** PKCS#8 in PEM: a secret. */
  readonly privateKey: string | undefined
}

/** A cosign file of an RSA key of 4096 bits has under 6 KiB. */
export const MAX_KEY_FILE_CHARACTERS = 32 * 1024
export const MAX_KEY_PASSWORD = 1024
/** Larger ones take long to sign with, and cosign makes none. */
const MAX_RSA_BITS = 4096

const PLAIN_LABELS = ['PRIVATE KEY', 'EC PRIVATE KEY', 'RSA PRIVATE KEY']
const PUBLIC_LABELS = ['PUBLIC KEY', 'RSA PUBLIC KEY']

/**
 * Reads a key to keep: a private key in PEM, unencrypted or in cosign's own file with its password, or a public key. Throws
 * KEY_INVALID, and no part of what was given stands in the error.
 */
export async function readKeyFile(text: string, password: string | undefined): Promise<ReadKey> {
  if (text.length > MAX_KEY_FILE_CHARACTERS) throw invalid(`has more than ${MAX_KEY_FILE_CHARACTERS} characters`)
  // OpenSSL writes these before a key of theirs.
  const labels = pemLabels(text).filter((label) => label !== 'EC PARAMETERS')
  const [label] = labels
  if (label === undefined) throw invalid('is not PEM: it has no "-----BEGIN PRIVATE KEY-----"')
  if (labels.length > 1) throw invalid(`holds ${labels.length} blocks of PEM, and one key is wanted`)
  const sealed = COSIGN_LABELS.includes(label)
  if (password !== undefined && !sealed) throw notSealed()
  if (PUBLIC_LABELS.includes(label)) return { publicKey: parsePublicKey(text), privateKey: undefined }
  if (sealed) return opened(privateKeyOf(await openCosignKey(text, password ?? ''), 'pkcs8'))
  if (PLAIN_LABELS.includes(label)) return opened(privateKeyOf(text, 'pem'))
  throw label === 'ENCRYPTED PRIVATE KEY' ? encrypted() : invalid(`is a ${label}, not a key`)
}

function privateKeyOf(key: string | Buffer, form: 'pem' | 'pkcs8'): KeyObject {
  try {
    return typeof key === 'string' ? createPrivateKey(key) : createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } catch {
    // What OpenSSL says of it may repeat what it read.
    throw invalid(form === 'pem' ? 'looks like PEM and cannot be read as a key' : 'opens, and is no key')
  }
}

function opened(key: KeyObject): ReadKey {
  const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (modulusLength > MAX_RSA_BITS) throw invalid(`has ${modulusLength} bits; RSA keys of up to ${MAX_RSA_BITS} sign`)
  const publicKey = parsePublicKey(createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString())
  if (!isPair(key, publicKey)) throw invalid('is damaged: what it signs does not hold')
  return { publicKey, privateKey: key.export({ format: 'pem', type: 'pkcs8' }).toString() }
}

function isPair(key: KeyObject, publicKey: PublicKey): boolean {
  const bytes = Buffer.from('layerd')
  try {
    return publicKey.verifies(bytes, sign(hashOf(key), bytes, key))
  } catch {
    return false
  }
}

/**
 * SHA-256 for each of them, as `zarf package verify --key` checks with no other: cosign itself signs with SHA-384 where the key
 * is on P-384, and that zarf refuses. Source: zarf v0.84 src/pkg/signing/cosign.go, cosign v3 signature_digest.go.
 */
export function hashOf({ asymmetricKeyType }: KeyObject): 'sha256' | undefined {
  return asymmetricKeyType === 'ed25519' ? undefined : 'sha256'
}

function notSealed(): AppError {
  return new AppError('KEY_INVALID', 'the key is not sealed with a password, and one was given', {
    hint: 'Leave the password out.',
    details: { pointer: '/password' },
  })
}

function encrypted(): AppError {
  return new AppError('KEY_INVALID', 'the key is encrypted as PKCS#8, which is not opened here', {
    hint: 'Decrypt it (openssl pkey -in FILE), or seal it as cosign does: cosign import-key-pair.',
    details: { pointer: '/key' },
  })
}

function invalid(why: string): AppError {
  return new AppError('KEY_INVALID', `the key ${why}`, {
    hint: 'Give the PEM of one private key (PKCS#8), the cosign.key that "zarf tools gen-key" wrote, or a public key to verify with.',
    details: { pointer: '/key' },
  })
}
