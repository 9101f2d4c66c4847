import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import {
  createVerification,
  lookAtSignatures,
  openTrustedRoots,
  type VerifyRequest,
} from '../../../src/trust/verification.ts'
import { type Bundle, createAuthority, createSigningKey, json, signByKey } from '../../helpers/trust/authority.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const SAN = 'https://github.com/org/repo/.github/workflows/release.yaml@refs/tags/v1.0.0'
const ISSUER = 'https://token.actions.example'
const WHO = { san: SAN, issuer: ISSUER }
const DEFINITION = Buffer.from('kind: ZarfPackageConfig\n')
const HOUR = 3_600_000
const authority = createAuthority()

async function rootsWith(t: TestContext, files: Record<string, Buffer>) {
  const folder = await tempDir(t)
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, `${name}.json`), bytes)
  return openTrustedRoots(folder)
}

async function check(t: TestContext, bundle: Bundle, request: VerifyRequest, root = authority.trustedRoot()) {
  const verification = await createVerification(request, await rootsWith(t, { default: root }))
  const files = { definition: DEFINITION, signed: true, bundle: json(bundle), base64: undefined }
  return verification?.check(files, 'the package')
}

describe('signatures by an identity', () => {
  test('who signed and who vouched for it, to the letter', async (t) => {
    const found = await check(t, authority.sign(DEFINITION, WHO), { identity: WHO })
    assert.deepEqual(found, [{ form: 'bundle', identity: WHO, verified: true, reason: null }])
    const mail = { san: 'release@example.org', issuer: ISSUER }
    assert.equal((await check(t, authority.sign(DEFINITION, mail), { identity: mail }))?.[0]?.verified, true)
  })

  const OTHERS: ReadonlyArray<[what: string, wanted: { san: string; issuer: string }]> = [
    ['another identity', { san: SAN.replace('repo', 'other'), issuer: ISSUER }],
    ['the beginning of the identity', { san: 'https://github.com/org', issuer: ISSUER }],
    ['its end', { san: 'release.yaml@refs/tags/v1.0.0', issuer: ISSUER }],
    ['what would be an expression for it', { san: 'https://github.com/.*', issuer: ISSUER }],
    ['another issuer', { san: SAN, issuer: 'https://token.other.example' }],
    ['the beginning of the issuer', { san: SAN, issuer: 'https://token' }],
  ]
  for (const [what, identity] of OTHERS) {
    test(`${what} is not who signed`, async (t) => {
      await assert.rejects(check(t, authority.sign(DEFINITION, WHO), { identity }), {
        code: 'SIGNATURE_UNTRUSTED',
        message: /signed by somebody else/,
      })
    })
  }

  test('an identity that only begins like the right one is not let in', async (t) => {
    const evil = { san: 'https://github.com/org-evil/repo/.github/workflows/x.yaml@refs/heads/main', issuer: ISSUER }
    const bundle = authority.sign(DEFINITION, evil)
    for (const san of ['https://github.com/org', 'https://github.com/org/*/.github/workflows/*@refs/*/*', '*']) {
      const wanted = { san, issuer: ISSUER }
      for (const request of [{ identity: wanted }, { identityPattern: wanted }]) {
        await assert.rejects(check(t, bundle, request), { code: 'SIGNATURE_UNTRUSTED' })
      }
    }
  })

  test('a pattern is held against the whole of both', async (t) => {
    const bundle = authority.sign(DEFINITION, WHO)
    const san = 'https://github.com/org/*/.github/workflows/release.yaml@refs/tags/v*'
    assert.equal((await check(t, bundle, { identityPattern: { san, issuer: 'https://token.*' } }))?.[0]?.verified, true)
    for (const pattern of [
      { san: 'https://github.com/org/*', issuer: ISSUER },
      { san, issuer: 'https://*/more' },
      { san: san.slice(0, -1), issuer: ISSUER },
    ]) {
      await assert.rejects(check(t, bundle, { identityPattern: pattern }), { code: 'SIGNATURE_UNTRUSTED' })
    }
  })

  test('a pattern of many stars takes no longer for it', async (t) => {
    const san = `${'*a'.repeat(250)}b`
    const long = { san: 'a'.repeat(3000), issuer: ISSUER }
    await assert.rejects(check(t, authority.sign(DEFINITION, long), { identityPattern: { san, issuer: ISSUER } }), {
      code: 'SIGNATURE_UNTRUSTED',
    })
  })

  test('a certificate that had expired when the log saw the signature is refused', async (t) => {
    const bundle = authority.sign(DEFINITION, { ...WHO, at: new Date(Date.now() + HOUR) })
    await assert.rejects(check(t, bundle, { identity: WHO }), { code: 'SIGNATURE_UNTRUSTED', message: /expired/ })
    const early = authority.sign(DEFINITION, { ...WHO, at: new Date(Date.now() - HOUR) })
    await assert.rejects(check(t, early, { identity: WHO }), { code: 'SIGNATURE_UNTRUSTED' })
  })

  test('one that has expired since is good: it held then', async (t) => {
    const [from, to, at] = [3, 1, 2].map((hours) => new Date(Date.now() - hours * HOUR))
    const bundle = authority.sign(DEFINITION, { ...WHO, from: from as Date, to: to as Date, at: at as Date })
    assert.equal((await check(t, bundle, { identity: WHO }))?.[0]?.verified, true)
  })

  test('without a time that the root vouches for it is refused', async (t) => {
    await assert.rejects(check(t, authority.sign(DEFINITION, { ...WHO, logged: false }), { identity: WHO }), {
      code: 'SIGNATURE_UNTRUSTED',
      message: /expected 1 timestamps, got 0/,
    })
  })

  test('a time that was changed afterwards is not the log’s', async (t) => {
    const bundle = authority.sign(DEFINITION, { ...WHO, at: new Date(Date.now() + HOUR) })
    const [entry] = bundle.verificationMaterial['tlogEntries'] as Record<string, unknown>[]
    if (entry) entry['integratedTime'] = String(Math.floor(Date.now() / 1000))
    await assert.rejects(check(t, bundle, { identity: WHO }), { code: 'SIGNATURE_UNTRUSTED' })
  })

  test('a log entry of another signature does not do', async (t) => {
    const [bundle, other] = [authority.sign(DEFINITION, WHO), authority.sign(DEFINITION, WHO)]
    bundle.verificationMaterial['tlogEntries'] = other.verificationMaterial['tlogEntries']
    await assert.rejects(check(t, bundle, { identity: WHO }), { code: /^SIGNATURE_/ })
  })

  test('certificates and logs of another root are refused', async (t) => {
    const bundle = createAuthority().sign(DEFINITION, WHO)
    await assert.rejects(check(t, bundle, { identity: WHO }), { code: 'SIGNATURE_UNTRUSTED' })
  })

  test('a root that names a certificate log wants each certificate to have been seen by it', async (t) => {
    const root = authority.trustedRoot({ certificateLog: true })
    await assert.rejects(check(t, authority.sign(DEFINITION, WHO), { identity: WHO }, root), {
      code: 'SIGNATURE_UNTRUSTED',
      message: /SCT/,
    })
  })

  test('a certificate for servers signs no packages', async (t) => {
    const bundle = authority.sign(DEFINITION, { ...WHO, codeSigning: false })
    await assert.rejects(check(t, bundle, { identity: WHO }), { code: 'SIGNATURE_UNTRUSTED', message: /signing code/ })
  })

  test('over other bytes it is refused', async (t) => {
    await assert.rejects(check(t, authority.sign(Buffer.from('other'), WHO), { identity: WHO }), {
      code: 'SIGNATURE_INVALID',
      message: /over bytes with the sha256/,
    })
  })

  test('a key where an identity is wanted, and the reverse, is refused in every mode', async (t) => {
    const key = createSigningKey()
    for (const mode of ['always', 'if-possible'] as const) {
      await assert.rejects(check(t, signByKey(DEFINITION, key), { mode, identity: WHO }), {
        code: 'SIGNATURE_UNTRUSTED',
      })
      await assert.rejects(check(t, authority.sign(DEFINITION, WHO), { mode, key: key.pem }), {
        code: 'SIGNATURE_UNTRUSTED',
        message: /keyless.*found https:\/\/github/,
      })
    }
  })

  test('the old form tells no identity', async (t) => {
    const verification = await createVerification(
      { identity: WHO },
      await rootsWith(t, { default: authority.trustedRoot() }),
    )
    const files = { definition: DEFINITION, signed: true, bundle: undefined, base64: Buffer.from('AAAAAAAA') }
    assert.throws(() => verification?.check(files, 'the package'), { code: 'SIGNATURE_UNTRUSTED' })
  })

  test('unasked, the bundle’s own word is told, and nothing is verified', () => {
    const bundle = json(authority.sign(DEFINITION, WHO))
    const [found] = lookAtSignatures({ definition: DEFINITION, signed: true, bundle, base64: undefined })
    assert.deepEqual([found?.identity, found?.verified], [WHO, null])
  })
})

