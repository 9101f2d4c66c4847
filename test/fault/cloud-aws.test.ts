import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AwsSecret } from '../../src/content/clouds.ts'
import { cloudsOf, setEnv, toldBy } from '../helpers/clouds/asking.ts'
import { assumedRole, type FakeAws, jsonError, ROLE_KEYS, startFakeAws, stsError } from '../helpers/clouds/fake-aws.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { freePort } from '../helpers/network/ports.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const ID = 'AKIAEXAMPLEEXAMPLE01'
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const KEYS = { accessKeyId: ID, secretAccessKey: SECRET }
const HOST = '123456789012.dkr.ecr.eu-central-1.amazonaws.com'
const OTHER = '123456789013.dkr.ecr.eu-central-1.amazonaws.com'
const ROLE = 'arn:aws:iam::123456789012:role/publisher'
const aws = (more: Partial<AwsSecret> = {}): AwsSecret => ({ kind: 'aws', keys: KEYS, metadata: false, ...more })

async function bed(t: TestContext, more: Record<string, string> = {}) {
  const fake = await startFakeAws(t, { [ID]: SECRET, [ROLE_KEYS.accessKeyId]: ROLE_KEYS.secretAccessKey })
  const home = await tempDir(t)
  const env = {
    AWS_ENDPOINT_URL: fake.url,
    HOME: home,
    AWS_CONFIG_FILE: join(home, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
    ...more,
  }
  setEnv(t, env)
  const ask = cloudsOf(t, { env })
  return { fake, env, home, ask }
}

const basic = (fake: FakeAws, at = -1) => ({ kind: 'basic', username: 'AWS', password: fake.passwords.at(at) })

test("keys get a password of ECR in the region of the registry's name", async (t) => {
  const { fake, ask } = await bed(t)
  assert.partialDeepStrictEqual(await ask(HOST, aws()), basic(fake))
  const [call] = fake.calls
  assert.equal(call?.target, 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken')
  assert.equal(call?.host, fake.host)
  assert.deepEqual([call?.region, call?.service, call?.accessKeyId], ['eu-central-1', 'ecr', ID])
  // Once for all who ask.
  await Promise.all([ask(HOST, aws()), ask(HOST, aws())])
  assert.equal(fake.calls.length, 1)
})

test('all who ask at once are answered by one call', async (t) => {
  const { fake, ask } = await bed(t)
  const found = await Promise.all(Array.from({ length: 8 }, () => ask(HOST, aws())))
  assert.equal(new Set(found.map((one) => JSON.stringify(one))).size, 1)
  assert.equal(fake.calls.length, 1)
})

test('ECR Public is asked in its own region by its own name', async (t) => {
  const { fake, ask } = await bed(t)
  assert.partialDeepStrictEqual(await ask('public.ecr.aws', aws()), basic(fake))
  assert.equal(fake.calls[0]?.target, 'SpencerFrontendService.GetAuthorizationToken')
  assert.deepEqual([fake.calls[0]?.region, fake.calls[0]?.service], ['us-east-1', 'ecr-public'])
})

test('a role is assumed with the keys, and its own keys get the password', async (t) => {
  const { fake, ask } = await bed(t)
  await ask(HOST, aws({ roleArn: ROLE, externalId: 'outside-7' }))
  const [assume, get] = fake.calls
  assert.equal(assume?.action, 'AssumeRole')
  assert.deepEqual([assume?.form.get('RoleArn'), assume?.form.get('ExternalId')], [ROLE, 'outside-7'])
  assert.equal(assume?.region, 'eu-central-1')
  assert.deepEqual([get?.accessKeyId, get?.sessionToken], [ROLE_KEYS.accessKeyId, ROLE_KEYS.sessionToken])
})

test("the machine's own keys are found in environment and profiles, with a session token", async (t) => {
  const { fake, ask, home } = await bed(t)
  const profile = `[default]\naws_access_key_id = ${ID}\naws_secret_access_key = ${SECRET}\naws_session_token = from-file\n`
  await writeFile(join(home, 'credentials'), profile)
  await ask(HOST, aws({ keys: null }))
  assert.deepEqual([fake.calls[0]?.accessKeyId, fake.calls[0]?.sessionToken], [ID, 'from-file'])
  setEnv(t, { AWS_ACCESS_KEY_ID: ID, AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: 'from-env' })
  await ask(OTHER, aws({ keys: null }))
  assert.equal(fake.calls[1]?.sessionToken, 'from-env')
})

test('what a credential_process of a profile gives is used, and what it complains about is not told', async (t) => {
  const { fake, ask, home } = await bed(t)
  const answer = JSON.stringify({ Version: 1, AccessKeyId: ID, SecretAccessKey: SECRET, SessionToken: 'of-a-process' })
  await writeFile(join(home, 'keys.json'), answer)
  await writeFile(join(home, 'config'), `[default]\ncredential_process = cat ${join(home, 'keys.json')}\n`)
  await ask(HOST, aws({ keys: null }))
  assert.equal(fake.calls[0]?.sessionToken, 'of-a-process')
  await writeFile(join(home, 'config'), '[default]\ncredential_process = sh -c "echo my-own-secret >&2; exit 3"\n')
  await assert.rejects(ask(OTHER, aws({ keys: null })), (error: Error) => {
    assert.match(error.message, /credential chain: .*; the credential_process of the profile failed; /)
    assert.ok(!toldBy(error).includes('my-own-secret'), toldBy(error))
    return true
  })
})

test('web identity goes by layerd’s own connections, and its token is not told', async (t) => {
  const { fake, ask, home } = await bed(t)
  const token = join(await mkdtemp(join(home, 'token-')), 'token')
  await writeFile(token, 'web-identity-token-0123456789')
  fake.answerNext(stsError(400, 'ExpiredTokenException', 'Token expired: web-identity-token-0123456789'))
  setEnv(t, { AWS_WEB_IDENTITY_TOKEN_FILE: join(home, 'none'), AWS_ROLE_ARN: ROLE })
  await assert.rejects(ask(HOST, aws({ keys: null })), {
    code: 'CREDENTIALS_INVALID',
    message: /chain answered ENOENT/,
  })
  setEnv(t, { AWS_WEB_IDENTITY_TOKEN_FILE: token })
  await assert.rejects(ask(HOST, aws({ keys: null })), {
    code: 'CREDENTIALS_INVALID',
    message: /ExpiredTokenException: Token expired: \*\*\*$/,
  })
  assert.equal(fake.calls[0]?.form.get('WebIdentityToken'), 'web-identity-token-0123456789')
})

test('metadata addresses are asked only where that is allowed', async (t) => {
  const { fake, ask, home, env } = await bed(t)
  let asked = 0
  const metadata = createServer((request, response) => {
    asked += 1
    if (request.method === 'PUT') response.writeHead(200, { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' }).end('t')
    else if (request.url?.endsWith('/security-credentials/')) response.end('machine')
    else {
      const Expiration = new Date(Date.now() + 3_600_000).toISOString()
      response.end(
        JSON.stringify({ Code: 'Success', AccessKeyId: ID, SecretAccessKey: SECRET, Token: 'imds', Expiration }),
      )
    }
  })
  const url = `http://${await listenOnLoopback(t, metadata)}`
  setEnv(t, { AWS_EC2_METADATA_SERVICE_ENDPOINT: url })
  await assert.rejects(ask(HOST, aws({ keys: null })), {
    code: 'CREDENTIALS_INVALID',
    retry: 'permanent',
    hint: /no keys of AWS.*"metadata": true/,
  })
  await writeFile(join(home, 'config'), `[default]\nrole_arn = ${ROLE}\ncredential_source = Ec2InstanceMetadata\n`)
  await assert.rejects(ask(HOST, aws({ keys: null })), { message: /credential_source/, hint: /"metadata": true/ })
  assert.equal(asked, 0)
  await writeFile(join(home, 'config'), '')
  await ask(HOST, aws({ keys: null, metadata: true }))
  assert.equal(fake.calls.at(-1)?.sessionToken, 'imds')
  const off = cloudsOf(t, { env: { ...env, AWS_EC2_METADATA_DISABLED: 'true' } })
  await assert.rejects(off(HOST, aws({ keys: null, metadata: true })), { hint: /no keys of AWS/ })
})

for (const [name, answer, expected] of [
  [
    'unknown keys',
    jsonError(400, 'UnrecognizedClientException', 'The security token included in the request is invalid.'),
    {
      retry: 'permanent',
      message: /127\.0\.0\.1:\d+ answered 400 UnrecognizedClientException: The security token/,
      hint: /check accessKeyId/,
    },
  ],
  [
    'no right',
    jsonError(400, 'AccessDeniedException', `User: arn:aws:iam::1:user/x is not authorized`),
    { retry: 'permanent', message: /AccessDeniedException/, hint: /ecr:GetAuthorizationToken/ },
  ],
  [
    'a spent session',
    jsonError(400, 'ExpiredTokenException', 'The security token included in the request is expired'),
    { retry: 'permanent', hint: /session token has run out/ },
  ],
  [
    'a failure',
    { status: 503, body: '<html>gateway</html>', headers: { 'content-type': 'text/html' } },
    { retry: 'transient', message: /answered 503/ },
  ],
  [
    'a limit',
    jsonError(400, 'ThrottlingException', 'Rate exceeded'),
    { retry: 'transient', message: /ThrottlingException/ },
  ],
  [
    'no password',
    { status: 200, body: '{"authorizationData":[]}', headers: { 'content-type': 'application/x-amz-json-1.1' } },
    { retry: 'permanent', message: /without a user and a password/ },
  ],
  [
    'a web page',
    { status: 200, body: '<html>log in to the hotel</html>', headers: { 'content-type': 'text/html' } },
    { retry: 'permanent', message: /could not be had: 127/ },
  ],
  [
    'a redirect',
    { status: 307, body: '', headers: { location: 'http://127.0.0.1:9/' } },
    { retry: 'permanent', message: /answered 307/ },
  ],
] as const) {
  test(`${name} of ECR is told in plain words`, async (t) => {
    const { fake, ask } = await bed(t)
    for (let turn = 0; turn < 2; turn += 1) fake.answerNext(answer)
    await assert.rejects(ask(HOST, aws()), { code: 'CREDENTIALS_INVALID', ...expected })
  })
}

test('a role that may not be assumed is told as that', async (t) => {
  const { fake, ask } = await bed(t)
  fake.answerNext(
    stsError(
      403,
      'AccessDenied',
      `User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on resource: ${ROLE}`,
    ),
  )
  await assert.rejects(ask(HOST, aws({ roleArn: ROLE })), {
    code: 'CREDENTIALS_INVALID',
    retry: 'permanent',
    message: /answered 403 AccessDenied: .*sts:AssumeRole/,
    hint: /trust policy/,
  })
})

test('a clock that is an hour wrong is set right by the answer’s', async (t) => {
  const { fake, ask } = await bed(t)
  fake.skewMs = 3_600_000
  assert.equal((await ask(HOST, aws())).kind, 'basic')
  assert.equal(fake.calls.length, 2)
  for (let turn = 0; turn < 2; turn += 1)
    fake.answerNext(jsonError(403, 'InvalidSignatureException', 'Signature expired: 1 is now earlier than 2'))
  await assert.rejects(ask(OTHER, aws()), {
    retry: 'permanent',
    hint: /clock/,
  })
})

test('a service that nobody answers at is tried again', async (t) => {
  const { ask } = await bed(t, { AWS_ENDPOINT_URL: `http://127.0.0.1:${await freePort()}` })
  await assert.rejects(ask(HOST, aws()), {
    code: 'CREDENTIALS_INVALID',
    retry: 'transient',
    message: /password of ECR for 123456789012\.dkr.*refused the connection/,
  })
})

test('an answer is read up to 128 KiB and waited for as long as a token service', async (t) => {
  const { fake, env } = await bed(t)
  fake.answerNext({ status: 200, body: 'x'.repeat(200_000) })
  const ask = cloudsOf(t, { env, connections: { timeouts: { tokenMs: 300 } } })
  await assert.rejects(ask(HOST, aws()), { code: 'CREDENTIALS_INVALID', message: /longer than 131072 bytes/ })
  const silent = await listenOnLoopback(
    t,
    createServer(() => undefined),
  )
  setEnv(t, { AWS_ENDPOINT_URL: `http://${silent}` })
  const named = cloudsOf(t, {
    env: { ...env, AWS_ENDPOINT_URL: `http://${silent}` },
    connections: { timeouts: { tokenMs: 300 } },
  })
  await assert.rejects(named(HOST, aws()), { retry: 'transient', message: /did not answer within 300 ms/ })
})

test('an address of this machine that no variable names is not called', async (t) => {
  const { fake, ask } = await bed(t)
  setEnv(t, { AWS_ENDPOINT_URL: `http://localhost:${fake.host.split(':')[1]}` })
  await assert.rejects(ask(HOST, aws()), { code: 'CREDENTIALS_INVALID', message: /may not be contacted/ })
  assert.equal(fake.calls.length, 0)
})

test('what AWS repeats of the secrets is not told', async (t) => {
  const { fake, ask } = await bed(t)
  const keys = { ...KEYS, sessionToken: 'own-session-token//0123456789' }
  const role = [ROLE_KEYS.secretAccessKey, ROLE_KEYS.sessionToken]
  const echo = (...secrets: string[]) =>
    jsonError(400, 'AccessDeniedException', `Canonical String: ${secrets.join(' ')}`)
  const assertHidden = async (secret: AwsSecret, secrets: readonly string[]) => {
    await assert.rejects(ask(OTHER, secret), (error: Error) => {
      assert.match(error.message, /AccessDeniedException/)
      for (const one of secrets) assert.ok(!toldBy(error).includes(one.slice(0, 12)), toldBy(error))
      return true
    })
  }
  for (const one of [SECRET, keys.sessionToken]) {
    fake.answerNext(echo(one))
    await assertHidden(aws({ keys }), [one])
  }
  for (const one of role) {
    fake.answerNext(assumedRole(ROLE))
    fake.answerNext(echo(one))
    await assertHidden(aws({ roleArn: ROLE }), [one])
  }
})
