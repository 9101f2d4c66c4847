import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import {
  createVerification,
  openTrustedRoots,
  type SignedFiles,
  type VerifyRequest,
} from '../../../src/trust/verification.ts'
import { createSigningKey, json, signByKey } from '../../helpers/trust/authority.ts'
import { FIXTURES } from '../../helpers/packages/fixtures.ts'
import { readPackage } from '../../helpers/packages/pulling.ts'

const NO_ROOTS = openTrustedRoots(undefined)
const COSIGN_PUB = readFileSync(FIXTURES.signedNemoKey, 'utf8')
const FINGERPRINT = 'sha256:6d4822509ebd73be715140a86c7863352361ed5fd2325b24501ec1d7a10c5a65'

async function filesOf(path: string): Promise<SignedFiles> {
  const { files, contents } = await readPackage(path)
  const { signed } = contents
  return {
    definition: files.get('zarf.yaml') as Buffer,
    signed,
    bundle: files.get('zarf.bundle.sig'),
    base64: files.get('zarf.yaml.sig'),
  }
}

async function check(files: SignedFiles, request: VerifyRequest) {
  return (await createVerification(request, NO_ROOTS))?.check(files, 'the package')
}

describe('signatures by a key', () => {
  test('the bundle that zarf made verifies with its key', async () => {
    assert.deepEqual(await check(await filesOf(FIXTURES.signedNemo), { key: COSIGN_PUB }), [
      { form: 'bundle', key: { fingerprint: FINGERPRINT }, verified: true, reason: null },
    ])
  })

  test('so does the old form', async () => {
    assert.deepEqual(await check(await filesOf(FIXTURES.oldSignatureLedger), { key: COSIGN_PUB }), [
      { form: 'base64', key: { fingerprint: FINGERPRINT }, verified: true, reason: null },
    ])
  })

  test('of both forms the bundle counts', async () => {
    const files = await filesOf(FIXTURES.signedNemo)
    const found = await check({ ...files, base64: Buffer.from('AAAAAAAA') }, { key: COSIGN_PUB })
    assert.deepEqual(
      found?.map(({ form, verified }) => [form, verified]),
      [
        ['bundle', true],
        ['base64', null],
      ],
    )
    const old = await filesOf(FIXTURES.oldSignatureLedger)
    await assert.rejects(check({ ...old, bundle: Buffer.from('{}') }, { key: COSIGN_PUB }), {
      code: 'SIGNATURE_INVALID',
    })
  })

  test('another key is refused, with what was found and what was wanted', async () => {
    const { pem } = createSigningKey()
    await assert.rejects(
      check(await filesOf(FIXTURES.signedNemo), { key: pem }),
      (error: Error & { code?: string; details?: Record<string, Record<string, unknown>> }) => {
        assert.equal(error.code, 'SIGNATURE_UNTRUSTED')
        assert.match(error.message, /signed with another key; found the key sha256:6d48.*, wanted the key sha256:/)
        assert.deepEqual(error.details?.['found'], { key: { fingerprint: FINGERPRINT }, form: 'bundle' })
        assert.ok(error.details?.['wanted']?.['key'])
        return true
      },
    )
    await assert.rejects(check(await filesOf(FIXTURES.oldSignatureLedger), { key: pem }), { code: 'SIGNATURE_INVALID' })
  })

  test('other bytes are refused, in both forms', async () => {
    for (const path of [FIXTURES.signedNemo, FIXTURES.oldSignatureLedger]) {
      const files = await filesOf(path)
      const definition = Buffer.concat([files.definition, Buffer.from('\n')])
      await assert.rejects(check({ ...files, definition }, { key: COSIGN_PUB }), { code: 'SIGNATURE_INVALID' })
    }
  })

  test('a bundle that hints at the right key and was signed by another is refused', async () => {
    const [mine, theirs] = [createSigningKey(), createSigningKey()]
    const definition = Buffer.from('kind: ZarfPackageConfig\n')
    const honest = signByKey(definition, mine)
    const forged = { ...signByKey(definition, theirs), verificationMaterial: honest.verificationMaterial }
    const files = { definition, signed: true, base64: undefined }
    assert.equal((await check({ ...files, bundle: json(honest) }, { key: mine.pem }))?.[0]?.verified, true)
    await assert.rejects(check({ ...files, bundle: json(forged) }, { key: mine.pem }), { code: 'SIGNATURE_INVALID' })
  })
})

describe('what the modes let pass', () => {
  const key = createSigningKey()
  const definition = Buffer.from('kind: ZarfPackageConfig\n')
  const unsigned: SignedFiles = { definition, signed: false, bundle: undefined, base64: undefined }
  const signed: SignedFiles = { ...unsigned, signed: true, bundle: json(signByKey(definition, key)) }
  const bad: SignedFiles = { ...signed, definition: Buffer.from('kind: Other\n') }
  const without: SignedFiles = { ...unsigned, signed: true }
  const stray: SignedFiles = { ...signed, signed: false }

  test('never looks at nothing', async () => {
    for (const files of [unsigned, signed, bad]) assert.equal(await check(files, { mode: 'never' }), undefined)
  })

  test('if possible, without a key: unsigned and signed ones pass, unchecked', async () => {
    assert.deepEqual(await check(unsigned, { mode: 'if-possible' }), [])
    for (const files of [signed, bad]) {
      assert.deepEqual(
        (await check(files, { mode: 'if-possible' }))?.map(({ verified }) => verified),
        [null],
      )
    }
  })

  for (const mode of ['if-possible', 'always'] as const) {
    test(`${mode}, with a key: only what it signed passes`, async () => {
      const request = { mode, key: key.pem }
      assert.equal((await check(signed, request))?.[0]?.verified, true)
      await assert.rejects(check(unsigned, request), { code: 'SIGNATURE_MISSING', message: /is not signed/ })
      await assert.rejects(check(without, request), { code: 'SIGNATURE_MISSING', message: /holds no signature/ })
      await assert.rejects(check(stray, request), { code: 'SIGNATURE_MISSING', message: /does not say/ })
      await assert.rejects(check(bad, request), { code: 'SIGNATURE_INVALID' })
    })
  }

  test('what cannot be meant is refused before anything is looked at', async () => {
    const identity = { san: 'a', issuer: 'b' }
    const wrong: ReadonlyArray<[VerifyRequest, RegExp]> = [
      [{}, /neither "key", "keyRef" nor "identity"/],
      [{ key: key.pem, identity }, /one of/],
      [{ identity, identityPattern: identity }, /one of/],
      [{ key: key.pem, trustedRoot: 'default' }, /only an identity/],
      [{ identity, trustedRoot: '../etc/passwd' }, /no name/],
      [{ identityPattern: { san: '[a', issuer: '*' } }, /not a pattern/],
    ]
    for (const [request, message] of wrong)
      await assert.rejects(check(signed, request), { code: 'BODY_INVALID', message })
    await assert.rejects(check(signed, { key: 'nonsense' }), { code: 'KEY_INVALID' })
  })
})
