import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { Registry } from '../../src/http/schemas/registry.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const SESSION = 'session-token-of-keys//0123456789=='
const ROLE = 'arn:aws:iam::123456789012:role/ci/publisher'
const ECR = '123456789012.dkr.ecr.eu-central-1.amazonaws.com'
const GAR = 'europe-docker.pkg.dev'
const ACR = 'nemo.azurecr.io'
const keys = { accessKeyId: 'AKIAEXAMPLEEXAMPLE01', secretAccessKey: SECRET }
const PEM = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()
const EMAIL = 'publisher@nemo.iam.gserviceaccount.com'
const serviceAccountKey = {
  type: 'service_account',
  private_key_id: 'a1b2',
  private_key: PEM,
  client_email: EMAIL,
  token_uri: 'https://oauth2.googleapis.com/token',
}
const principal = { tenantId: 'nemo.onmicrosoft.com', clientId: '1-2-3', clientSecret: SECRET }

const at = (host: string) => `/v1/registries/${encodeURIComponent(host)}`
const put = ({ app }: TestApp, host: string, payload: object) =>
  app.inject({ method: 'PUT', url: at(host), payload, headers: { 'if-none-match': '*' } })

test('keys of clouds are kept, told by their ids alone, and lie sealed in Redis', async (t) => {
  const bed = await startApp(t)
  const bodies: string[] = []
  for (const [host, credentials, told] of [
    [ECR, { aws: { ...keys, sessionToken: SESSION } }, { kind: 'aws', username: keys.accessKeyId }],
    [
      `2${ECR.slice(1)}`,
      { aws: { ...keys, roleArn: ROLE, externalId: SECRET } },
      { kind: 'aws', username: keys.accessKeyId, roleArn: ROLE },
    ],
    [`3${ECR.slice(1)}`, { aws: { chain: true } }, { kind: 'aws', username: null }],
    [
      `4${ECR.slice(1)}`,
      { aws: { chain: true, metadata: true, roleArn: ROLE } },
      { kind: 'aws', username: null, roleArn: ROLE, metadata: true },
    ],
    ['public.ecr.aws', { aws: keys }, { kind: 'aws', username: keys.accessKeyId }],
    ['mirror.example:5000', { aws: { ...keys, region: 'us-gov-west-1' } }, { kind: 'aws', username: keys.accessKeyId }],
    [GAR, { google: { serviceAccountKey } }, { kind: 'google', username: EMAIL }],
    [
      'gcr.io',
      { google: { serviceAccountKey: JSON.stringify(serviceAccountKey) } },
      { kind: 'google', username: EMAIL },
    ],
    [ACR, { azure: principal }, { kind: 'azure', username: '1-2-3' }],
    ['other.azurecr.io', { azure: { refreshToken: SECRET } }, { kind: 'azure', username: null }],
  ] as const) {
    const made = await put(bed, host, { credentials })
    assert.equal(made.statusCode, 201, made.body)
    const read = await bed.app.inject(at(host))
    assert.deepEqual(read.json<Registry>().credentials, told)
    bodies.push(made.body, read.body)
  }
  const list = await bed.app.inject('/v1/registries')
  const written = JSON.stringify(await bed.jobs.raw.hgetall('{layerd}:registries'))
  assert.match(written, /publisher@nemo/)
  for (const text of [...bodies, list.body, written]) {
    for (const secret of [SECRET, SESSION, PEM.slice(60, 90)]) assert.ok(!text.includes(secret), text)
  }
})

test('a key that cannot be used is refused, and nothing is kept or repeated', async (t) => {
  const bed = await startApp(t)
  for (const [host, payload, says] of [
    ['evil.example', { credentials: { aws: { chain: true, region: 'us-east-1' } } }, /names of ECR alone/],
    [ECR, { credentials: { aws: { ...keys, metadata: true } } }, /with chain alone/],
    [GAR, { credentials: { google: { serviceAccountKey: `{"private_key":"${SECRET}"}` } } }, /no JSON of a service/],
    [ECR, { credentials: { aws: { ...keys, secretAccessKey: 7 } } }, /secretAccessKey/],
    [ACR, { credentials: { azure: { ...principal, more: SECRET } } }, /BODY_INVALID/],
  ] as const) {
    const answer = await put(bed, host, payload)
    assert.equal(answer.statusCode, 400, answer.body)
    assert.match(answer.body, says)
    assert.ok(!answer.body.includes(SECRET))
  }
  assert.deepEqual(await bed.registries.list(), [])
})
