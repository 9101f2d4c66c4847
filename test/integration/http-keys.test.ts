import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { InjectOptions } from 'fastify'
import { createKeyRecords } from '../../src/jobs/keys/key-records.ts'
import { defer } from '../helpers/cleanup.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { startJobs } from '../helpers/redis/jobs.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { cosignFile } from '../helpers/trust/cosign-file.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const PRIVATE = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const PUBLIC = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const DER = pair.privateKey.export({ type: 'pkcs8', format: 'der' })
const OTHER = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()
const REFERENCE = 'oci://registry.example/team/nemo:1.2.0'
/** What nobody may ever see of them again. */
const SECRETS = [PRIVATE.split('\n')[1] ?? '', 'pass-word-of-the-key', DER.subarray(36, 68).toString('hex')]

const started = async (t: Parameters<typeof startApp>[0]) => {
  const bed = await startApp(t, { kinds: new Set(['publish', 'pull', 'copy', 'verify']) })
  /** On a busy machine Redis may take more than the 1.5 s that are waited for it. */
  const app = {
    inject: (request: InjectOptions | string) =>
      waitFor('Redis to answer', async () => {
        const answer = await bed.app.inject(request)
        return answer.statusCode === 503 ? undefined : answer
      }),
  }
  const put = (name: string, payload: object, headers: Record<string, string> = {}) =>
    app.inject({ method: 'PUT', url: `/v1/keys/${name}`, payload, headers })
  const job = (kind: string, options: object) =>
    app.inject({
      method: 'POST',
      url: '/v1/jobs',
      payload: {
        kind,
        source: REFERENCE,
        options,
        ...(kind === 'copy' ? { destination: 'oci://other.example/x' } : {}),
      },
    })
  return { ...bed, app, put, job }
}

