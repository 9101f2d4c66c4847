import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { AppError } from '../../lib/errors.ts'

/** Of 32 bytes each. The first one seals, all of them open. */
export type SecretKeys = Uint8Array | readonly Uint8Array[]

const VERSION = 2
/** Texts of it do not say under which key they are. */
const NAMELESS = 1
const ID_BYTES = 4
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Seals what must not lie in Redis in clear: registry credentials, upload locations. */
export interface Vault {
  /** `name`: what the value belongs to, a job's id for credentials; it opens under no other. */
  seal(name: string, value: unknown): string
  /** Throws CREDENTIALS_INVALID: another key, another name, or damaged. */
  open(name: string, sealed: string): unknown
  /** Whether it is sealed under the key that seals now. A beginning of the text is enough (SEALED_HEAD). */
  isNewest(sealed: string): boolean
}

/** As much of a sealed text as tells its key, in characters. */
export const SEALED_HEAD = 8

interface Key {
  /** Tells keys apart, and nothing of them. */
  readonly id: Buffer
  readonly bytes: Uint8Array
}

/**
 * AES-256-GCM; the name is authenticated too, so a sealed text that is moved to another job does not open. Layout: version,
 * id of the key, nonce, tag, text, as base64. Source: NIST SP 800-38D (96-bit random nonces).
 */
export function createVault(secretKeys: SecretKeys): Vault {
  const keys = (secretKeys instanceof Uint8Array ? [secretKeys] : secretKeys).map(keyOf)
  const [newest] = keys
  if (newest === undefined) throw new AppError('CONFIG_INVALID', 'there is no secret key', { hint: MAKE_ONE })
  return {
    seal(name, value) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', newest.bytes, nonce).setAAD(Buffer.from(name))
      const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
      const head = [Buffer.from([VERSION]), newest.id, nonce, cipher.getAuthTag()]
      return Buffer.concat([...head, text]).toString('base64')
    },
    open(name, sealed) {
      const bytes = Buffer.from(sealed, 'base64')
      const [version] = bytes
      const named = version === VERSION ? bytes.subarray(1, 1 + ID_BYTES) : undefined
      const fitting = named ? keys.filter(({ id }) => id.equals(named)) : version === NAMELESS ? keys : []
      const body = bytes.subarray(named ? 1 + ID_BYTES : 1)
      let cause: unknown
      for (const key of fitting) {
        try {
          return opened(key, name, body)
        } catch (error) {
          cause = error
        }
      }
      throw unopened(name, { cause, unknownKey: fitting.length === 0 && named ? named.toString('hex') : undefined })
    },
    isNewest(sealed) {
      const head = Buffer.from(sealed.slice(0, SEALED_HEAD), 'base64')
      return head[0] === VERSION && head.subarray(1, 1 + ID_BYTES).equals(newest.id)
    },
  }
}

const MAKE_ONE = 'LAYERD_SECRET_KEY_FILE holds 32 random bytes as base64: head -c 32 /dev/urandom | base64.'

function keyOf(bytes: Uint8Array): Key {
  if (bytes.byteLength !== 32) {
    throw new AppError('CONFIG_INVALID', `the secret key has ${bytes.byteLength} bytes, not 32`, { hint: MAKE_ONE })
  }
  return { id: createHmac('sha256', bytes).update('layerd key id').digest().subarray(0, ID_BYTES), bytes }
}

function opened({ bytes: key }: Key, name: string, body: Buffer): unknown {
  const tagged = NONCE_BYTES + TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(name)).setAuthTag(body.subarray(NONCE_BYTES, tagged))
  const text = Buffer.concat([decipher.update(body.subarray(tagged)), decipher.final()])
  return JSON.parse(text.toString('utf8')) as unknown
}

function unopened(name: string, { cause, unknownKey }: { cause: unknown; unknownKey: string | undefined }): AppError {
  const why = unknownKey === undefined ? '' : `: it is under a key (${unknownKey}) that this process does not have`
  return new AppError('CREDENTIALS_INVALID', `sealed data in Redis cannot be opened${why}`, {
    hint: 'All processes of one layerd need the same secret keys; give the credentials again, or retry the job with new ones.',
    details: { name, ...(unknownKey === undefined ? {} : { key: unknownKey }) },
    ...(cause === undefined ? {} : { cause }),
  })
}
