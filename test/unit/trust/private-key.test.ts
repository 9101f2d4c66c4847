import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { readKeyFile } from '../../../src/trust/private-key.ts'
import { createVerification, localSigner, openTrustedRoots, signDefinition } from '../../../src/trust/verification.ts'
import { pemOf } from '../../helpers/trust/authority.ts'
import { cosignFile, sealedPem } from '../../helpers/trust/cosign-file.ts'

const { signal } = new AbortController()
const DEFINITION = Buffer.from('kind: ZarfPackageConfig\n')
const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const derOf = (key: KeyObject): Buffer => key.export({ type: 'pkcs8', format: 'der' })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** Made by zarf's own `cosign generate-key-pair`, for its tests. Source: zarf v0.84 src/pkg/signing/testdata. */
const COSIGN_KEY = `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJEM1h4S3huclZqU3JjSkdvYTZIcTVWYkEwYUhwUldW
akJKR3F2L0pHZDMwPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJSOGZWZzlIczVIdFZKWENDVmJnODhwVFFObTRsQnh0RCJ9LCJj
aXBoZXJ0ZXh0IjoiclNHS3A0RGpMQzdnd0RnU0F6SnIwQXhVbmxxeG1EVVZ2ci9p
MzRHTk8vaGRCblRTVEpQYU5YRWJiZDd3R1hDMlVUeU9QOS92Q2NBUUI0dVBFNnZD
V3ZzSFVwOWYyZlJoazY1TXVFQkFLWStVaE1uQ0QzcGlueWhGNktOUmxEaG1tZCtZ
SnI4ZW4rczBMZnFQREJWRkRFb2lLVlJENEMxYVF5eTdveGJJOEZDWG9FSStTd284
WnpsK2F1anpxdlYxTlg0NHJaeU9sZVRyV3c9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
`
const COSIGN_PUB = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWa56xczL+HvqDx5tUg9ThYzIAGcc
Geic52+Ajs65OgUKePRK49fki3cSZpqV1yCfqHUPnU+SaQjAiCPK3SAW9g==
-----END PUBLIC KEY-----
`

describe('keys to keep', () => {
  const KEYS: ReadonlyArray<[algorithm: string, text: string, password?: string]> = [
    ['ECDSA P-256', pkcs8(p256.privateKey)],
    ['ECDSA P-256', p256.privateKey.export({ type: 'sec1', format: 'pem' }).toString()],
    [
      'ECDSA P-256',
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${p256.privateKey.export({ type: 'sec1', format: 'pem' }).toString()}`,
    ],
    ['ECDSA P-384', pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['ECDSA P-521', pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey)],
    ['RSA 2048', pkcs8(rsa.privateKey)],
    ['RSA 2048', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()],
    ['Ed25519', pkcs8(generateKeyPairSync('ed25519').privateKey)],
    ['ECDSA P-256', COSIGN_KEY, 'test'],
    ['ECDSA P-256', cosignFile(derOf(p256.privateKey), '')],
    ['RSA 2048', cosignFile(derOf(rsa.privateKey), 'pässword'), 'pässword'],
  ]
  for (const [algorithm, text, password] of KEYS) {
    test(`${text.slice(11, 45).split('-')[0]} (${algorithm}): its signature holds for its public half, and no other`, async () => {
      const { publicKey, privateKey = '' } = await readKeyFile(text, password)
      assert.equal(publicKey.algorithm, algorithm)
      const bundle = await signDefinition(DEFINITION, localSigner(privateKey, publicKey.pem), signal)
      const files = { definition: DEFINITION, signed: true, bundle, base64: undefined }
      const check = async (key: string) =>
        (await createVerification({ key }, openTrustedRoots(undefined)))?.check(files, 'it')
      assert.deepEqual(await check(publicKey.pem), [
        { form: 'bundle', key: { fingerprint: publicKey.fingerprint }, verified: true, reason: null },
      ])
      const other = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
      await assert.rejects(check(other), { code: 'SIGNATURE_UNTRUSTED' })
    })
  }

  test('cosign’s own file holds the key that its public half was written for', async () => {
    assert.equal((await readKeyFile(COSIGN_KEY, 'test')).publicKey.pem, COSIGN_PUB)
  })

  test('a public key has no other half', async () => {
    assert.deepEqual((await readKeyFile(COSIGN_PUB, undefined)).privateKey, undefined)
  })

  const pem = pkcs8(p256.privateKey)
  const sealed = { salt: Buffer.alloc(32).toString('base64'), name: 'scrypt' }
  const asking = (params: unknown) => cosignFile(derOf(p256.privateKey), 'x', { kdf: { ...sealed, params } })
  const WRONG: ReadonlyArray<[what: string, text: string, password: string | undefined, says: RegExp]> = [
    ['nothing', '', undefined, /is not PEM/],
    ['garbage', 'c2VjcmV0IGtleQ==', undefined, /is not PEM/],
    ['two keys', pem + pem, undefined, /2 blocks/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', undefined, /a CERTIFICATE/],
    ['a broken body', pem.replaceAll(/^[^-].*$/gm, 'AAAA'), undefined, /cannot be read/],
    ['a huge text', pem + ' '.repeat(40_000), undefined, /more than 32768 characters/],
    ['another curve', pkcs8(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey), undefined, /secp256k1/],
    ['a key for agreement', pkcs8(generateKeyPairSync('x25519').privateKey), undefined, /x25519/],
    ['a short RSA key', pkcs8(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey), undefined, /1024 bits/],
    ['a password for an open key', pem, 'secret-word', /not sealed/],
    [
      'a key that PKCS#8 encrypts',
      p256.privateKey
        .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret-word' })
        .toString(),
      undefined,
      /encrypted as PKCS#8/,
    ],
    ['a wrong password', COSIGN_KEY, 'secret-word', /password does not open/],
    ['no password', COSIGN_KEY, undefined, /password does not open/],
    ['a huge N', asking({ N: 2 ** 30, r: 8, p: 1 }), 'x', /other parameters of scrypt/],
    ['a huge r', asking({ N: 32768, r: 2 ** 20, p: 1 }), 'x', /other parameters of scrypt/],
    ['a huge p', asking({ N: 32768, r: 8, p: 2 ** 20 }), 'x', /other parameters of scrypt/],
    ['an N that is a text', asking({ N: '1e9', r: 8, p: 1 }), 'x', /other parameters of scrypt/],
    ['another derivation', cosignFile(derOf(p256.privateKey), 'x', { kdf: { name: 'argon2' } }), 'x', /another way/],
    ['another cipher', cosignFile(derOf(p256.privateKey), 'x', { cipher: { name: 'aes' } }), 'x', /another way/],
    [
      'a short nonce',
      cosignFile(derOf(p256.privateKey), 'x', { cipher: { name: 'nacl/secretbox', nonce: 'AAAA' } }),
      'x',
      /salt or nonce/,
    ],
    ['a short text', cosignFile(derOf(p256.privateKey), 'x', { ciphertext: 'AAAA' }), 'x', /password does not open/],
    ['sealed garbage', cosignFile(Buffer.from('secret-word'), 'x'), 'x', /opens, and is no key/],
    ['no JSON', sealedPem('secret-word'), 'x', /no JSON/],
    ['JSON of another kind', sealedPem('[1, 2]'), 'x', /another way/],
    ['deep JSON', sealedPem('['.repeat(10_000)), 'x', /./],
  ]
  for (const [what, text, password, says] of WRONG) {
    test(`${what} is refused, and not repeated`, async () => {
      await assert.rejects(readKeyFile(text, password), (error: Error & { code?: string; cause?: unknown }) => {
        assert.equal(error.code, 'KEY_INVALID')
        assert.match(error.message, says)
        const told = JSON.stringify(error) + error.message + String(error.cause)
        assert.ok(!told.includes('secret-word'), told)
        const body = text.split('\n')[1]
        if (body) assert.ok(!told.includes(body))
        return true
      })
    })
  }
})
