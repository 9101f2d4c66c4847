import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startTlsFront } from '../helpers/network/tls-front.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { endedOver, MAIN, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const certificate = createCertificate()
const NAMES = ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS']
/** Nothing of whoever runs the tests. */
const BARE = Object.fromEntries(NAMES.map((name) => [name, undefined]))

/** A registry behind a certificate of ours, which lies in a file and in a folder. */
async function privateRegistry(t: TestContext) {
  const registry = await startMemoryRegistry({ locations: 'relative' })
  t.after(() => registry.close())
  const host = await startTlsFront(t, registry.host, certificate)
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 1000 })
  await mkdir(join(folder, 'certs'))
  const file = join(folder, 'certs/company.crt')
  await writeFile(file, certificate.certPem)
  return { host, folder, built, file }
}

for (const [setting, name] of [
  ['SSL_CERT_FILE', 'certs/company.crt'],
  ['SSL_CERT_DIR', 'certs'],
] as const) {
  test(`a registry whose CA is in ${setting} is published to, and the command line speaks to a daemon behind it`, async (t) => {
    const { host, folder, built } = await privateRegistry(t)
    const dataDir = await shortTempDir(t)
    const trust = { ...BARE, [setting]: join(folder, name) }
    const env = { ...trust, LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: folder }
    const api = await readyUrl(await startLayerd(t, { dataDir, env }))
    const { id } = await publishOver(api, built.path, `${host}/team`)
    const ended = await endedOver(api, id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))

    const url = `https://${await startTlsFront(t, new URL(api).host, certificate)}`
    const get = (more: Record<string, string | undefined>) =>
      runProcess(t, process.execPath, [MAIN, 'show', id], { env: { LAYERD_URL: url, ...more } })
    const seen = await get(trust)
    assert.deepEqual([seen.code, seen.stderr], [0, ''])
    const refused = await get(BARE)
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /SSL_CERT_FILE/)
  })
}

test('a Redis behind that CA is believed by all processes', async (t) => {
  const { host, folder, built, file } = await privateRegistry(t)
  const redis = await startRedis(t, { tcp: true })
  const url = `rediss://${await startTlsFront(t, new URL(redis.url).host, certificate)}`
  const env = { ...BARE, SSL_CERT_FILE: file, LAYERD_REDIS_URL: url, LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: folder }
  const api = await readyUrl(await startLayerd(t, { dataDir: await tempDir(t), env }))
  const { id } = await publishOver(api, built.path, `${host}/team`)
  assert.equal((await endedOver(api, id)).state, 'succeeded')
  const client = new Redis(redis.clientOptions)
  t.after(() => client.disconnect())
  const named = async () => /name=layerd-supervisor/.test(String(await client.client('LIST')))
  await waitFor('the supervisor to be connected', named)
})

test('certificates that are not there are one warning at the start, and an unknown CA stays refused with a hint', async (t) => {
  const { host, folder, built, file } = await privateRegistry(t)
  const dataDir = await shortTempDir(t)
  const missing = `${file}.missing`
  const env = { ...BARE, SSL_CERT_FILE: missing, LAYERD_WORKERS: '2', LAYERD_FILE_ROOTS: folder }
  const layerd = await startLayerd(t, { dataDir, env })
  const api = await readyUrl(layerd)
  const { id } = await publishOver(api, built.path, `${host}/team`)
  const { error } = await endedOver(api, id)
  assert.equal(error?.code, 'REGISTRY_TLS')
  assert.match(error.hint ?? '', /SSL_CERT_FILE, SSL_CERT_DIR or NODE_EXTRA_CA_CERTS/)
  const told = layerd
    .output()
    .split('\n')
    .filter((line) => line.includes('SSL_CERT_FILE'))
  assert.equal(told.length, 1, told.join('\n'))
  assert.match(told[0] ?? '', /"level":"warn"/)
  assert.ok(told[0]?.includes(`SSL_CERT_FILE: ${missing} cannot be read (ENOENT)`), told[0])
})
