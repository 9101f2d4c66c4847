import { createHash, randomBytes } from 'node:crypto'

/** 256 random bits: nobody guesses them. */
const BYTES = 32
/** As base64url, without its padding. */
const TEXT = /^[A-Za-z0-9_-]{43}$/

/** A new secret, for whom it is made alone. */
export function newSecret(): string {
  return randomBytes(BYTES).toString('base64url')
}

/** Whether it can be one. */
export function isSecret(text: string): boolean {
  return TEXT.test(text)
}

/** What a secret is kept and found by: its SHA-256, which leads back to none. */
export function secretId(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
