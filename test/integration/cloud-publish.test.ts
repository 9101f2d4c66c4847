import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { type FakeAws, jsonError, ROLE_KEYS, startFakeAws, stsError } from '../helpers/clouds/fake-aws.ts'
import { ENTRA, EXCHANGE, startFakeAzure } from '../helpers/clouds/fake-azure.ts'
import { startFakeGoogle } from '../helpers/clouds/fake-google.ts'
import { defer } from '../helpers/cleanup.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { startTlsFront } from '../helpers/network/tls-front.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import type { FaultMatch } from '../helpers/registries/kit/faults.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ID = 'AKIAEXAMPLEEXAMPLE01'
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const HOST = '123456789012.dkr.ecr.eu-central-1.amazonaws.com'
const ROLE = 'arn:aws:iam::123456789012:role/publisher'

interface Registry {
  readonly registry: MemoryRegistry
  /** What was shown and not taken. */
  readonly refused: string[]
  /** The passwords that were given out so far are of no use any more. */
  readonly expire: () => void
}

/** A registry of ECR: takes passwords that were given out for it, and tells those that ran out. registries.md 20, ECR. */
async function startEcr(t: TestContext, passwords: readonly string[], user = 'AWS'): Promise<Registry> {
  const refused: string[] = []
  let spent = 0
  const registry = await startMemoryRegistry({
    locations: 'relative',
    authorize({ headers, method }) {
      const { authorization } = headers
      const at = passwords.findIndex(
        (password) => authorization === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      )
      if (at >= spent) return undefined
      const challenge = { 'www-authenticate': `Basic realm="https://${HOST}/",service="ecr.amazonaws.com"` }
      if (authorization === undefined || at === -1) return { status: 401, headers: challenge, body: 'Not Authorized' }
      refused.push(String(method))
      return { status: 403, body: method === 'HEAD' ? '' : SPENT }
    },
  })
  defer(t, () => registry.close())
  return { registry, refused, expire: () => void (spent = passwords.length) }
}

const SPENT = JSON.stringify({
  errors: [{ code: 'DENIED', message: 'Your authorization token has expired. Reauthenticate and try again.' }],
})

async function startDaemon(t: TestContext, env: Record<string, string>) {
  const redis = await startRedis(t, { tcp: true })
  const home = await tempDir(t)
  const layerd = await startLayerd(t, {
    dataDir: await tempDir(t),
    env: {
      LAYERD_REDIS_URL: redis.url,
      LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64),
      LAYERD_LOG_LEVEL: 'trace',
      LAYERD_WORKERS: '1',
      DOCKER_CONFIG: home,
      HOME: home,
      AWS_CONFIG_FILE: join(home, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
      NO_PROXY: '127.0.0.1',
      ...env,
    },
  })
  const api = await readyUrl(layerd)
  const told: string[] = []
  const call = async (method: string, path: string, body?: object) => {
    const headers = {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(method === 'PUT' ? { 'if-match': '*' } : {}),
    }
    const answer = await fetch(`${api}${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    const text = await answer.text()
    told.push(text, JSON.stringify([...answer.headers]))
    return { status: answer.status, text }
  }
  return {
    layerd,
    told,
    call,
    async keep(host: string, credentials: object): Promise<void> {
      const path = `/v1/registries/${encodeURIComponent(host)}`
      await call('DELETE', path)
      const headers = { 'content-type': 'application/json', 'if-none-match': '*' }
      const kept = await call('GET', path)
      if (kept.status === 200) assert.equal((await call('PUT', path, { credentials })).status, 200)
      else {
        const made = await fetch(`${api}${path}`, { method: 'PUT', headers, body: JSON.stringify({ credentials }) })
        const text = await made.text()
        told.push(text)
        assert.equal(made.status, 201, text)
      }
    },
    async cli(argv: readonly string[], input: string) {
      const { terminal, out, err } = pipeTerminal(api)
      const stdin = (async function* () {
        yield input
      })()
      const exit = await runCommand(argv, { ...terminal, stdin })
      const said = { out: out(), err: err() }
      told.push(said.out, said.err)
      return { exit, ...said }
    },
    submit: async (host: string): Promise<Job> => {
      const body = {
        kind: 'publish',
        source: `file:${FIXTURES.nemoAmd64}`,
        destination: `oci://${host}/team`,
        options: { trace: true },
      }
      return JSON.parse((await call('POST', '/v1/jobs', body)).text) as Job
    },
    /** The job's end, with all that is told of it. */
    async ended(id: string): Promise<Job> {
      const job = await endedOver(api, id)
      for (const part of ['', '/events', '/logs', '/transfers', '/trace.har'])
        await call('GET', `/v1/jobs/${id}${part}`)
      return job
    },
    written: async (): Promise<string> => {
      const entries = await readdir(dirname(redis.socketPath), { recursive: true, withFileTypes: true })
      const files = entries.filter((entry) => entry.isFile()).map((file) => join(file.parentPath, file.name))
      return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n')
    },
    waitsFor: (id: string, reason: RegExp): Promise<Job> =>
      waitFor(`job ${id} to wait`, async () => {
        const job = JSON.parse((await call('GET', `/v1/jobs/${id}`)).text) as Job
        return reason.test(job.progress.reason ?? '') ? job : undefined
      }),
  }
}

