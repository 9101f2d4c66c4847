import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_ARTIFACT_MANIFEST } from '../../src/content/media-types.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { file, innerTar, inspectedPackage, noise, putBuilt, SBOM } from '../helpers/packages/inspected.ts'
import { packageFiles, putPackage } from '../helpers/packages/pulling.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'

const MIB = 2 ** 20
const WITHIN = { repository: 'team/nemo', tag: '1.2.0' }

async function startRegistry(t: TestContext, options: Parameters<typeof startMemoryRegistry>[0] = {}) {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  return registry
}

const address = (host: string, view = '', more = '') =>
  `/v1/remote-packages${view === '' ? '' : `/${view}`}?ref=${encodeURIComponent(`oci://${host}/team/nemo:1.2.0`)}${more}`

const blobReads = ({ requests }: MemoryRegistry) =>
  requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))

const login = (registry: MemoryRegistry, password: string) => {
  const json = JSON.stringify({ username: 'me', password, serveraddress: registry.host })
  return { 'x-registry-auth': Buffer.from(json).toString('base64url') }
}

test('of a large package a look fetches small layers, and of large ones the pieces that it needs', async (t) => {
  const registry = await startRegistry(t)
  const { path } = await inspectedPackage(t, { bulk: 8 * MIB })
  await putBuilt(registry, WITHIN, path)
  const wire = await startFaultProxy(t, registry.host)
  const { app } = await startApp(t)
  let before = 0
  const fetched = async (view: string): Promise<number> => {
    const answer = await app.inject(address(wire.host, view))
    assert.equal(answer.statusCode, 200, `${view}: ${answer.body}`)
    const bytes = wire.taken.down - before
    before = wire.taken.down
    return bytes
  }
  // Heads and manifests are some KiB each; the package has 40 MiB.
  assert.ok((await fetched('digest')) < 8 * 1024)
  for (const view of ['', 'definition', 'components', 'variables', 'files', 'checksums', 'documentation']) {
    const bytes = await fetched(view)
    assert.ok(bytes < 24 * 1024, `${view}: ${bytes}`)
  }
  const listed = await fetched('sboms')
  assert.ok(listed < 128 * 1024, `the list of SBOMs: ${listed}`)
  const one = await fetched('sboms/b.json')
  assert.ok(one < 16 * 1024, `one SBOM, of a list that is known: ${one}`)
  const manifests = await fetched('manifests')
  assert.ok(manifests < MIB + 256 * 1024, `manifests between large files: ${manifests}`)
  const whole = await fetched('sboms/a.json')
  assert.ok(whole > 8 * MIB && whole < 8.5 * MIB, `a large SBOM comes whole, and nothing else: ${whole}`)
})

test('what one caller has fetched is given to another only when their own credentials open the manifest', async (t) => {
  const registry = await startRegistry(t, { basic: { username: 'me', password: 'secret' } })
  const { path } = await inspectedPackage(t)
  await putBuilt(registry, WITHIN, path)
  const { app } = await startApp(t)
  const ask = (view: string, password: string) =>
    app.inject({ url: address(registry.host, view), headers: login(registry, password) })
  for (const view of ['sboms', 'definition', 'sboms/b.json', 'manifests']) {
    assert.equal((await ask(view, 'secret')).statusCode, 200)
  }
  const reads = blobReads(registry).length
  assert.equal((await ask('sboms', 'secret')).statusCode, 200)
  assert.equal((await ask('definition', 'secret')).statusCode, 200)
  assert.equal(blobReads(registry).length, reads, 'small layers and lists are known by now')
  for (const view of ['sboms', 'definition', 'sboms/b.json', 'manifests', 'digest']) {
    const refused = await ask(view, 'wrong')
    assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [502, 'REGISTRY_UNAUTHORIZED'], view)
    const nobody = await app.inject(address(registry.host, view))
    assert.deepEqual([nobody.statusCode, nobody.json<Problem>().code], [502, 'REGISTRY_UNAUTHORIZED'], view)
  }
  const asOf = registry.requests.length
  await ask('sboms', 'secret')
  const since = registry.requests.slice(asOf)
  const opened = since.some(
    ({ method, path: at, status }) => method === 'HEAD' && at.includes('/manifests/') && status === 200,
  )
  assert.ok(opened, 'the manifest was opened at the registry before what is known was told')
})

