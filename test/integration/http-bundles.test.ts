import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX } from '../../src/content/media-types.ts'
import { type BundleOptions, buildBundle, putBuiltBundle } from '../helpers/packages/bundle-builder.ts'
import { putBundle } from '../helpers/packages/copying.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const ROOT = digestOf(publishedManifest('armadaBundle'))
const MIB = 1024 * 1024

async function withArmada(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await putBundle(t, registry, { repository: 'uds/armada', tag: '0.2.0' })
  const started = await startApp(t)
  const reference = `oci://${registry.host}/uds/armada:0.2.0`
  const look = (ref: string, more = '') => started.app.inject(`/v1/bundles?ref=${encodeURIComponent(ref)}${more}`)
  return { ...started, registry, reference, look }
}

async function withBuilt(t: TestContext, options: BundleOptions) {
  const found = await withArmada(t)
  const bundle = await buildBundle(await tempDir(t, 'bundle'), options)
  putBuiltBundle(found.registry, { repository: 'team/convoy', tag: '1.0.0' }, bundle)
  return { ...found, bundle, reference: `oci://${found.registry.host}/team/convoy:1.0.0` }
}

describe('GET /v1/bundles', () => {
  test('tells of a bundle in a registry what uds inspect tells', async (t) => {
    const { look, reference } = await withArmada(t)
    const answer = await look(reference)
    assert.equal(answer.statusCode, 200, answer.body)
    const found = answer.json()
    assert.deepEqual(
      [found.reference, found.digest, found.indexDigest, found.name, found.version, found.architecture, found.tags],
      [reference, ROOT, digestOf(publishedIndex('armadaBundle')), 'armada', '0.2.0', 'amd64', ['0.2.0']],
    )
    assert.deepEqual([found.signed, found.fileName], [false, basename(FIXTURES.armadaBundle)])
    assert.equal(found.metadata.description, 'Two packages in one bundle')
    const [nemo, logbook] = found.packages
    assert.deepEqual(
      [nemo.name, nemo.digest, nemo.optionalComponents, nemo.publicKey, logbook.name],
      ['nemo', digestOf(publishedManifest('nemo')), ['library'], false, 'logbook'],
    )
    assert.equal(nemo.ref, `1.2.0@${nemo.digest}`)
    const included = nemo.components.filter((each: { included: boolean }) => each.included)
    assert.deepEqual(
      included.map(({ name }: { name: string }) => name),
      ['vessel', 'library'],
    )
    assert.deepEqual(nemo.images, ['localhost:5601/apps/anchor:1.0', 'localhost:5601/apps/diver:1.0'])
    assert.deepEqual(
      nemo.variables.map(({ name, default: value }: Record<string, unknown>) => [name, value]),
      [['GREETING', 'ahoy']],
    )
  })

  test('fetches metadata alone', async (t) => {
    const { look, reference, registry, bundle } = await withBuilt(t, {
      packages: [{ layerBytes: 2 * MIB }, { layerBytes: MIB, layers: 3 }],
    })
    const before = registry.requests.length
    assert.equal((await look(reference)).statusCode, 200)
    const asked = registry.requests.slice(before).map(({ path }) => path)
    const blobs = asked.flatMap((url) => /\/blobs\/(.*)$/.exec(url)?.[1] ?? [])
    const bytes = blobs.reduce((sum, digest) => sum + (bundle.blobs.get(digest)?.length ?? Infinity), 0)
    // Config, uds-bundle.yaml, and of each package manifest and zarf.yaml.
    assert.equal(new Set(blobs).size, 6)
    assert.ok(bytes < 32 * 1024, `${bytes} bytes`)
  })

  test('overrides, variables, imports and exports, whatever values they have', async (t) => {
    const overrides = {
      'layer-0000': {
        chart: {
          namespace: 'deep',
          valuesFiles: ['sea.yaml'],
          values: [{ path: 'a.b', value: { c: [1, 'two', null, true, 2.5] } }],
          variables: [
            { name: 'HOST', path: 'ingress.host', default: 'x.example', description: 'where', sensitive: true },
            { name: 'PORT', path: 'port', default: 8080 },
          ],
        },
      },
    }
    const entry = {
      description: 'first',
      namespace: 'ns',
      publicKey: '-----BEGIN PUBLIC KEY-----',
      imports: [{ name: 'IN', package: 'other' }],
      exports: [{ name: 'OUT' }],
      overrides,
    }
    const { look, reference } = await withBuilt(t, { packages: [{ entry }] })
    const [found] = (await look(reference)).json().packages
    assert.deepEqual(
      [found.description, found.namespace, found.publicKey, found.imports, found.exports],
      [
        'first',
        'ns',
        true,
        [{ name: 'IN', package: 'other', description: null }],
        [{ name: 'OUT', description: null }],
      ],
    )
    const [set] = found.overrides
    assert.deepEqual(
      [set.component, set.chart, set.namespace, set.valuesFiles],
      ['layer-0000', 'chart', 'deep', ['sea.yaml']],
    )
    assert.deepEqual(set.values, [{ path: 'a.b', value: { c: [1, 'two', null, true, 2.5] } }])
    assert.deepEqual(
      set.variables.map(({ name, default: value, sensitive }: Record<string, unknown>) => [name, value, sensitive]),
      [
        ['HOST', 'x.example', true],
        ['PORT', 8080, false],
      ],
    )
  })

  test('the same from the store, from a file and from an upload', async (t) => {
    const { app, look, reference, store, root } = await withArmada(t)
    const remote = (await look(reference)).json()
    await pullFrom(t, reference, { store })
    const path = join(root, basename(FIXTURES.armadaBundle))
    await copyFile(FIXTURES.armadaBundle, path)
    for (const ref of [`store:${ROOT}`, `file:${path}`]) {
      const found = (await look(ref)).json()
      assert.deepEqual(found, { ...remote, reference: ref, indexDigest: null, tags: null })
    }
    const listed = (await app.inject('/v1/packages')).json().items
    assert.deepEqual(
      listed.map(({ kind, name, complete }: Record<string, unknown>) => [kind, name, complete]),
      [['bundle', 'armada', true]],
    )
    const archive = await app.inject({ url: `/v1/packages/${ROOT}/archive`, headers: { range: 'bytes=0-99' } })
    assert.deepEqual(
      [archive.statusCode, archive.rawPayload.length, archive.headers['etag']?.slice(0, 9)],
      [206, 100, '"sha256:8'],
    )
    assert.match(String(archive.headers['content-disposition']), /uds-bundle-armada-amd64-0\.2\.0\.tar\.zst/)
    assert.equal((await app.inject({ method: 'DELETE', url: `/v1/packages/${ROOT}` })).statusCode, 204)
    assert.equal((await look(`store:${ROOT}`)).statusCode, 404)
  })

  test('what is none is told: a package, the next format, nothing at all', async (t) => {
    const { app, look, registry, reference } = await withArmada(t)
    const nemo = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
    await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [nemo])
    const next = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        artifactType: 'application/vnd.defenseunicorns.uds.bundle.v1',
        manifests: [],
      }),
    )
    const child = registry.manifests.put('uds/next', digestOf(next), OCI_INDEX, next)
    const platform = { architecture: 'amd64', os: 'multi' }
    const entry = { mediaType: OCI_INDEX, digest: child, size: next.length, platform }
    const root = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] }))
    registry.manifests.put('uds/next', '1', OCI_INDEX, root)
    for (const [ref, status, pattern] of [
      [`oci://${registry.host}/team/nemo:1.2.0`, 422, /is not a UDS bundle/],
      [`oci://${registry.host}/uds/next:1`, 422, /next format of uds/],
      [`oci://${registry.host}/uds/next@${child}`, 422, /next format of uds/],
      [`oci://${registry.host}/uds/armada:9`, 422, /there is no/],
      ['ghcr.io', 400, /./],
      ['file:/nowhere.tar.zst', 403, /outside/],
    ] as const) {
      const answer = await look(ref)
      assert.equal(answer.statusCode, status, `${ref}: ${answer.body}`)
      assert.match(answer.json().detail, pattern)
    }
    const asPackage = await app.inject(`/v1/remote-packages?ref=${encodeURIComponent(reference)}`)
    assert.match(asPackage.json().detail, /is a UDS bundle, not a Zarf package/)
    assert.match(asPackage.json().hint, /^layerd bundle \(GET \/v1\/bundles\?ref=\)/)
    assert.equal((await look(reference, '&architecture=arm64')).json().code, 'ARCHITECTURE_NOT_FOUND')
  })
})
