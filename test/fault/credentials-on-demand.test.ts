import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { AppError } from '../../src/lib/errors.ts'
import type { RegistryConnections } from '../../src/oci/request/transport.ts'
import { dockerCredentials } from '../../src/oci/credentials/docker-config.ts'
import { createRegistryClient, type RegistryClient } from '../../src/oci/registry.ts'
import { base64, credentialHelper, dockerConfig } from '../helpers/registries/docker-login.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect } from '../helpers/registries/transport.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()
const basic = (login: string) => `Basic ${base64(login)}`
const ASKS = { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }
const MIB = 1024 * 1024

/** A registry that lets everybody read and write `open/...`, and elsewhere only who has this log-in for the namespace. */
async function startRegistry(t: TestContext, logins: Record<string, string>): Promise<MemoryRegistry> {
  const registry = await startMemoryRegistry({
    authorize({ url = '', headers }) {
      const namespace = /^\/v2\/([^/]+)\//.exec(url)?.[1] ?? ''
      if (namespace === 'open' || headers.authorization === basic(logins[namespace] ?? '')) return undefined
      return ASKS
    },
  })
  t.after(() => registry.close())
  return registry
}

interface Caller {
  client: RegistryClient
  /** How often the helper was run. */
  runs(): Promise<number>
}

interface CallerOptions {
  /** Of the helper, behind the line that counts its runs. Default: there is no such program. */
  script?: string
  config?: unknown
  connections?: RegistryConnections
}

/** A caller whose config.json names a helper for everything. */
async function startCaller(t: TestContext, options: CallerOptions = {}): Promise<Caller> {
  const { script, config = { credsStore: 'test' }, connections = connect(t, { clock: createStepClock() }) } = options
  const count = join(await tempDir(t), 'runs')
  const PATH = script === undefined ? '/nowhere' : await credentialHelper(t, `echo run >> ${count}\n${script}`)
  const env = { PATH, DOCKER_CONFIG: await dockerConfig(t, config) }
  const credentials = dockerCredentials({ env })
  return {
    client: createRegistryClient({ connections, credentials, plainHttp: () => true, signal, clock: createStepClock() }),
    runs: async () => (await readFile(count, 'utf8').catch(() => '')).split('\n').length - 1,
  }
}

const answering = (user: string, password: string) => `echo '{"Username":"${user}","Secret":"${password}"}'`

async function publishTo(client: RegistryClient, registry: MemoryRegistry, name: string, seed = 1): Promise<void> {
  const repository = await client.repository(registry.host, name)
  await repository.preparePush({ signal })
  const blob = testBlob(someBytes(MIB, seed))
  assert.equal(await repository.exists(blob.descriptor, { signal }), false)
  await repository.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(registry.blob(name, blob.descriptor.digest), blob.bytes)
}

/** Refusals, but for that of the question whether the port speaks TLS. */
const refused = ({ requests }: MemoryRegistry) =>
  requests.filter(({ status, path }) => status === 401 && path !== '/v2/').length

test('a registry that is open asks nothing of a helper, be it there or not', async (t) => {
  const registry = await startRegistry(t, {})
  await publishTo((await startCaller(t)).client, registry, 'open/one')
  const caller = await startCaller(t, { script: 'exit 1' })
  await publishTo(caller.client, registry, 'open/two')
  assert.equal(await caller.runs(), 0)
})

test('a helper that is missing is told once the registry asks, with file, registry and what to do', async (t) => {
  const registry = await startRegistry(t, { team: 'ann:pw' })
  const { client } = await startCaller(t)
  const repository = await client.repository(registry.host, 'team/app')
  await assert.rejects(repository.preparePush({ signal }), (error: AppError) => {
    assert.deepEqual([error.code, error.retry], ['CREDENTIALS_INVALID', 'permanent'])
    assert.match(error.message, /docker-credential-test, which .*config\.json names, failed: there is no such program/)
    assert.match(error.hint ?? '', /credsStore/)
    const { upstream } = error
    assert.deepEqual([upstream?.registry, upstream?.repository, upstream?.status], [registry.host, 'team/app', 401])
    return true
  })
  assert.equal(refused(registry), 1, 'it is no matter of trying again')
})

test('a helper that fails for a moment is asked again, and then no more', async (t) => {
  const registry = await startRegistry(t, { team: 'ann:pw' })
  const once = join(await tempDir(t), 'once')
  const caller = await startCaller(t, {
    script: `if mkdir ${once}; then echo the agent starts; exit 1; fi\n${answering('ann', 'pw')}`,
  })
  await publishTo(caller.client, registry, 'team/app')
  assert.equal(await caller.runs(), 2)
  assert.equal(refused(registry), 2)
})

test('a helper that fails without end fails the call for now, after its tries', async (t) => {
  const registry = await startRegistry(t, { team: 'ann:pw' })
  const caller = await startCaller(t, { script: 'exit 1' })
  const repository = await caller.client.repository(registry.host, 'team/app')
  await assert.rejects(repository.preparePush({ signal }), { code: 'CREDENTIALS_INVALID', retry: 'transient' })
  assert.equal(await caller.runs(), 8)
})

