import { randomBytes, scryptSync } from 'node:crypto'
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js'

/** A private key (PKCS#8, DER) in cosign's own file, which some fields of its JSON are replaced in. */
export function cosignFile(der: Buffer, password: string, changes: Record<string, unknown> = {}): string {
  const [salt, nonce] = [randomBytes(32), randomBytes(24)]
  const key = scryptSync(password, salt, 32, { N: 32768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 })
  const ciphertext = Buffer.from(xsalsa20poly1305(key, nonce).encrypt(der))
  const json = {
    kdf: { name: 'scrypt', params: { N: 32768, r: 8, p: 1 }, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: ciphertext.toString('base64'),
    ...changes,
  }
  return sealedPem(JSON.stringify(json))
}

export function sealedPem(text: string): string {
  const body = Buffer.from(text).toString('base64').replaceAll(/.{64}/g, '$&\n')
  return `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n${body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n`
}
