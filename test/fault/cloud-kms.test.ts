import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AwsSecret } from '../../src/content/clouds.ts'
import { type AppError, isAppError } from '../../src/lib/errors.ts'
import { createClouds, type Kms } from '../../src/oci/credentials/clouds/clouds.ts'
import { keptKeys, publicKeyPem } from '../../src/roles/kept-keys.ts'
import { parsePublicKey, signDefinition } from '../../src/trust/verification.ts'
import { setEnv, toldBy } from '../helpers/clouds/asking.ts'
import { jsonError, ROLE_KEYS, startFakeAws } from '../helpers/clouds/fake-aws.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { freePort } from '../helpers/network/ports.ts'
import { connect } from '../helpers/registries/transport.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import type { KeyRecords } from '../../src/jobs/keys/key-records.ts'

const ID = 'AKIAEXAMPLEEXAMPLE01'
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const ARN = 'arn:aws:kms:eu-central-1:123456789012:key/1f0e2d3c-0000-4000-8000-123456789012'
const KEY = { keyId: ARN, region: 'eu-central-1' }
const ROLE = 'arn:aws:iam::123456789012:role/signer'
const DEFINITION = Buffer.from('kind: ZarfPackageConfig\n')
const { signal } = new AbortController()
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const aws = (more: Partial<AwsSecret> = {}): AwsSecret => ({
  kind: 'aws',
  keys: { accessKeyId: ID, secretAccessKey: SECRET },
  metadata: false,
  ...more,
})
const digestOf = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

async function kmsAt(t: TestContext, url: string): Promise<Kms> {
  const home = await tempDir(t)
  const env = {
    AWS_ENDPOINT_URL: url,
    HOME: home,
    AWS_CONFIG_FILE: join(home, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
  }
  setEnv(t, env)
  return createClouds({ call: connect(t).cloud, env }).kms
}

async function bed(t: TestContext, privateKey: KeyObject = p256) {
  const fake = await startFakeAws(t, { [ID]: SECRET, [ROLE_KEYS.accessKeyId]: ROLE_KEYS.secretAccessKey })
  fake.kmsKeys.set(ARN, { privateKey })
  return { fake, kms: await kmsAt(t, fake.url) }
}

/** What jobs sign with, where this is kept under the name `release`. */
async function signerOf(kms: Kms, secret = aws()) {
  const publicKey = parsePublicKey(publicKeyPem(await kms.publicKey(KEY, secret, signal)))
  const { algorithm, fingerprint, pem } = publicKey
  const record = { name: 'release', kind: 'aws-kms', algorithm, fingerprint, publicKey: pem, kms: { ...KEY } }
  const signatures = { recall: async () => undefined, remember: async () => undefined }
  const records = { open: async () => ({ record, secret: { aws: secret } }), signatures } as unknown as KeyRecords
  return { ...(await keptKeys(records, kms).signer('release')), publicKey }
}

for (const [algorithm, key] of [
  ['ECDSA P-256', p256],
  ['RSA 2048', rsa],
] as const) {
  test(`a key of KMS (${algorithm}) signs there, and what it signs holds here`, async (t) => {
    const { fake, kms } = await bed(t, key)
    const { signer, publicKey } = await signerOf(kms)
    assert.equal(publicKey.algorithm, algorithm)
    const large = Buffer.alloc(100_000, 'x')
    assert.ok(publicKey.verifies(large, await signer.sign(large, signal)))
    assert.match((await signDefinition(DEFINITION, signer, signal)).toString(), /bundle\.v0\.3/)
    assert.deepEqual(
      [...new Set(fake.calls.map(({ service, region, target }) => `${service} ${region} ${target}`))],
      ['kms eu-central-1 TrentService.GetPublicKey', 'kms eu-central-1 TrentService.Sign'],
    )
  })
}

test('a role is assumed first', async (t) => {
  const { fake, kms } = await bed(t)
  await kms.publicKey(KEY, aws({ roleArn: ROLE }), signal)
  assert.deepEqual(
    fake.calls.map(({ action, accessKeyId }) => [action, accessKeyId]),
    [
      ['AssumeRole', ID],
      ['GetPublicKey', ROLE_KEYS.accessKeyId],
    ],
  )
})

test('a key that zarf could not verify with, or that does not sign, is not kept', async (t) => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  const { fake, kms } = await bed(t, p384)
  await assert.rejects(kms.publicKey(KEY, aws(), signal), { code: 'KEY_INVALID', message: /ECDSA_SHA_384/ })
  fake.kmsKeys.set(ARN, { privateKey: rsa, usage: 'ENCRYPT_DECRYPT' })
  await assert.rejects(kms.publicKey(KEY, aws(), signal), { code: 'KEY_INVALID' })
})

