import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { loadConfig } from '../../src/config/config.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import type { RegistrySettings } from '../../src/jobs/model/registry-record.ts'
import { createRegistryRecords } from '../../src/jobs/registries/registry-records.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import type { RoleContext } from '../../src/roles/context.ts'
import { outboundPolicy, processRegistries } from '../../src/roles/registry-clients.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const OUTSIDE = 'outside.example:5000'
const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`
const kept = (password: string, more: Partial<RegistrySettings> = {}): RegistrySettings => ({
  plainHttp: false,
  repositories: null,
  secret: { kind: 'basic', username: 'kept', password },
  ...more,
})

/** A daemon's registries, all of which are one server that wants a password and takes none; what it was shown. */
async function daemon(t: TestContext, settings: Record<string, string> = {}) {
  const shown = new Set<string>()
  const server = createServer((request, response) => {
    if (request.headers.authorization !== undefined) shown.add(request.headers.authorization)
    response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end()
  })
  const tap = await listenOnLoopback(t, server)
  const redis = await startRedis(t)
  const folder = await tempDir(t)
  const auths = { [tap]: { auth: Buffer.from('docker:secret').toString('base64') } }
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { ...auths, [OUTSIDE]: auths[tap] } }))
  const env = { DOCKER_CONFIG: folder, HTTP_PROXY: `http://${tap}`, ...settings }
  const context = { config: loadConfig(env), env, version: '1.2.3', logger: silentLogger } as unknown as RoleContext
  const options = { redis: { socketPath: redis.socketPath }, role: 'starting', secretKey: randomBytes(32) } as const
  const [writer, records] = [createRegistryRecords(options), createRegistryRecords(options)]
  t.after(() => [writer, records].forEach((one) => one.close()))
  const policy = outboundPolicy(context, 'api', records)
  const { clientFor } = processRegistries(context, { policy, records })
  const { signal } = new AbortController()
  return {
    tap,
    shown,
    writer,
    records,
    policy,
    clientFor,
    /** What a publish to the repository shows. */
    shows: async (repository: string, access: { given?: string; plainHttp?: boolean; registry?: string } = {}) => {
      const { given, plainHttp = false, registry = tap } = access
      shown.clear()
      const credentials = given === undefined ? undefined : { registry, username: 'given', password: given }
      const client = clientFor({ credentials, plainHttp, signal })
      const opened = await client.repository(registry, repository)
      await assert.rejects(opened.preparePush({ signal }), { code: /^REGISTRY_/ })
      return [...shown]
    },
  }
}

test("a caller's credentials come before those that are kept, and these before Docker's", async (t) => {
  const { tap, shows, writer } = await daemon(t)
  assert.deepEqual(await shows('team/nemo'), [basic('docker:secret')])
  await writer.put(tap, kept('secret'), undefined)
  // Another process wrote it, and what comes next knows it.
  assert.deepEqual(await shows('team/nemo'), [basic('kept:secret')])
  assert.deepEqual(await shows('team/nemo', { given: 'secret' }), [basic('given:secret')])
  await writer.put(tap, kept('newer'), await writer.get(tap))
  assert.deepEqual(await shows('team/nemo'), [basic('kept:newer')])
  const seen = await writer.get(tap)
  assert.ok(seen)
  await writer.remove(tap, seen)
  assert.deepEqual(await shows('team/nemo'), [basic('docker:secret')])
})

test('kept credentials are shown for the repositories that they are kept for alone', async (t) => {
  const { tap, shows, writer } = await daemon(t)
  await writer.put(tap, kept('secret', { repositories: ['team/*', 'other/**'] }), undefined)
  for (const repository of ['team/nemo', 'other/a/b']) {
    assert.deepEqual(await shows(repository), [basic('kept:secret')], repository)
  }
  for (const repository of ['team/a/b', 'teams/nemo', 'other']) {
    assert.deepEqual(await shows(repository), [basic('docker:secret')], repository)
  }
})

test('the longest path that begins a repository wins, and the registry is behind them all', async (t) => {
  const { tap, shows, writer } = await daemon(t)
  await writer.put(`${tap}/team-a/deep`, kept('deep'), undefined)
  await writer.put(`${tap}/team-a`, kept('team'), undefined)
  for (const [repository, expected] of [
    ['team-a/deep/nemo', 'kept:deep'],
    ['team-a/deep', 'kept:deep'],
    ['team-a/deeper/nemo', 'kept:team'],
    ['team-a', 'kept:team'],
    ['team-ab/nemo', 'docker:secret'],
    ['nemo', 'docker:secret'],
  ] as const) {
    assert.deepEqual(await shows(repository), [basic(expected)], repository)
  }
  await writer.put(tap, kept('all'), undefined)
  assert.deepEqual(await shows('nemo'), [basic('kept:all')])
  assert.deepEqual(await shows('team-a/nemo'), [basic('kept:team')])
  // Those of a path that are for some of it alone leave the rest to nobody else's.
  const seen = await writer.get(`${tap}/team-a`)
  await writer.put(`${tap}/team-a`, kept('team', { repositories: ['team-a/x'] }), seen)
  assert.deepEqual(await shows('team-a/x'), [basic('kept:team')])
  assert.deepEqual(await shows('team-a/nemo'), [basic('docker:secret')])
})

