import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import type { Problem } from '../../src/http/schemas/types.ts'
import type { NewJob } from '../../src/jobs/model/requests.ts'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import { startWebServer, type WebFile } from '../helpers/network/web-server.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { post } from '../helpers/streams/http-jobs.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

async function bed(t: TestContext) {
  const server = await startWebServer(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [] })
  await system.worker('one')
  const offer = async (path: string, more: Partial<WebFile> = {}) => {
    const bytes = await readFile(path)
    const place = `/packages/${basename(path)}`
    server.paths.set(place, { bytes, etag: '"1"', ...more })
    return { source: `${server.url}${place}`, options: { sha256: sha256Of(bytes) }, place }
  }
  const publish = async (more: Partial<NewJob>) =>
    system.ended((await system.publish('', `oci://${registry.host}/team`, more)).id)
  return { server, registry, system, offer, publish }
}

for (const ranges of [true, false]) {
  test(`a package of a web server ${ranges ? 'with' : 'without'} ranges is published as the file would be`, async (t) => {
    const { server, registry, system, offer, publish } = await bed(t)
    const { source, options, place } = await offer(FIXTURES.nemoAmd64, { ranges })
    const job = await publish({ source, options: { sha256: options.sha256.toUpperCase() } })
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    assert.equal(job.result?.digest, digestOf(publishedManifest('nemo')))
    assertStreamInvariants(await system.log(job.id))
    // The head, and the rest once.
    assert.equal(server.requests.filter(({ path }) => path === place).length, 2)
    await system.assertNothingLeft(registry)
  })
}

test('an uncompressed one is read in one go, and one that is cut goes on', async (t) => {
  const { server, offer, publish } = await bed(t)
  const built = await buildPackage(await tempDir(t), { format: 'tar', layers: 6, layerBytes: 1_500_000 })
  const whole = await startMemoryRegistry()
  t.after(() => whole.close())
  const { outcome } = await publishTo(t, built.path, parseDestination(`${whole.host}/team`))
  const { source, options, place } = await offer(built.path, { cutAfter: 3_000_000 })
  const job = await publish({ source, options })
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assert.equal(job.result?.digest, outcome.digest)
  assert.deepEqual(
    server.requests.filter(({ path }) => path === place).map(({ headers }) => headers.range),
    ['bytes=0-1048575', 'bytes=1048576-', 'bytes=4048576-', 'bytes=7048576-'],
  )
})

test('a package with another hash leaves no tag, whether it is right otherwise or not', async (t) => {
  const { server, registry, system, offer, publish } = await bed(t)
  const tar = await buildPackage(await tempDir(t), { format: 'tar', layers: 2 })
  for (const path of [FIXTURES.nemoAmd64, tar.path]) {
    const { source } = await offer(path)
    const { state, error } = await publish({ source, options: { sha256: '0'.repeat(64) } })
    assert.deepEqual([state, error?.code], ['failed', 'PACKAGE_CHECKSUM_MISMATCH'], JSON.stringify(error))
    assert.match(error?.detail ?? '', /has the SHA-256 [0-9a-f]{64}; the job says 0{64}/)
  }
  const damaged = await readFile(FIXTURES.nemoAmd64)
  damaged[2_000_000] = (damaged[2_000_000] ?? 0) ^ 1
  server.paths.set('/packages/zarf-package-nemo-amd64-1.2.0.tar.zst', { bytes: damaged })
  const source = `${server.url}/packages/zarf-package-nemo-amd64-1.2.0.tar.zst`
  const { state } = await publish({ source, options: { sha256: sha256Of(await readFile(FIXTURES.nemoAmd64)) } })
  assert.equal(state, 'failed')
  assert.ok(!registry.requests.some(({ method, path }) => method === 'PUT' && /\/manifests\//.test(path)))
  // Layers that were half-way stay for a retry.
  await system.assertNothingLeft()
})

test('what can be known wrong of an address is refused before a job is made, and repeats no secret', async (t) => {
  const { check: mayName } = createOutboundPolicy({ allowed: undefined, named: [], anywhere: false })
  const server = await startApp(t, { mayName })
  const sha256 = '0'.repeat(64)
  const good = 'https://files.example/zarf-package-x-amd64-1.tar.zst'
  const cases: Array<[source: string, options: object, code: string, pointer: string]> = [
    [good, {}, 'BODY_INVALID', '/options/sha256'],
    [good, { sha256: 'abc' }, 'BODY_INVALID', '/options/sha256'],
    ['store:sha256:'.padEnd(77, '0'), { sha256 }, 'BODY_INVALID', '/options/sha256'],
    ['http://files.example/x.tar.zst', { sha256 }, 'BODY_INVALID', '/source'],
    ['https://ann:hunter2@files.example/x.tar', { sha256 }, 'BODY_INVALID', '/source'],
    ['https://files.example/x.tar?token=hunter2', { sha256 }, 'BODY_INVALID', '/source'],
    ['https://files.example/x.tar#hunter2', { sha256 }, 'BODY_INVALID', '/source'],
    ['https://files.example/a%2Fx.tar', { sha256 }, 'BODY_INVALID', '/source'],
    ['https://files.example/', { sha256 }, 'PACKAGE_FORMAT_UNSUPPORTED', '/source'],
    ['https://files.example/x.zip', { sha256 }, 'PACKAGE_FORMAT_UNSUPPORTED', '/source'],
    ['https://files.example/x.tar.zst.part000', { sha256 }, 'PACKAGE_FORMAT_UNSUPPORTED', '/source'],
    ['https://10.0.0.1/x.tar', { sha256 }, 'REGISTRY_NOT_ALLOWED', '/source'],
    ['https://localhost:8080/x.tar', { sha256 }, 'REGISTRY_NOT_ALLOWED', '/source'],
    ['https://[::ffff:169.254.169.254]/x.tar', { sha256 }, 'REGISTRY_NOT_ALLOWED', '/source'],
  ]
  const body = { kind: 'publish', destination: 'oci://registry.example/team' }
  for (const [source, options, code, pointer] of cases) {
    const refused = (await post(server, { ...body, source, options })).json<Problem>()
    assert.deepEqual(
      [refused.code, refused.errors?.[0]?.pointer],
      [code, pointer],
      `${source} ${JSON.stringify(refused)}`,
    )
    assert.doesNotMatch(JSON.stringify(refused), /hunter2/)
  }
  const accepted = await post(server, { ...body, source: good, options: { sha256 } })
  assert.equal(accepted.statusCode, 202, accepted.body)
})
