import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { MAX_MANIFEST_BYTES, rawManifest } from '../../src/content/manifest.ts'
import { OCI_MANIFEST } from '../../src/content/media-types.ts'
import { createRegistryConnections } from '../../src/oci/connections.ts'
import { createRepository } from '../../src/oci/registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { type ScriptEntry, startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'

const signal = new AbortController().signal
const manifest = rawManifest(OCI_MANIFEST, Buffer.from(`{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}"}`))
const PATH = '/v2/test/blobs/manifests/v1'
const absent: ScriptEntry = { method: 'HEAD', path: PATH, status: 404 }
const there = (digest: string): ScriptEntry => ({
  method: 'HEAD',
  path: PATH,
  answerHeaders: { 'docker-content-digest': digest, 'content-type': OCI_MANIFEST },
})
const given = (over: Partial<ScriptEntry> = {}): ScriptEntry => ({
  method: 'GET',
  path: PATH,
  answerHeaders: { 'content-type': OCI_MANIFEST },
  body: manifest.bytes,
  ...over,
})
const refused = (status: number, code: string, message: string): ScriptEntry => ({
  method: 'PUT',
  path: PATH,
  status,
  body: JSON.stringify({ errors: [{ code, message }] }),
})

describe('manifest.immutable', () => {
  const answers: Record<string, ScriptEntry> = {
    ecr: refused(
      400,
      'TAG_INVALID',
      "The image tag 'v1' already exists in the 'r' repository and cannot be overwritten because the repository is immutable.",
    ),
    gar: refused(400, 'MANIFEST_INVALID', 'cannot update tag v1. The repository has enabled tag immutability'),
    harbor: refused(412, 'PRECONDITION', 'Failed to process request'),
    quay: refused(409, 'TAG_IMMUTABLE', 'tag is immutable'),
  }
  for (const [name, answer] of Object.entries(answers)) {
    test(`${name}: another content is TAG_IMMUTABLE`, async (t) => {
      const registry = await startScriptedRegistry(t, [answer, there(digestOf('other'))])
      const repository = await openRepository(t, registry.host)
      await assert.rejects(repository.putManifest('v1', manifest, { signal }), { code: 'TAG_IMMUTABLE' })
      registry.check()
    })

    test(`${name}: the same content is there already`, async (t) => {
      const registry = await startScriptedRegistry(t, [answer, there(manifest.digest)])
      const repository = await openRepository(t, registry.host)
      await repository.putManifest('v1', manifest, { signal })
      registry.check()
    })
  }

  test('hub: a tag that exists and may not be written, where blobs could be, is immutable', async (t) => {
    const denied = refused(403, 'DENIED', 'requested access to the resource is denied')
    const registry = await startScriptedRegistry(t, [denied, there(digestOf('other')), { ...denied }, absent])
    await using connections = createRegistryConnections({ version: '0.0.0' })
    const transport = connections.transport(registry.host, { credential: undefined, plainHttp: true })
    const hub = createRepository({ transport: { ...transport, registry: 'docker.io' }, repository: 'test/blobs' })
    await assert.rejects(hub.putManifest('v1', manifest, { signal }), { code: 'TAG_IMMUTABLE' })
    await assert.rejects(hub.putManifest('v1', manifest, { signal }), { code: 'REGISTRY_DENIED' })
  })
})

test('a duplicate that a registry answers with 409 is there already', async (t) => {
  const registry = await startScriptedRegistry(t, [refused(409, 'CONFLICT', 'duplicate'), there(manifest.digest)])
  const repository = await openRepository(t, registry.host)
  await repository.putManifest('v1', manifest, { signal })
  registry.check()
})

test('manifest.accept-missing-404: a 404 that speaks of the Accept header does not mean absent', async (t) => {
  const message = 'OCI manifest found, but accept header does not support OCI manifests'
  const body = JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message }] })
  const registry = await startScriptedRegistry(t, [given({ status: 404, body })])
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.getManifest('v1', { signal }), { code: 'MANIFEST_NOT_FOUND' })
  const accept = registry.requests[0]?.headers.accept ?? ''
  for (const type of [
    'image.manifest.v1',
    'image.index.v1',
    'manifest.v2',
    'manifest.list.v2',
    'artifact.manifest.v1',
  ]) {
    assert.ok(accept.includes(type), `accepts ${type}`)
  }
})

test('manifest.digest-alg-differs: only digests of one algorithm are compared', async (t) => {
  const answerHeaders = { 'content-type': OCI_MANIFEST, 'docker-content-digest': `sha512:${'0'.repeat(127)}` }
  const registry = await startScriptedRegistry(t, [given({ answerHeaders })])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.getManifest('v1', { signal }), manifest)
})

test('a manifest that is not the one its digest promises is refused', async (t) => {
  const other = digestOf('other')
  const registry = await startScriptedRegistry(t, [
    given({ path: `/v2/test/blobs/manifests/${other}` }),
    given({ answerHeaders: { 'content-type': OCI_MANIFEST, 'docker-content-digest': other } }),
  ])
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.getManifest(other, { signal }), { code: 'DIGEST_MISMATCH' })
  await assert.rejects(repository.getManifest('v1', { signal }), { code: 'DIGEST_MISMATCH' })
})

test('manifest.4MiB+1: a longer manifest is not read, whether its length is told or not', async (t) => {
  const body = Buffer.alloc(MAX_MANIFEST_BYTES + 1, ' ')
  const chunked = { 'content-type': OCI_MANIFEST, 'transfer-encoding': 'chunked' }
  const registry = await startScriptedRegistry(t, [given({ body }), given({ body, answerHeaders: chunked })])
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.getManifest('v1', { signal }), { code: 'MANIFEST_TOO_LARGE' })
  await assert.rejects(repository.getManifest('v1', { signal }), { code: 'MANIFEST_TOO_LARGE' })
})

test('a web page in place of a manifest is no registry, also with 404', async (t) => {
  const answerHeaders = { 'content-type': 'text/html; charset=utf-8' }
  const body = '<html><title>Welcome</title></html>'
  const registry = await startScriptedRegistry(t, [
    given({ answerHeaders, body }),
    given({ answerHeaders, body, status: 404 }),
  ])
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.getManifest('v1', { signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
  await assert.rejects(repository.getManifest('v1', { signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
})

test('a registry that does not answer HEAD is asked by GET', async (t) => {
  const registry = await startScriptedRegistry(t, [{ method: 'HEAD', path: PATH, status: 405 }, given()])
  const repository = await openRepository(t, registry.host)
  const expected = { digest: manifest.digest, mediaType: OCI_MANIFEST, size: manifest.bytes.length }
  assert.deepEqual(await repository.headManifest('v1', { signal }), expected)
})

test('a manifest that was stored under another digest is no success', async (t) => {
  await using registry = await startMemoryRegistry()
  registry.fail(
    { method: 'PUT' },
    { kind: 'answer', status: 201, headers: { 'docker-content-digest': digestOf('other') } },
  )
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.putManifest('v1', manifest, { signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
})