test('a helper is asked once for all repositories of a caller, and one refusal is all that the log-in costs', async (t) => {
  const registry = await startRegistry(t, { team: 'ann:pw', other: 'ann:pw' })
  const connections = connect(t)
  const script = answering('ann', 'pw')
  const caller = await startCaller(t, { script, connections })
  await publishTo(caller.client, registry, 'team/app')
  assert.equal(refused(registry), 1)
  await Promise.all([1, 2, 3].map((seed) => publishTo(caller.client, registry, `other/app-${seed}`, seed)))
  assert.equal(await caller.runs(), 1)
  const next = await startCaller(t, { script, connections })
  await publishTo(next.client, registry, 'team/app', 7)
  assert.equal(await next.runs(), 1)
  assert.equal(refused(registry), 1, 'the next caller knows that it has to log in')
})

test('many requests that are refused at once ask a helper once', async (t) => {
  const registry = await startRegistry(t, { team: 'ann:pw' })
  const caller = await startCaller(t, { script: `sleep 0.2; ${answering('ann', 'pw')}` })
  const repository = await caller.client.repository(registry.host, 'team/app')
  const { descriptor } = testBlob(someBytes(10))
  const answers = Array.from({ length: 8 }, () => repository.exists(descriptor, { signal }))
  assert.deepEqual(new Set(await Promise.all(answers)), new Set([false]))
  assert.equal(await caller.runs(), 1)
})

test('where a registry is known to ask, who has a broken helper still gets what is open to all', async (t) => {
  const registry = await startRegistry(t, { team: 'ann:pw' })
  const connections = connect(t, { clock: createStepClock() })
  const first = await startCaller(t, { script: answering('ann', 'pw'), connections })
  await publishTo(first.client, registry, 'team/app')
  for (const script of [undefined, 'exit 1']) {
    const caller = await startCaller(t, { ...(script ? { script } : {}), connections })
    await publishTo(caller.client, registry, 'open/app', script ? 2 : 3)
    assert.ok((await caller.runs()) <= 1)
    const repository = await caller.client.repository(registry.host, 'team/app')
    await assert.rejects(repository.preparePush({ signal }), { code: 'CREDENTIALS_INVALID' })
  }
})

test('each repository is shown its own password, and none is mounted from where another one holds', async (t) => {
  const logins = { one: 'ann:of one', two: 'bob:of two' }
  const registry = await startRegistry(t, logins)
  const auths = Object.fromEntries(
    Object.entries(logins).map(([namespace, login]) => [`${registry.host}/${namespace}`, { auth: base64(login) }]),
  )
  const { client } = await startCaller(t, { config: { auths } })
  await publishTo(client, registry, 'one/app')
  await publishTo(client, registry, 'two/app')
  assert.equal(refused(registry), 1, 'only the first caller of all had to be told')
  const repository = await client.repository(registry.host, 'one/next')
  const blob = testBlob(someBytes(2 * MIB, 9))
  const answers: string[] = []
  const mountFrom = ['two/app', 'open/app', 'one/app'].map((name) => ({
    repository: name,
    answered: (answer: string) => void answers.push(`${name} ${answer}`),
  }))
  registry.putBlob('two/app', blob.bytes)
  registry.putBlob('one/app', blob.bytes)
  await repository.push(blob.descriptor, blob.open, { signal, mountFrom })
  assert.deepEqual(answers, ['two/app denied', 'open/app denied', 'one/app mounted'])
  assert.deepEqual(
    registry.requests.filter(({ query }) => query.has('mount')).map(({ query }) => query.get('from')),
    ['one/app'],
  )
})

test('a registry token of config.json is shown once it is asked for', async (t) => {
  const shown: Array<string | undefined> = []
  const registry = await startMemoryRegistry({
    authorize({ url, headers: { authorization } }) {
      if (url !== '/v2/') shown.push(authorization)
      return authorization === 'Bearer ready-made' ? undefined : ASKS
    },
  })
  t.after(() => registry.close())
  const config = { auths: { [registry.host]: { registrytoken: 'ready-made' } } }
  const { client } = await startCaller(t, { config })
  await publishTo(client, registry, 'team/app')
  assert.deepEqual([shown[0], new Set(shown.slice(1))], [undefined, new Set(['Bearer ready-made'])])
})

test('what a helper gave is masked in what the registry repeats of it, by its first use', async (t) => {
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'ann has sent the secret of ann' }] })
  const registry = await startMemoryRegistry({
    authorize: ({ headers }) => (headers.authorization === undefined ? ASKS : { status: 403, body }),
  })
  t.after(() => registry.close())
  const { client } = await startCaller(t, { script: answering('ann', 'the secret of ann') })
  const repository = await client.repository(registry.host, 'team/app')
  await assert.rejects(repository.preparePush({ signal }), (error: AppError) => {
    assert.equal(error.code, 'REGISTRY_DENIED')
    assert.equal(error.upstream?.message, 'ann has sent ***')
    return true
  })
})

test('a helper that fails as a password has run out is asked again', async (t) => {
  const logins: Record<string, string> = { team: 'ann:old' }
  const registry = await startRegistry(t, logins)
  const ran = join(await tempDir(t), 'ran')
  const caller = await startCaller(t, {
    script: `mkdir ${ran} && { ${answering('ann', 'old')}; exit; }; mkdir ${ran}/2 && exit 1; ${answering('ann', 'new')}`,
  })
  await publishTo(caller.client, registry, 'team/app')
  logins.team = 'ann:new'
  await publishTo(caller.client, registry, 'team/app', 2)
  assert.equal(await caller.runs(), 3)
})