const names = (fake: FakeAws) => fake.calls.map(({ host, action }) => `${action} ${host}`)

test("a daemon publishes to ECR with the machine's own keys, by AWS's own names, a proxy and a CA", async (t) => {
  const aws = await startFakeAws(t, { [ID]: SECRET, [ROLE_KEYS.accessKeyId]: ROLE_KEYS.secretAccessKey })
  const { registry, refused, expire } = await startEcr(t, aws.passwords)
  const [sts, ecr] = ['sts.eu-central-1.amazonaws.com', 'api.ecr.eu-central-1.amazonaws.com']
  const certificate = createCertificate([HOST, sts, ecr])
  const ca = join(await tempDir(t), 'ca.pem')
  await writeFile(ca, certificate.certPem)
  const fronts = {
    cloud: await startTlsFront(t, aws.host, certificate),
    registry: await startTlsFront(t, registry.host, certificate),
  }
  const proxy = await startConnectProxy(t, (asked) => (asked.startsWith(HOST) ? fronts.registry : fronts.cloud))
  const daemon = await startDaemon(t, {
    HTTPS_PROXY: `http://${proxy.host}`,
    SSL_CERT_FILE: ca,
    AWS_ACCESS_KEY_ID: ID,
    AWS_SECRET_ACCESS_KEY: SECRET,
  })
  await daemon.keep(HOST, { aws: { chain: true, roleArn: ROLE } })
  const first = await daemon.ended((await daemon.submit(HOST)).id)
  assert.equal(first.state, 'succeeded', JSON.stringify(first.error))
  assert.deepEqual(names(aws), [`AssumeRole ${sts}`, `GetAuthorizationToken ${ecr}`])
  assert.ok(proxy.tunnels.includes(`${sts}:443`) && proxy.tunnels.includes(`${ecr}:443`))
  const second = await daemon.ended((await daemon.submit(HOST)).id)
  assert.equal(second.state, 'succeeded', JSON.stringify(second.error))
  assert.equal(aws.passwords.length, 1, 'one password serves all jobs of a process')
  assert.deepEqual(refused, [])

  expire()
  const third = await daemon.ended((await daemon.submit(HOST)).id)
  assert.equal(third.state, 'succeeded', JSON.stringify(third.error))
  assert.ok(refused.length > 0)
  assert.equal(aws.passwords.length, 2)
  const ping = await daemon.call('POST', `/v1/registries/${HOST}/ping`, { repository: 'team/nemo' })
  assert.match(ping.text, /lets the user \\"AWS\\" in/)
})