describe('trusted roots', () => {
  const good = JSON.parse(authority.trustedRoot().toString()) as Record<string, unknown>
  const [log] = good['tlogs'] as [{ publicKey: object }]
  const NONE: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    'an object': json({}),
    null: json(null),
    'a key': Buffer.from(createSigningKey().pem),
    'a bundle': json(authority.sign(DEFINITION, WHO)),
    'without authorities': json({ ...good, certificateAuthorities: [] }),
    'without logs and timestamps': json({ ...good, tlogs: [] }),
    'an authority without certificates': json({
      ...good,
      certificateAuthorities: [{ certChain: { certificates: [] } }],
    }),
    'certificates that are none': json({
      ...good,
      certificateAuthorities: [{ certChain: { certificates: [{ rawBytes: 'AAAA' }] } }],
    }),
    'a log without a beginning': json({ ...good, tlogs: [{ ...log, publicKey: { ...log.publicKey, validFor: {} } }] }),
    'lists that are none': json({ ...good, tlogs: 'all of them' }),
    'too large': Buffer.alloc(2 * 1024 * 1024, ' '),
    deep: Buffer.from('['.repeat(100_000)),
  }
  for (const [what, bytes] of Object.entries(NONE)) {
    test(`a file is no trusted root: ${what}`, async (t) => {
      await assert.rejects(check(t, authority.sign(DEFINITION, WHO), { identity: WHO }, bytes), {
        code: 'TRUSTED_ROOT_INVALID',
      })
    })
  }

  test('one that is not there names those that are', async (t) => {
    const roots = await rootsWith(t, { production: authority.trustedRoot() })
    await assert.rejects(createVerification({ identity: WHO }, roots), {
      code: 'TRUSTED_ROOT_NOT_FOUND',
      message: /no trusted root "default": there are production/,
    })
    await assert.rejects(createVerification({ identity: WHO }, openTrustedRoots(undefined)), {
      code: 'TRUSTED_ROOT_NOT_FOUND',
      message: /LAYERD_TRUSTED_ROOTS/,
    })
  })
})
