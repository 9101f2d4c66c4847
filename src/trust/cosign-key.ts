import { scrypt } from 'node:crypto'
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { AppError } from '../lib/errors.ts'
import { createLimiter } from '../lib/limiter.ts'
import { beyondBounds } from '../lib/loop/json-bounds.ts'

/** What `cosign generate-key-pair` and `zarf tools gen-key` write. */
export const COSIGN_LABELS = ['ENCRYPTED SIGSTORE PRIVATE KEY', 'ENCRYPTED COSIGN PRIVATE KEY']

const BOUNDS = { values: 32, keys: 32, depth: 4 }
/**
 * These alone are taken there too: others may ask for any amount of memory and time. Source: go-securesystemslib encrypted.go.
 */
const SCRYPT_N = [2 ** 15, 2 ** 16, 2 ** 17]
const [SCRYPT_R, SCRYPT_P] = [8, 1]
const SCRYPT_BYTES = 256 * 1024 * 1024
const [KEY_BYTES, NONCE_BYTES, MAX_SALT_BYTES] = [32, 24, 64]

/** Each takes up to 128 MiB and most of a second, in a thread of Node's pool. */
const one = createLimiter(1)

interface Sealed {
  readonly n: number
  readonly salt: Buffer
  readonly nonce: Buffer
  readonly ciphertext: Buffer
}

/**
 * The private key of cosign's own file, as PKCS#8 in DER. Throws KEY_INVALID for what is none and for another password; nothing
 * of either stands in the error. Source: go-securesystemslib encrypted.go, which cosign v3 writes it with.
 */
export async function openCosignKey(pem: string, password: string): Promise<Buffer> {
  const { n, salt, nonce, ciphertext } = parse(pem)
  const key = await one.run(() => derive(password, salt, n))
  try {
    return Buffer.from(xsalsa20poly1305(key, nonce).decrypt(ciphertext))
  } catch {
    throw new AppError('KEY_INVALID', 'the password does not open the key', {
      hint: 'Give the password that the key was made with (COSIGN_PASSWORD); none is an empty one.',
      details: { pointer: '/password' },
    })
  }
}

function derive(password: string, salt: Buffer, N: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { N, r: SCRYPT_R, p: SCRYPT_P, maxmem: SCRYPT_BYTES }
    scrypt(password, salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

function parse(pem: string): Sealed {
  const json = jsonIn(pem)
  const { kdf, cipher, ciphertext } = fieldsOf(json)
  const { name: derivation, params, salt } = fieldsOf(kdf)
  const { N, r, p } = fieldsOf(params)
  const { name: box, nonce } = fieldsOf(cipher)
  if (derivation !== 'scrypt' || box !== 'nacl/secretbox') {
    throw invalid('is sealed in another way than by scrypt and nacl/secretbox')
  }
  if (!SCRYPT_N.includes(Number(N)) || r !== SCRYPT_R || p !== SCRYPT_P) {
    throw invalid(`asks for other parameters of scrypt than cosign's: N ${SCRYPT_N.join(', ')}, r 8, p 1`)
  }
  const read = { n: Number(N), salt: bytesOf(salt), nonce: bytesOf(nonce), ciphertext: bytesOf(ciphertext) }
  if (read.salt.length > MAX_SALT_BYTES || read.nonce.length !== NONCE_BYTES) throw invalid('has a wrong salt or nonce')
  return read
}

function jsonIn(pem: string): unknown {
  const [, , body = ''] = pem.split('-----')
  const bytes = Buffer.from(body, 'base64')
  const beyond = beyondBounds(bytes, BOUNDS)
  if (beyond !== undefined) throw invalid(beyond)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    // The parser's error repeats what it read.
    throw invalid("holds no JSON, as cosign's do")
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : '', 'base64')
}

function invalid(why: string): AppError {
  return new AppError('KEY_INVALID', `the key looks like one of cosign's and ${why}`, {
    hint: 'Give the file that "cosign generate-key-pair" or "zarf tools gen-key" wrote, as it is.',
    details: { pointer: '/key' },
  })
}
