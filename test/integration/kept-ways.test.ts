import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { loadConfig } from '../../src/config/config.ts'
import type { RegistrySettings } from '../../src/jobs/model/registry-record.ts'
import { COMMON_WAY, type WaySettings } from '../../src/jobs/model/registry-way.ts'
import { createRegistryRecords } from '../../src/jobs/registries/registry-records.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import type { RoleContext } from '../../src/roles/context.ts'
import { outboundPolicy, processRegistries } from '../../src/roles/registry-clients.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { startTlsServer } from '../helpers/network/tls-registry.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** Whose password is shown on a way that somebody keeps for a registry. */

const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`
const kept = (password: string | null, way: Partial<WaySettings>): RegistrySettings => ({
  plainHttp: false,
  repositories: null,
  secret: password === null ? null : { kind: 'basic', username: 'kept', password },
  way: { ...COMMON_WAY, clientCertificate: null, ...way },
})

async function daemon(t: TestContext, hosts: readonly string[]) {
  const redis = await startRedis(t)
  const folder = await tempDir(t)
  const auth = Buffer.from('docker:secret').toString('base64')
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({ auths: Object.fromEntries(hosts.map((host) => [host, { auth }])) }),
  )
  const env = { DOCKER_CONFIG: folder }
  const context = { config: loadConfig(env), env, version: '1.2.3', logger: silentLogger } as unknown as RoleContext
  const options = { redis: { socketPath: redis.socketPath }, role: 'starting', secretKey: randomBytes(32) } as const
  const [writer, records] = [createRegistryRecords(options), createRegistryRecords(options)]
  t.after(() => [writer, records].forEach((one) => one.close()))
  const policy = outboundPolicy(context, 'api', records)
  const { clientFor, ping } = processRegistries(context, { policy, records })
  const { signal } = new AbortController()
  return {
    ping: (registry: string) => ping({ registry }, { credentials: undefined, plainHttp: false, signal }),
    keep: async (host: string, settings: RegistrySettings) => writer.put(host, settings, await writer.get(host)),
    /** A job; the code of what each of its publishes fails with. */
    begin: async (host: string, given?: string) => {
      const credentials = given === undefined ? undefined : { registry: host, username: 'given', password: given }
      const opened = await clientFor({ credentials, plainHttp: false, signal }).repository(host, 'team/nemo')
      return async () => {
        const error = await opened.preparePush({ signal }).then(
          () => undefined,
          (thrown: AppError) => thrown,
        )
        return error?.code
      }
    },
  }
}

interface Wanting {
  readonly take: () => string[]
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void
}

/** Answers of a registry that wants a password and takes none, and what it was shown. */
function wanting(): Wanting {
  const shown = new Set<string>()
  return {
    take: () => {
      const all = [...shown]
      shown.clear()
      return all
    },
    answer: (request, response) => {
      if (request.headers.authorization !== undefined) shown.add(request.headers.authorization)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end()
    },
  }
}

test("where somebody chose the CA their own credentials are shown, or the job's, and never Docker's", async (t) => {
  const { take, answer } = wanting()
  const registry = await startTlsServer(t, answer)
  const { keep, begin, ping } = await daemon(t, [registry.host])
  const publish = async (given?: string) => [await (await begin(registry.host, given))(), take()]
  assert.deepEqual(await publish(), ['REGISTRY_TLS', []])
  const untrusted = (await ping(registry.host)).checks.find(({ name }) => name === 'tls')
  assert.equal(untrusted?.state, 'failed')
  assert.match(untrusted?.hint ?? '', /as "ca" of the registry/)
  await keep(registry.host, kept(null, { ca: registry.ca }))
  assert.equal((await ping(registry.host)).checks.find(({ name }) => name === 'tls')?.state, 'ok')
  assert.deepEqual(take(), [])
  assert.deepEqual(await publish(), ['REGISTRY_UNAUTHORIZED', []])
  assert.deepEqual(await publish('own'), ['REGISTRY_UNAUTHORIZED', [basic('given:own')]])
  await keep(registry.host, kept('first', { ca: registry.ca }))
  assert.deepEqual(await publish(), ['REGISTRY_UNAUTHORIZED', [basic('kept:first')]])
})

test('a job goes the way on which it began, and is not shown what was given for another', async (t) => {
  const { take, answer } = wanting()
  const [registry, other] = [await startTlsServer(t, answer), await startTlsServer(t, answer)]
  const { keep, begin } = await daemon(t, [registry.host])
  await keep(registry.host, kept('first', { ca: registry.ca }))
  const job = await begin(registry.host)
  await keep(registry.host, kept('second', { ca: other.ca }))
  assert.equal(await job(), 'REGISTRY_UNAUTHORIZED')
  assert.deepEqual(take(), [basic('kept:first')])
  // The next one goes by what is kept now.
  assert.equal(await (await begin(registry.host))(), 'REGISTRY_TLS')
  await keep(registry.host, kept('third', { ca: other.ca + registry.ca }))
  assert.equal(await job(), 'REGISTRY_UNAUTHORIZED')
  assert.deepEqual(
    take().filter((login) => login !== basic('kept:first')),
    [],
  )
})

test("Docker's credentials go past a proxy, and not through one that somebody keeps for the registry", async (t) => {
  const { take, answer } = wanting()
  const [host, proxy] = [
    await listenOnLoopback(t, createServer(answer)),
    await listenOnLoopback(t, createServer(answer)),
  ]
  const { keep, begin } = await daemon(t, [host])
  for (const [way, shown] of [
    [{ proxy: 'direct' }, [basic('docker:secret')]],
    [{ proxy: `http://${proxy}/` }, []],
    [{}, [basic('docker:secret')]],
  ] as const) {
    await keep(host, kept(null, way))
    assert.equal(await (await begin(host))(), 'REGISTRY_UNAUTHORIZED')
    assert.deepEqual(take(), shown)
  }
})

test('credentials of a path are for the way that its registry had when they were given', async (t) => {
  const { take, answer } = wanting()
  const [registry, other] = [await startTlsServer(t, answer), await startTlsServer(t, answer)]
  const { keep, begin } = await daemon(t, [])
  const shown = async () => {
    await (await begin(registry.host))()
    return take()
  }
  const path = { plainHttp: false, repositories: null } as const
  const secret = { kind: 'basic', username: 'path', password: 'p' } as const
  await keep(registry.host, kept(null, { ca: registry.ca }))
  await keep(`${registry.host}/team`, { ...path, secret })
  assert.deepEqual(await shown(), [basic('path:p')])
  for (const way of [{ ca: `${registry.ca}${other.ca}` }, { ca: registry.ca, mirror: other.host }]) {
    await keep(registry.host, kept(null, way))
    assert.deepEqual(await shown(), [], JSON.stringify(Object.keys(way)))
  }
  await keep(registry.host, kept(null, { ca: `${registry.ca}${other.ca}` }))
  const again = keep(`${registry.host}/team`, { ...path, secret: undefined })
  await assert.rejects(again, { code: 'BODY_INVALID', details: { pointer: '/credentials' } })
  await keep(`${registry.host}/team`, { ...path, secret })
  assert.deepEqual(await shown(), [basic('path:p')])
})