test('a layer that another repository has is not told to who names its digest in a manifest of theirs', async (t) => {
  const registry = await startRegistry(t)
  const secret = Buffer.from('kind: Secret\n')
  const tar = await innerTar(t, [file('one/manifests/s.yaml', secret)])
  const layers = packageFiles({ 'components/one.tar': tar })
  putPackage(registry, WITHIN, layers)
  putPackage(registry, { repository: 'evil/nemo', tag: '1' }, layers)
  const { app } = await startApp(t)
  assert.equal((await app.inject(address(registry.host, 'manifests'))).statusCode, 200)
  registry.deleteBlob('evil/nemo', digestOf(tar))
  const ref = encodeURIComponent(`oci://${registry.host}/evil/nemo:1`)
  const answer = await app.inject(`/v1/remote-packages/manifests?ref=${ref}`)
  assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [502, 'BLOB_NOT_FOUND'])
})

test('a registry that gives no ranges is read past what is small, and refused where that is too much', async (t) => {
  const registry = await startRegistry(t, { ranges: false })
  const { path } = await inspectedPackage(t)
  await putBuilt(registry, WITHIN, path)
  const { app } = await startApp(t)
  assert.equal((await app.inject(address(registry.host, 'sboms/b.json'))).body, SBOM)
  const whole = await app.inject(address(registry.host, 'sboms/zarf-component-vessel.json'))
  assert.ok(whole.rawPayload.equals(noise(MIB, 5)))
  assert.equal((await app.inject(address(registry.host, 'manifests'))).statusCode, 200)

  const bytes = await innerTar(t, [file('a.json', noise(MIB, 1))])
  const large = { title: 'sboms.tar', bytes, lie: { size: 65 * MIB } }
  putPackage(registry, WITHIN, [...packageFiles({}), large])
  const refused = await app.inject(address(registry.host, 'sboms'))
  const problem = refused.json<Problem>()
  assert.deepEqual([refused.statusCode, problem.code], [502, 'REGISTRY_PROTOCOL_VIOLATION'])
  assert.match(problem.hint ?? '', /pull the package/)
})

test('a tar of many files is listed up to a limit of requests, and one that is none is told by its name', async (t) => {
  const registry = await startRegistry(t)
  const entries = Array.from({ length: 1100 }, (_, at) => file(`f-${at}.json`, Buffer.alloc(17 * 1024)))
  const many = await innerTar(t, entries)
  const broken = Buffer.alloc(4096, 'x')
  putPackage(registry, WITHIN, packageFiles({ 'sboms.tar': many, 'documentation.tar': broken }))
  const { app } = await startApp(t)
  const answer = await app.inject(address(registry.host, 'sboms'))
  assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [422, 'PACKAGE_TOO_LARGE'])
  assert.ok(blobReads(registry).length < 1010)
  const invalid = await app.inject(address(registry.host, 'documentation'))
  assert.deepEqual([invalid.statusCode, invalid.json<Problem>().code], [422, 'PACKAGE_INVALID'])
  assert.match(invalid.json<Problem>().detail, /documentation\.tar/)
})

test('an artifact manifest, as zarf v0.25 published it under a tag of its own, is looked into as others are', async (t) => {
  const registry = await startRegistry(t)
  const tar = await innerTar(t, [file('one/manifests/a.yaml', 'kind: A\n')])
  const blobs = packageFiles({ 'components/one.tar': tar }).map(({ title, bytes }) => {
    registry.putBlob(WITHIN.repository, bytes)
    const annotations = { 'org.opencontainers.image.title': title }
    return {
      mediaType: 'application/vnd.zarf.layer.v1.unknown',
      digest: digestOf(bytes),
      size: bytes.length,
      annotations,
    }
  })
  const manifest = Buffer.from(JSON.stringify({ mediaType: OCI_ARTIFACT_MANIFEST, artifactType: 'x/y', blobs }))
  registry.manifests.put(WITHIN.repository, WITHIN.tag, OCI_ARTIFACT_MANIFEST, manifest)
  const { app } = await startApp(t)
  const get = async (view: string, more = '') => await app.inject(address(registry.host, view, more))
  const size = blobs.reduce((sum, blob) => sum + blob.size, 0)
  assert.deepEqual((await get('digest')).json(), { digest: digestOf(manifest), layers: 3, size })
  assert.deepEqual((await get('manifests')).json(), {
    components: [{ name: 'one', files: [{ name: 'a.yaml', size: 8, content: 'kind: A\n' }] }],
  })
  for (const view of ['', 'overview', 'sizes', 'sboms', 'documentation', 'signatures', 'files']) {
    assert.equal((await get(view, '&architecture=amd64')).statusCode, 200, view)
    const other = await get(view, '&architecture=arm64')
    assert.deepEqual([other.statusCode, other.json<Problem>().code], [422, 'ARCHITECTURE_NOT_FOUND'], view)
  }
})