test('a key that signs with another half than it showed is found out', async (t) => {
  const { fake, kms } = await bed(t)
  const { signer } = await signerOf(kms)
  fake.kmsKeys.set(ARN, { privateKey: p256, signsWith: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })
  await assert.rejects(signDefinition(DEFINITION, signer, signal), { code: 'KEY_UNAVAILABLE', retry: 'permanent' })
})

const told = (error: AppError): string => toldBy(error) + JSON.stringify(error.details)
const fails = async (work: Promise<unknown>, retry: string, message: RegExp, hint: RegExp): Promise<void> => {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(isAppError(error))
    assert.deepEqual([error.code, error.retry], ['KEY_UNAVAILABLE', retry], error.message)
    assert.match(error.message, message)
    assert.match(error.hint ?? '', hint)
    assert.ok(!told(error).includes(SECRET), told(error))
    return true
  })
}

test('what KMS refuses is told with what to do, and not tried again', async (t) => {
  const { fake, kms } = await bed(t)
  const sign = () => kms.sign(KEY, aws(), { digest: digestOf(DEFINITION), algorithm: 'ecdsa', signal })
  fake.answerNext(
    jsonError(
      400,
      'AccessDeniedException',
      `User: arn:aws:iam::1:user/x is not authorized to perform: kms:Sign (${SECRET})`,
    ),
  )
  await fails(sign(), 'permanent', /a signature of the KMS key .*AccessDeniedException/, /kms:Sign/)
  fake.kmsKeys.set(ARN, { privateKey: p256, disabled: true })
  await fails(sign(), 'permanent', /DisabledException/, /enabled/)
  fake.kmsKeys.clear()
  await fails(sign(), 'permanent', /NotFoundException/, /in this region/)
  fake.keys.clear()
  await fails(sign(), 'permanent', /UnrecognizedClientException/, /accessKeyId/)
})

test('what passes by itself is tried again by the next run', async (t) => {
  const { fake, kms } = await bed(t)
  const sign = () => kms.sign(KEY, aws(), { digest: digestOf(DEFINITION), algorithm: 'ecdsa', signal })
  for (const [status, code] of [
    [500, 'KMSInternalException'],
    [400, 'ThrottlingException'],
    [500, 'KeyUnavailableException'],
  ] as const) {
    fake.answerNext(jsonError(status, code, 'try later'))
    fake.answerNext(jsonError(status, code, 'try later'))
    await fails(sign(), 'transient', new RegExp(`${status} ${code}`), /tried again/)
  }
  assert.equal((await sign()).length > 60, true)
})

test('a place where nobody answers, or something else does, is told', async (t) => {
  const gone = await kmsAt(t, `http://127.0.0.1:${await freePort()}`)
  await fails(gone.publicKey(KEY, aws(), signal), 'transient', /could not be had/, /./)
  const page = createServer(
    (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  )
  const other = await kmsAt(t, `http://${await listenOnLoopback(t, page)}`)
  await fails(other.publicKey(KEY, aws(), signal), 'permanent', /could not be had/, /./)
})

test('a signature that does not come ends with its job', async (t) => {
  const waiting = Promise.withResolvers<void>()
  const silent = createServer(() => waiting.resolve())
  const kms = await kmsAt(t, `http://${await listenOnLoopback(t, silent)}`)
  const stop = new AbortController()
  const signing = kms.sign(KEY, aws(), { digest: digestOf(DEFINITION), algorithm: 'ecdsa', signal: stop.signal })
  await waiting.promise
  const reason = new Error('canceled')
  stop.abort(reason)
  await assert.rejects(signing, (error: Error) => error.message.includes('canceled') || error.cause === reason)
  silent.closeAllConnections()
})
