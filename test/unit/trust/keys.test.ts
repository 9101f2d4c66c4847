import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { parsePublicKey } from '../../../src/trust/keys.ts'
import { createCertificate } from '../../helpers/network/certificate.ts'
import { pemOf } from '../../helpers/trust/authority.ts'

const BYTES = Buffer.from('kind: ZarfPackageConfig\n')
const other = Buffer.from('kind: ZarfInitConfig\n')

const PAIRS: Record<string, { publicKey: KeyObject; privateKey: KeyObject; hashes: (string | undefined)[] }> = {
  'ECDSA P-256': { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }), hashes: ['sha256'] },
  'ECDSA P-384': { ...generateKeyPairSync('ec', { namedCurve: 'P-384' }), hashes: ['sha256', 'sha384'] },
  'ECDSA P-521': { ...generateKeyPairSync('ec', { namedCurve: 'P-521' }), hashes: ['sha256', 'sha512'] },
  'RSA 2048': { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), hashes: ['sha256'] },
  Ed25519: { ...generateKeyPairSync('ed25519'), hashes: [undefined] },
}

describe('public keys', () => {
  for (const [name, { publicKey, privateKey, hashes }] of Object.entries(PAIRS)) {
    test(`${name} knows its own signatures, and no others`, () => {
      const key = parsePublicKey(pemOf(publicKey))
      for (const hash of hashes) {
        const signature = sign(hash, BYTES, privateKey)
        assert.equal(key.verifies(BYTES, signature), true)
        assert.equal(key.verifies(other, signature), false)
        assert.equal(key.verifies(BYTES, Buffer.concat([signature, Buffer.of(0)])), false)
      }
      assert.equal(key.verifies(BYTES, Buffer.alloc(0)), false)
      assert.match(key.fingerprint, /^sha256:[0-9a-f]{64}$/)
    })
  }

  const p256 = PAIRS['ECDSA P-256'] as (typeof PAIRS)[string]
  const pem = pemOf(p256.publicKey)
  const WRONG: ReadonlyArray<[what: string, text: string, says: RegExp]> = [
    ['nothing', '', /is not PEM/],
    ['garbage', 'ssh-ed25519 AAAA nobody', /is not PEM/],
    ['two keys', pem + pem, /2 blocks/],
    ['a private key', p256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), /private/],
    ['cosign’s encrypted key', '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n', /private/],
    ['a certificate', createCertificate().certPem, /CERTIFICATE, not a PUBLIC KEY/],
    ['a broken body', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', /cannot be read/],
    ['a huge text', `${pem}${' '.repeat(10_000)}`, /more than 8192 characters/],
    ['another curve', pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey), /secp256k1/],
    ['a short RSA key', pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), /1024 bits/],
    ['a key for agreement', pemOf(generateKeyPairSync('x25519').publicKey), /x25519/],
  ]
  for (const [what, text, says] of WRONG) {
    test(`${what} is refused, and not repeated`, () => {
      assert.throws(
        () => parsePublicKey(text),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'KEY_INVALID')
          assert.match(error.message, says)
          const body = text.split('\n')[1]
          if (body) assert.ok(!error.message.includes(body))
          return true
        },
      )
    })
  }
})