test('a password that runs out in the midst of a publish is renewed, and the job goes on', async (t) => {
  const aws = await startFakeAws(t, { [ID]: SECRET })
  const { registry, refused, expire } = await startEcr(t, aws.passwords)
  const daemon = await startDaemon(t, { AWS_ENDPOINT_URL_ECR: aws.url })
  await daemon.keep(registry.host, { aws: { accessKeyId: ID, secretAccessKey: SECRET, region: 'eu-central-1' } })
  const runsOutAt = async (match: FaultMatch) => {
    const held = Promise.withResolvers<void>()
    registry.fail(match, { kind: 'hold', until: held.promise })
    const job = await daemon.submit(registry.host)
    await waitFor('the request', () =>
      registry.requests.some(({ method, path }) => method === match.method && match.path?.test(path)),
    )
    expire()
    held.resolve()
    const ended = await daemon.ended(job.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  }
  await runsOutAt({ method: 'PUT', path: /manifests/ })
  assert.equal(aws.passwords.length, 2)
  assert.deepEqual(refused, ['PUT'])
})

test('no secret of a cloud stands in an answer, event, log, trace or Redis, whatever fails', async (t) => {
  const aws = await startFakeAws(t, { [ID]: SECRET, [ROLE_KEYS.accessKeyId]: ROLE_KEYS.secretAccessKey })
  const google = await startFakeGoogle(t)
  const azure = await startFakeAzure(t)
  const { registry: ecr } = await startEcr(t, aws.passwords)
  const { registry: gar } = await startEcr(t, google.tokens, 'oauth2accesstoken')
  const daemon = await startDaemon(t, { AWS_ENDPOINT_URL: aws.url, AZURE_AUTHORITY_HOST: azure.authority })
  const session = 'session-token-of-keys//0123456789-abcdefgh=='
  const keys = { accessKeyId: ID, secretAccessKey: SECRET, region: 'eu-central-1' }
  const entraToken = `eyJ0eXAiOiJKV1QifQ.${'e'.repeat(40)}.entra`
  const { clientSecret, ...principal } = azure.principal
  const azureKeys = { tenantId: principal.tenantId, clientId: principal.clientId, clientSecret }
  const echo = (...secrets: string[]) => `The canonical string was: ${secrets.join(' | ')}`
  const cases: Array<readonly [string, string, object, () => void, RegExp | undefined]> = [
    [
      'keys that AWS knows not',
      ecr.host,
      { aws: { ...keys, sessionToken: session } },
      () => aws.answerNext(jsonError(400, 'UnrecognizedClientException', echo(SECRET, session))),
      /UnrecognizedClientException/,
    ],
    [
      'a role that may not be assumed',
      ecr.host,
      { aws: { ...keys, roleArn: ROLE } },
      () => aws.answerNext(stsError(403, 'AccessDenied', echo(SECRET))),
      /AccessDenied/,
    ],
    [
      'a role without the right',
      ecr.host,
      { aws: { ...keys, roleArn: ROLE } },
      () => {
        aws.keys.delete(ROLE_KEYS.accessKeyId)
      },
      /UnrecognizedClientException/,
    ],
    ['AWS', ecr.host, { aws: keys }, () => undefined, undefined],
    [
      'a key that was deleted',
      gar.host,
      { google: { serviceAccountKey: google.key } },
      () =>
        google.answerNext(
          400,
          JSON.stringify({ error: 'invalid_grant', error_description: echo(google.secret.privateKey) }),
        ),
      /invalid_grant/,
    ],
    ['Google', gar.host, { google: { serviceAccountKey: google.key } }, () => undefined, undefined],
    [
      'a wrong client secret',
      azure.registry,
      { azure: azureKeys },
      () =>
        azure.answerNext(ENTRA, {
          status: 401,
          body: JSON.stringify({ error: 'invalid_client', error_description: echo(clientSecret) }),
        }),
      /invalid_client/,
    ],
    [
      'an exchange that is refused',
      azure.registry,
      { azure: azureKeys },
      () =>
        azure.answerNext(EXCHANGE, {
          status: 403,
          body: JSON.stringify({ errors: [{ code: 'DENIED', message: echo(entraToken) }] }),
        }),
      /DENIED/,
    ],
    // This registry lets in, and stores nothing.
    ['Azure', azure.registry, { azure: azureKeys }, () => undefined, /REGISTRY_/],
    [
      'a token service that refuses',
      azure.registry,
      { azure: { refreshToken: `${session}-of-azure` } },
      () => undefined,
      /401/,
    ],
  ]
  for (const [name, host, credentials, prepare, says] of cases) {
    await daemon.keep(host, credentials)
    prepare()
    const job = await daemon.ended((await daemon.submit(host)).id)
    if (says === undefined) assert.equal(job.state, 'succeeded', `${name}: ${JSON.stringify(job.error)}`)
    else {
      assert.equal(job.state, 'failed', name)
      assert.match(`${job.error?.code} ${job.error?.detail}`, says, name)
    }
    prepare()
    const ping = await daemon.call('POST', `/v1/registries/${encodeURIComponent(host)}/ping`, {})
    if (says?.source.startsWith('REGISTRY')) continue
    if (says) assert.match(ping.text, says, name)
    else assert.match(ping.text, /"ok":true/, name)
  }
  const key = JSON.stringify(google.key)
  const login = ['login', gar.host, '--kind', 'google']
  google.answerNext(400, JSON.stringify({ error: 'invalid_grant', error_description: echo(key) }))
  const wrong = await daemon.cli(login, key)
  assert.equal(wrong.exit, 1)
  assert.match(wrong.err, /invalid_grant/)
  assert.match(wrong.err, /they are kept all the same/)
  const right = await daemon.cli(login, key)
  assert.deepEqual([right.exit, right.err], [0, ''])
  const pem = google.secret.privateKey
  const secrets = [
    SECRET,
    session,
    ROLE_KEYS.secretAccessKey,
    ROLE_KEYS.sessionToken,
    clientSecret,
    entraToken,
    pem.slice(60, 90),
    pem.slice(200, 230),
    ...aws.passwords,
    ...google.tokens,
    ...azure.refreshTokens,
    'acr-access-token',
  ]
  assert.ok(aws.passwords.length > 0 && google.tokens.length > 0 && azure.refreshTokens.length > 0)
  const written = await daemon.written()
  assert.ok(written.includes(ecr.host))
  for (const text of [...daemon.told, daemon.layerd.output(), written]) {
    for (const secret of secrets.flatMap((one) => [
      one,
      one.slice(0, 16),
      Buffer.from(one).toString('base64').slice(0, 20),
      encodeURIComponent(one),
    ])) {
      const found = text.indexOf(secret)
      assert.equal(found, -1, text.slice(Math.max(0, found - 200), found + 40))
    }
  }
})
