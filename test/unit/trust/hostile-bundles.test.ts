import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createVerification, lookAtSignatures, openTrustedRoots } from '../../../src/trust/verification.ts'
import {
  type Bundle,
  BUNDLE_TYPE,
  createAuthority,
  createSigningKey,
  json,
  signByKey,
} from '../../helpers/trust/authority.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const DEFINITION = Buffer.from('kind: ZarfPackageConfig\n')
const key = createSigningKey()
const verification = await createVerification({ key: key.pem }, openTrustedRoots(undefined))

const filesWith = (bundle: Buffer) => ({ definition: DEFINITION, signed: true, bundle, base64: undefined })
const signed = (): Bundle => signByKey(DEFINITION, key)
const keyless = (): Bundle => createAuthority().sign(DEFINITION, { san: 'a@example.org', issuer: 'https://b.example' })

function changed(change: (bundle: Bundle) => void, bundle = signed()): Buffer {
  change(bundle)
  return json(bundle)
}

const [entry] = keyless().verificationMaterial['tlogEntries'] as Record<string, unknown>[]
const MIB = 1024 * 1024
const big = 'A'.repeat(100 * 1024)

const HOSTILE: Record<string, Buffer> = {
  nothing: Buffer.alloc(0),
  noise: Buffer.from([0xff, 0xfe, 0, 1, 2]),
  null: json(null),
  'a number': json(7),
  'a list': json([]),
  'an empty object': json({}),
  'another media type': changed((bundle) => (bundle['mediaType'] = 'application/json')),
  'a media type that is a list': changed((bundle) => (bundle['mediaType'] = [BUNDLE_TYPE])),
  'a later version': changed((bundle) => (bundle['mediaType'] = 'application/vnd.dev.sigstore.bundle.v0.9+json')),
  'no signature': changed((bundle) => delete bundle['messageSignature']),
  'an empty signature': changed((bundle) => (bundle['messageSignature'] = { messageDigest: {}, signature: '' })),
  'a signature that is an object': changed((bundle) => (bundle['messageSignature'] = { signature: {} })),
  'no material': changed((bundle) => Object.assign(bundle, { verificationMaterial: null })),
  'material that is text': changed((bundle) => Object.assign(bundle, { verificationMaterial: 'certificate' })),
  'an attestation': changed((bundle) => {
    delete bundle['messageSignature']
    bundle['dsseEnvelope'] = { payload: 'AAAA', payloadType: 'x', signatures: [{ sig: 'AAAA' }] }
  }),
  '10 MiB': Buffer.alloc(10 * MIB, ' '),
  '10 MiB of a list': Buffer.from(`[${'1,'.repeat(5 * MIB)}1]`),
  'deep brackets': Buffer.from('['.repeat(200 * 1024)),
  'many keys': Buffer.from(`{${Array.from({ length: 20_000 }, (_, index) => `"${index}":1`).join(',')}}`),
  'hundreds of certificates': changed((bundle) => {
    const certificates = Array.from({ length: 300 }, () => ({ rawBytes: 'MAA=' }))
    bundle['mediaType'] = 'application/vnd.dev.sigstore.bundle+json;version=0.2'
    bundle.verificationMaterial = { x509CertificateChain: { certificates } }
  }),
  'twenty log entries': changed((bundle) => (bundle.verificationMaterial['tlogEntries'] = Array(20).fill(entry))),
  'hundreds of log entries': changed((bundle) => (bundle.verificationMaterial['tlogEntries'] = Array(300).fill(entry))),
  'a log entry of text': changed((bundle) => (bundle.verificationMaterial['tlogEntries'] = ['entry'])),
  'hundreds of timestamps': changed((bundle) => {
    const rfc3161Timestamps = Array.from({ length: 300 }, () => ({ signedTimestamp: 'MAA=' }))
    bundle.verificationMaterial['timestampVerificationData'] = { rfc3161Timestamps }
  }),
  'a number of a thousand digits': changed((bundle) => {
    bundle.verificationMaterial['tlogEntries'] = [{ ...entry, logIndex: '9'.repeat(1000) }]
  }),
  'a proof of a thousand hashes': changed((bundle) => {
    const inclusionProof = { ...(entry?.['inclusionProof'] as object), hashes: Array(1000).fill('AAAA') }
    bundle.verificationMaterial['tlogEntries'] = [{ ...entry, inclusionProof }]
  }),
  'a certificate of 100 KiB': changed((bundle) => (bundle.verificationMaterial = { certificate: { rawBytes: big } })),
  'a signature of 100 KiB': changed((bundle) => {
    Object.assign(bundle['messageSignature'] as object, { signature: big })
  }),
}

describe('bundles that nobody signed with', () => {
  for (const [what, bytes] of Object.entries(HOSTILE)) {
    test(`${what} is refused, and is shown for what it is`, () => {
      assert.throws(() => verification?.check(filesWith(bytes), 'the package'), { code: 'SIGNATURE_INVALID' })
      const [found] = lookAtSignatures(filesWith(bytes))
      assert.equal(found?.verified, false)
      assert.ok((found?.reason ?? '').length < 400)
    })
  }

  test('a certificate that is none has no identity, and is refused', async (t) => {
    const folder = await tempDir(t)
    await writeFile(join(folder, 'default.json'), createAuthority().trustedRoot())
    const who = { san: 'a@example.org', issuer: 'https://b.example' }
    const byIdentity = await createVerification({ identity: who }, openTrustedRoots(folder))
    const wrong = Buffer.concat([Buffer.of(0x30, 0x82, 0x3a, 0x9c, 0x02, 0x82, 0x3a, 0x98), Buffer.alloc(15_000, 0x7f)])
    for (const rawBytes of [
      'AAAA',
      'MIIB',
      wrong.toString('base64'),
      Buffer.from('3080'.repeat(4000), 'hex').toString('base64'),
    ]) {
      const bytes = changed((bundle) => (bundle.verificationMaterial['certificate'] = { rawBytes }), keyless())
      assert.deepEqual(lookAtSignatures(filesWith(bytes))[0]?.identity, { san: null, issuer: null })
      assert.throws(() => verification?.check(filesWith(bytes), 'the package'), { code: 'SIGNATURE_UNTRUSTED' })
      assert.throws(
        () => byIdentity?.check(filesWith(bytes), 'the package'),
        (error: Error & { code?: string }) => {
          assert.match(error.code ?? '', /^SIGNATURE_/)
          assert.doesNotMatch(error.message, /undefined|properties/)
          return true
        },
      )
    }
  })

  for (const version of ['0.1', '0.2', '0.3']) {
    test(`a bundle v${version} in the older way of naming it is read`, () => {
      const bytes = changed(
        (bundle) => (bundle['mediaType'] = `application/vnd.dev.sigstore.bundle+json;version=${version}`),
      )
      assert.equal(verification?.check(filesWith(bytes), 'the package')[0]?.verified, true)
    })
  }

  test('the old form: what is not the base64 of a signature is refused', () => {
    for (const text of ['', '    ', '!!!!', '{"a":1}', 'A'.repeat(10 * MIB)]) {
      const files = { definition: DEFINITION, signed: true, bundle: undefined, base64: Buffer.from(text) }
      assert.throws(() => verification?.check(files, 'the package'), { code: 'SIGNATURE_INVALID' })
    }
  })
})