test('credentials of a path go the way that the registry had as they were given, or not at all', async (t) => {
  const { shows, writer } = await daemon(t)
  const there = { registry: OUTSIDE }
  const none = { plainHttp: true, repositories: null, secret: null }
  await writer.put(`${OUTSIDE}/team`, kept('for-tls'), undefined)
  await writer.put(OUTSIDE, none, undefined)
  assert.deepEqual(await shows('team/nemo', there), [])
  await assert.rejects(
    writer.put(`${OUTSIDE}/team`, { ...kept('x'), secret: undefined }, await writer.get(`${OUTSIDE}/team`)),
    { code: 'BODY_INVALID' },
  )
  await writer.put(`${OUTSIDE}/team`, kept('in-clear'), await writer.get(`${OUTSIDE}/team`))
  assert.deepEqual(await shows('team/nemo', there), [basic('kept:in-clear')])
})

test("they go in clear where they were kept for that, and Docker's and a caller's word change nothing of it", async (t) => {
  const { shows, writer } = await daemon(t)
  const there = { registry: OUTSIDE }
  await writer.put(OUTSIDE, kept('secret'), undefined)
  // The caller asks for plain HTTP, and the credentials were kept for TLS.
  assert.deepEqual(await shows('team/nemo', { ...there, plainHttp: true }), [])
  await writer.put(OUTSIDE, kept('secret', { plainHttp: true }), await writer.get(OUTSIDE))
  assert.deepEqual(await shows('team/nemo', there), [basic('kept:secret')])
  // Whoever keeps a registry may not have Docker's password sent in clear.
  await writer.put(OUTSIDE, { plainHttp: true, repositories: null, secret: null }, await writer.get(OUTSIDE))
  assert.deepEqual(await shows('team/nemo', there), [])
})

test('what is kept for TLS is not shown by a job that began while plain HTTP was kept', async (t) => {
  const { clientFor, writer, shown } = await daemon(t)
  await writer.put(OUTSIDE, kept('old', { plainHttp: true }), undefined)
  const { signal } = new AbortController()
  const client = clientFor({ credentials: undefined, plainHttp: false, signal })
  const opened = await client.repository(OUTSIDE, 'team/nemo')
  await writer.put(OUTSIDE, kept('new-for-tls'), await writer.get(OUTSIDE))
  await assert.rejects(opened.preparePush({ signal }), { code: 'REGISTRY_UNAUTHORIZED' })
  assert.deepEqual([...shown], [basic('kept:old')])
})

test('a registry that is kept may be in a private network, for as long as it is', async (t) => {
  const { policy, records, writer } = await daemon(t, { LAYERD_DENY_PRIVATE: 'true' })
  const inner = '10.1.2.3:5000'
  assert.throws(() => policy.check(inner), { code: 'REGISTRY_NOT_ALLOWED' })
  await writer.put(inner, kept('secret'), undefined)
  await records.refresh()
  assert.equal(policy.reach(inner), 2)
  const seen = await writer.get(inner)
  assert.ok(seen)
  await writer.remove(inner, seen)
  await records.refresh()
  assert.throws(() => policy.check(inner), { code: 'REGISTRY_NOT_ALLOWED' })
  // Who keeps a path names its registry too.
  await writer.put(`${inner}/team`, kept('secret'), undefined)
  await records.refresh()
  assert.equal(policy.reach(inner), 2)
})

test('a daemon publishes with kept credentials, which stand in no answer, log or Redis', async (t) => {
  const password = 'Kept-pa55word-of-ann'
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'ann', password } })
  const redis = await startRedis(t, { tcp: true })
  const layerd = await startLayerd(t, {
    dataDir: await tempDir(t),
    env: {
      LAYERD_REDIS_URL: redis.url,
      LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64),
      LAYERD_LOG_LEVEL: 'trace',
      LAYERD_WORKERS: '1',
      DOCKER_CONFIG: await tempDir(t),
    },
  })
  const api = await readyUrl(layerd)
  const told: string[] = []
  const call = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await answer.text()
    told.push(text, JSON.stringify([...answer.headers]))
    return { status: answer.status, text }
  }
  const publish = async (): Promise<Job> => {
    const destination = `oci://${registry.host}/team`
    const { text } = await call('POST', '/v1/jobs', {
      kind: 'publish',
      source: `file:${FIXTURES.nemoAmd64}`,
      destination,
    })
    const ended = await endedOver(api, (JSON.parse(text) as Job).id)
    for (const part of ['', '/events', '/logs']) await call('GET', `/v1/jobs/${ended.id}${part}`)
    return ended
  }
  const path = `/v1/registries/${encodeURIComponent(registry.host)}`
  const wrong = await call('PUT', path, { credentials: { username: 'ann', password: `${password}-no` } })
  assert.equal(wrong.status, 201, wrong.text)
  assert.equal((await publish()).error?.code, 'REGISTRY_UNAUTHORIZED')
  const right = await call('PUT', path, { credentials: { username: 'ann', password } }, { 'if-match': '*' })
  assert.equal(right.status, 200, right.text)
  const ping = await call('POST', `${path}/ping`, { repository: 'team/nemo' })
  assert.match(ping.text, /lets the user \\"ann\\" in; credentials: \/v1\/registries\//)
  assert.equal((await publish()).state, 'succeeded')
  await call('GET', '/v1/registries')
  assert.equal((await call('DELETE', path, undefined, { 'if-match': '*' })).status, 204)
  assert.equal((await publish()).error?.code, 'REGISTRY_UNAUTHORIZED')

  const entries = await readdir(dirname(redis.socketPath), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((file) => join(file.parentPath, file.name))
  const written = (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n')
  assert.ok(written.includes(registry.host))
  const header = Buffer.from(`ann:${password}`).toString('base64')
  for (const text of [...told, layerd.output(), written]) {
    for (const secret of [
      password,
      header,
      header.slice(0, 20),
      Buffer.from(password).toString('base64').slice(0, 20),
    ]) {
      const found = text.indexOf(secret)
      assert.equal(found, -1, text.slice(Math.max(0, found - 200), found + 40))
    }
  }
})