describe('keys that are kept', () => {
  test('a private key, cosign’s file and a public key are told of by their public halves alone', async (t) => {
    const { app, put, jobs } = await started(t)
    const cosign = cosignFile(DER, 'pass-word-of-the-key')
    const answers = [
      await put('release', { key: PRIVATE }),
      await put('cosign', { key: cosign, password: 'pass-word-of-the-key' }),
      await put('vendor', { key: OTHER }),
    ]
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      [201, 201, 201],
    )
    const [release] = answers.map((answer) => answer.json<Record<string, unknown>>())
    assert.partialDeepStrictEqual(release, {
      name: 'release',
      kind: 'private',
      algorithm: 'ECDSA P-256',
      publicKey: PUBLIC,
      kms: null,
    })
    assert.deepEqual(createPublicKey(String(release?.['publicKey'])).export({ type: 'spki', format: 'pem' }), PUBLIC)
    const list = await app.inject('/v1/keys')
    const { items } = list.json<{ items: { name: string; kind: string; fingerprint: string }[] }>()
    assert.deepEqual(
      items.map(({ name, kind }) => [name, kind]),
      [
        ['cosign', 'private'],
        ['release', 'private'],
        ['vendor', 'public'],
      ],
    )
    assert.equal(items[0]?.fingerprint, items[1]?.fingerprint)
    const raw = await jobs.raw.hgetall('{layerd}:keys')
    const all = [
      ...answers.map(({ body }) => body),
      list.body,
      (await app.inject('/v1/keys/cosign')).body,
      JSON.stringify(raw),
    ]
    for (const secret of SECRETS) for (const text of all) assert.ok(!text.includes(secret), text)
  })

  test('each is written by those who have seen what is there', async (t) => {
    const { app, put } = await started(t)
    const first = await put('release', { key: PRIVATE }, { 'if-none-match': '*' })
    const etag = String(first.headers['etag'])
    const codes = async (answer: ReturnType<typeof put>) => [
      (await answer).statusCode,
      (await answer).json<Problem>().code,
    ]
    assert.deepEqual(await codes(put('release', { key: OTHER })), [428, 'PRECONDITION_REQUIRED'])
    assert.deepEqual(await codes(put('release', { key: OTHER }, { 'if-none-match': '*' })), [
      412,
      'PRECONDITION_FAILED',
    ])
    assert.deepEqual(await codes(put('release', { key: OTHER }, { 'if-match': '"x"' })), [412, 'PRECONDITION_FAILED'])
    assert.equal((await app.inject({ url: '/v1/keys/release', headers: { 'if-none-match': etag } })).statusCode, 304)
    const second = await put('release', { key: OTHER }, { 'if-match': etag })
    assert.deepEqual([second.statusCode, second.json<{ kind: string }>().kind], [200, 'public'])
    const remove = (match: string) =>
      app.inject({ method: 'DELETE', url: '/v1/keys/release', headers: { 'if-match': match } })
    assert.equal((await remove(etag)).statusCode, 412)
    assert.equal((await remove(String(second.headers['etag']))).statusCode, 204)
    assert.deepEqual([(await app.inject('/v1/keys/release')).statusCode, (await remove('*')).statusCode], [404, 404])
  })

  const WRONG: ReadonlyArray<[what: string, name: string, body: object, code: string, pointer: string]> = [
    ['nothing', 'a', {}, 'BODY_INVALID', '/key'],
    ['no key', 'a', { key: 'c2VjcmV0' }, 'KEY_INVALID', '/key'],
    [
      'a wrong password',
      'a',
      { key: cosignFile(DER, 'x'), password: 'pass-word-of-the-key' },
      'KEY_INVALID',
      '/password',
    ],
    ['a password for an open key', 'a', { key: PRIVATE, password: 'pass-word-of-the-key' }, 'KEY_INVALID', '/password'],
    ['a file and a key of KMS', 'a', { key: PRIVATE, kms: 'alias/x' }, 'BODY_INVALID', '/key'],
    ['AWS for a file', 'a', { key: PRIVATE, aws: { chain: true } }, 'BODY_INVALID', '/aws'],
    [
      'KMS elsewhere',
      'a',
      { kms: 'awskms://evil.example/alias/x', aws: { chain: true, region: 'eu-central-1' } },
      'BODY_INVALID',
      '/kms',
    ],
    ['KMS in no region', 'a', { kms: 'alias/x' }, 'BODY_INVALID', '/kms'],
    [
      'KMS in two regions',
      'a',
      { kms: 'arn:aws:kms:eu-central-1:123456789012:key/1', aws: { chain: true, region: 'us-east-1' } },
      'BODY_INVALID',
      '/kms',
    ],
    [
      'half a key of AWS',
      'a',
      { kms: 'alias/x', aws: { accessKeyId: 'A', region: 'us-east-1' } },
      'BODY_INVALID',
      '/aws',
    ],
    ['a huge text', 'a', { key: 'x'.repeat(40_000) }, 'BODY_INVALID', '/key'],
    ['a name that is none', 'A%20b', { key: PRIVATE }, 'REQUEST_INVALID', '/name'],
    ['a field that is none', 'a', { key: PRIVATE, secret: 'pass-word-of-the-key' }, 'BODY_INVALID', '/secret'],
  ]
  test('what is none is refused, not repeated, and not kept', async (t) => {
    const { app, put } = await started(t)
    for (const [what, name, body, code, pointer] of WRONG) {
      const answer = await put(name, body)
      const problem = answer.json<Problem>()
      assert.deepEqual([answer.statusCode, problem.code, problem.errors?.[0]?.pointer], [400, code, pointer], what)
      for (const secret of SECRETS) assert.ok(!answer.body.includes(secret), what)
    }
    assert.deepEqual((await app.inject('/v1/keys')).json<{ items: unknown[] }>().items, [])
  })

  test('who may only read cannot write them', async (t) => {
    const tokensFile = await tokensFileOf(t, { reader: 'registries:read' })
    const { app } = await startApp(t, { tokensFile })
    const headers = { authorization: 'Bearer reader' }
    const got = await app.inject({ url: '/v1/keys', headers })
    const written = await app.inject({ method: 'PUT', url: '/v1/keys/a', headers, payload: { key: PRIVATE } })
    assert.deepEqual([got.statusCode, written.statusCode, (await app.inject('/v1/keys')).statusCode], [200, 403, 401])
  })

  test('a job that names none, or one that cannot do it, is not made', async (t) => {
    const { put, job } = await started(t)
    await put('vendor', { key: OTHER })
    const cases: ReadonlyArray<[kind: string, options: object, status: number, code: string, pointer: string]> = [
      ['pull', { verify: { keyRef: 'none' } }, 422, 'KEY_NOT_FOUND', '/options/verify/keyRef'],
      ['pull', { verify: { keyRef: 'vendor', key: OTHER } }, 400, 'BODY_INVALID', '/options/verify'],
      ['pull', { sign: { keyRef: 'vendor' } }, 400, 'BODY_INVALID', '/options/sign'],
      ['copy', { sign: { keyRef: 'none' } }, 422, 'KEY_NOT_FOUND', '/options/sign/keyRef'],
      ['copy', { sign: { keyRef: 'vendor' } }, 400, 'KEY_INVALID', '/options/sign/keyRef'],
      ['copy', { sign: { key: PRIVATE } }, 400, 'BODY_INVALID', '/options/sign/keyRef'],
    ]
    for (const [kind, options, status, code, pointer] of cases) {
      const answer = await job(kind, options)
      const problem = answer.json<Problem>()
      assert.deepEqual([answer.statusCode, problem.code, problem.errors?.[0]?.pointer], [status, code, pointer])
      assert.ok(!answer.body.includes(SECRETS[0] ?? ''))
      if (code === 'KEY_NOT_FOUND') assert.match(problem.hint ?? '', /GET \/v1\/keys/)
      assert.ok(!/release/.test(answer.body), 'which keys there are is not told')
    }
    assert.equal((await job('pull', { verify: { keyRef: 'vendor' } })).statusCode, 202)
  })

  test('with patterns of tags nothing is signed, and in its own place a package may be', async (t) => {
    const { app, put } = await started(t)
    await put('release', { key: PRIVATE })
    const copy = (source: string, options: object) =>
      app.inject({
        method: 'POST',
        url: '/v1/jobs',
        payload: { kind: 'copy', source, destination: 'oci://registry.example/team', options },
      })
    const sign = { keyRef: 'release' }
    const tagged = await copy('oci://registry.example/team/nemo', { tags: ['*'], sign })
    assert.deepEqual([tagged.statusCode, tagged.json<Problem>().code], [400, 'BODY_INVALID'])
    assert.equal((await copy(REFERENCE, {})).statusCode, 400)
    assert.equal((await copy(REFERENCE, { sign })).statusCode, 202)
  })
})

