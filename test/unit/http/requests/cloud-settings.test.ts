import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { pathSettings } from '../../../../src/http/requests/path-settings.ts'
import { registrySettings } from '../../../../src/http/requests/registry-settings.ts'
import { createCertificate } from '../../../helpers/network/certificate.ts'
import { AppError } from '../../../../src/lib/errors.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
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

for (const [name, host, credentials, pointer, says] of [
  ['half of a key', ECR, { aws: { accessKeyId: 'AKIA1' } }, '/credentials/aws', /secretAccessKey/],
  ['keys and the machine’s own', ECR, { aws: { ...keys, chain: true } }, '/credentials/aws', /or chain: true/],
  ['nothing of AWS', ECR, { aws: {} }, '/credentials/aws', /or chain: true/],
  [
    'the machine’s own keys for a name that is not AWS’s',
    'evil.example',
    { aws: { chain: true, region: 'us-east-1' } },
    '/credentials/aws',
    /names of ECR alone/,
  ],
  [
    'the machine’s own keys for a name that ends otherwise',
    `${ECR}.evil.example`,
    { aws: { chain: true, region: 'us-east-1' } },
    '/credentials/aws',
    /names of ECR alone/,
  ],
  [
    'the machine’s own keys for another port',
    `${ECR}:5000`,
    { aws: { chain: true, region: 'us-east-1' } },
    '/credentials/aws',
    /names of ECR alone/,
  ],
  ['metadata with keys', ECR, { aws: { ...keys, metadata: true } }, '/credentials/aws', /with chain alone/],
  ['a name without a region', 'mirror.example', { aws: keys }, '/credentials/aws', /need region/],
  [
    'a region that leads elsewhere',
    'mirror.example',
    { aws: { ...keys, region: 'evil.example/x?' } },
    '/credentials/aws',
    /region is none/,
  ],
  [
    'another region than the name’s',
    ECR,
    { aws: { ...keys, region: 'us-east-1' } },
    '/credentials/aws',
    /come from eu-central-1/,
  ],
  [
    'a role that is none',
    ECR,
    { aws: { ...keys, roleArn: 'arn:aws:iam::1:user/x' } },
    '/credentials/aws',
    /no ARN of a role/,
  ],
  [
    'an external id without a role',
    ECR,
    { aws: { ...keys, externalId: 'x' } },
    '/credentials/aws',
    /with roleArn alone/,
  ],
  [
    'a session token with a line end',
    ECR,
    { aws: { ...keys, sessionToken: 'a\nb' } },
    '/credentials/aws',
    /sessionToken/,
  ],
  [
    'a key that is no JSON',
    GAR,
    { google: { serviceAccountKey: '-----BEGIN' } },
    '/credentials/google',
    /no JSON of a service account/,
  ],
  [
    'a key of another kind',
    GAR,
    { google: { serviceAccountKey: { ...serviceAccountKey, type: 'authorized_user' } } },
    '/credentials/google',
    /no JSON of a service account/,
  ],
  [
    'a key without a private one',
    GAR,
    { google: { serviceAccountKey: { ...serviceAccountKey, private_key: 'x' } } },
    '/credentials/google',
    /no RSA key/,
  ],
  [
    'a token service that is none of Google’s',
    GAR,
    { google: { serviceAccountKey: { ...serviceAccountKey, token_uri: 'https://evil.example/token' } } },
    '/credentials/google',
    /none of Google's/,
  ],
  [
    'a token service of this machine',
    GAR,
    { google: { serviceAccountKey: { ...serviceAccountKey, token_uri: 'http://127.0.0.1:80/' } } },
    '/credentials/google',
    /none of Google's/,
  ],
  [
    'half of a principal',
    ACR,
    { azure: { tenantId: 'x', clientId: 'y' } },
    '/credentials/azure',
    /tenantId, clientId and clientSecret/,
  ],
  [
    'a tenant that leads elsewhere',
    ACR,
    { azure: { ...principal, tenantId: '../x' } },
    '/credentials/azure',
    /tenantId/,
  ],
  ['two kinds', ACR, { azure: principal, username: 'x', password: SECRET }, '/credentials', /none or several/],
  ['a username beside a cloud', ACR, { azure: principal, username: 'x' }, '/credentials', /no username/],
] as const) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => registrySettings({ credentials }, host),
      (error: Error) => {
        assert.ok(error instanceof AppError)
        assert.equal(error.code, 'BODY_INVALID')
        assert.match(error.message, says)
        assert.equal(error.details?.['pointer'], pointer)
        for (const secret of [SECRET, PEM.slice(60, 90)]) assert.ok(!error.message.includes(secret))
        return true
      },
    )
  })
}

test("the machine's own keys go with TLS, and past nobody that was chosen with them", () => {
  const credentials = { aws: { chain: true } }
  const ca = createCertificate().certPem
  for (const way of [
    { plainHttp: true },
    { ca },
    { proxy: 'http://proxy.example:3128' },
    { mirror: 'other.example' },
  ]) {
    assert.throws(() => registrySettings({ credentials, ...way }, ECR), {
      code: 'BODY_INVALID',
      message: new RegExp(`common way alone, and ${Object.keys(way).join('')} is set`),
    })
  }
  assert.equal(registrySettings({ credentials, proxy: 'direct' }, ECR).secret?.kind, 'aws')
  assert.equal(registrySettings({ credentials }, ECR).secret?.kind, 'aws')
})

test("the machine's own keys are for a registry, not for a path of one", () => {
  const chain = { credentials: { aws: { chain: true } } }

  assert.equal(registrySettings(chain, ECR).secret?.kind, 'aws')
  assert.throws(() => pathSettings(chain, { registry: ECR, path: 'team' }), {
    code: 'BODY_INVALID',
    details: { pointer: '/credentials/aws/chain' },
  })
})
