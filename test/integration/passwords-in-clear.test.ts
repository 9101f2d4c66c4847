import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { loadConfig } from '../../src/config/config.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { outboundPolicy, processRegistries, type RegistryClients } from '../../src/roles/registry-clients.ts'
import type { RoleContext } from '../../src/roles/context.ts'
import { defer } from '../helpers/cleanup.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`
const GIVEN = { username: 'caller', password: 'own', registry: 'outside.example:5000' }

/** An HTTP proxy that is every registry by itself: it wants a password and lets nobody in. Keeps what it was shown. */
async function wiretap(t: TestContext): Promise<{ url: string; host: string; shown: string[] }> {
  const shown: string[] = []
  const server = createServer((request, response) => {
    if (request.headers.authorization !== undefined) shown.push(request.headers.authorization)
    response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, shown }
}

/** Clients of a daemon that has logged in to these registries with `docker login`. */
async function daemon(t: TestContext, logins: readonly string[], settings: Record<string, string>) {
  const folder = await tempDir(t)
  const auth = Buffer.from('daemon:secret').toString('base64')
  const auths = Object.fromEntries(logins.map((name) => [name, { auth }]))
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths }))
  const env = { DOCKER_CONFIG: folder, ...settings }
  const context = { config: loadConfig(env), env, version: '1.2.3', logger: silentLogger } as unknown as RoleContext
  return processRegistries(context, { policy: outboundPolicy(context, 'api') }).clientFor
}

async function refusalOf(clients: RegistryClients, registry: string, credentials?: typeof GIVEN): Promise<AppError> {
  const { signal } = new AbortController()
  const client = clients({ credentials, plainHttp: true, signal })
  const repository = await client.repository(registry, 'team/nemo')
  return repository.preparePush({ signal }).then(
    () => assert.fail('let in'),
    (error: AppError) => error,
  )
}

test("a caller's plainHttp does not send the daemon's own password in clear", async (t) => {
  const tap = await wiretap(t)
  const clients = await daemon(t, [GIVEN.registry], { HTTP_PROXY: tap.url })
  const error = await refusalOf(clients, GIVEN.registry)
  assert.equal(error.code, 'REGISTRY_UNAUTHORIZED')
  assert.match(error.hint ?? '', /LAYERD_PLAIN_HTTP_REGISTRIES/)
  assert.deepEqual(tap.shown, [])
})

test("the caller's own password goes where the caller says", async (t) => {
  const tap = await wiretap(t)
  const clients = await daemon(t, [GIVEN.registry], { HTTP_PROXY: tap.url })
  await refusalOf(clients, GIVEN.registry, GIVEN)
  assert.deepEqual(new Set(tap.shown), new Set([basic('caller:own')]))
})

test("the daemon's own goes in clear where the settings say so", async (t) => {
  const tap = await wiretap(t)
  const settings = { HTTP_PROXY: tap.url, LAYERD_PLAIN_HTTP_REGISTRIES: GIVEN.registry }
  await refusalOf(await daemon(t, [GIVEN.registry], settings), GIVEN.registry)
  assert.deepEqual(new Set(tap.shown), new Set([basic('daemon:secret')]))
})

test("the daemon's own goes in clear on loopback", async (t) => {
  const tap = await wiretap(t)
  await refusalOf(await daemon(t, [tap.host], {}), tap.host)
  assert.deepEqual(new Set(tap.shown), new Set([basic('daemon:secret')]))
})
