import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { AppError } from '../../lib/errors.ts'

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Seals what must not lie in Redis in clear: registry credentials, upload locations. */
export interface Vault {
  /** `name`: what the value belongs to, a job's id for credentials; it opens under no other. */
  seal(name: string, value: unknown): string
  /** Throws CREDENTIALS_INVALID: another key, another name, or damaged. */
  open(name: string, sealed: string): unknown
}

/**
 * AES-256-GCM under a key of 32 bytes; the name is authenticated too, so a sealed text that is moved to another job does
 * not open. Layout: version, nonce, tag, text, as base64. Source: NIST SP 800-38D (96-bit random nonces).
 */
export function createVault(key: Uint8Array): Vault {
  if (key.byteLength !== 32) {
    throw new AppError('CONFIG_INVALID', `the secret key has ${key.byteLength} bytes, not 32`, {
      hint: 'LAYERD_SECRET_KEY_FILE holds 32 random bytes as base64: head -c 32 /dev/urandom | base64.',
    })
  }
  return {
    seal(name, value) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name))
      const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.from([VERSION]), nonce, cipher.getAuthTag(), text]).toString('base64')
    },
    open(name, sealed) {
      const bytes = Buffer.from(sealed, 'base64')
      const tagAt = 1 + NONCE_BYTES
      try {
        if (bytes[0] !== VERSION) throw new Error('unknown version')
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, tagAt), { authTagLength: TAG_BYTES })
        decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(tagAt, tagAt + TAG_BYTES))
        const text = Buffer.concat([decipher.update(bytes.subarray(tagAt + TAG_BYTES)), decipher.final()])
        return JSON.parse(text.toString('utf8')) as unknown
      } catch (error) {
        throw new AppError('CREDENTIALS_INVALID', 'sealed data in Redis cannot be opened', {
          hint: 'All processes of one layerd need the same secret key; retry the job with new credentials.',
          details: { name },
          cause: error,
        })
      }
    },
  }
}