test('kept keys go from one secret key to the next, and are bound to their names and public halves', async (t) => {
  const jobs = await startJobs(t)
  const [a, b] = [randomBytes(32), randomBytes(32)]
  const recordsOf = (secretKey: Uint8Array | readonly Uint8Array[]) => {
    const records = createKeyRecords({ ...jobs.options, role: 'starting', secretKey })
    defer(t, () => records.close())
    return records
  }
  const [old, turning, fresh] = [recordsOf(a), recordsOf([b, a]), recordsOf(b)]
  const told = { algorithm: 'ECDSA P-256', fingerprint: 'sha256:00', publicKey: PUBLIC, kms: null }
  const before = await old.put('release', { ...told, kind: 'private', secret: { privateKey: PRIVATE } }, undefined)
  await old.put('vendor', { ...told, kind: 'public', secret: null }, undefined)
  assert.deepEqual(await fresh.reseal(), { resealed: 0, older: 1, lost: ['release'] })
  assert.deepEqual(await turning.reseal(), { resealed: 1, older: 0, lost: [] })
  assert.deepEqual(await turning.reseal(), { resealed: 0, older: 0, lost: [] })
  assert.deepEqual(await fresh.open('release'), { record: before, secret: { privateKey: PRIVATE } })
  await assert.rejects(old.open('release'), { code: 'CREDENTIALS_INVALID' })
  await assert.rejects(fresh.open('none'), { code: 'KEY_NOT_FOUND' })
  const text = String(await jobs.raw.hget('{layerd}:keys', 'release'))
  await jobs.raw.hset('{layerd}:keys', 'vendor', text.replace('"release"', '"vendor"'))
  await assert.rejects(fresh.open('vendor'), { code: 'CREDENTIALS_INVALID' })
  await jobs.raw.hset('{layerd}:keys', 'release', text.replace('sha256:00', 'sha256:01'))
  await assert.rejects(fresh.open('release'), { code: 'CREDENTIALS_INVALID' })
})
