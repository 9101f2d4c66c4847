import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import { digestHex, digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { type BuiltBundle, buildBundle } from '../helpers/packages/bundle-builder.ts'
import { FIXTURES, publishedConfig, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { startWebServer } from '../helpers/network/web-server.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { pullFrom } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()
const NEMO = '7199104b0e3d1ada9ba3527be3f6bd52b9e3ba05698f2eab989b115dea989aa5'
const LOGBOOK = '3d3fa079e821afe23af8d17af2a2d757a86e67ab7509d78a72ba0c519d999796'

const memory = async (t: { after(work: () => Promise<void>): void }): Promise<MemoryRegistry> => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}
const blobsOf = (path: string) =>
  execFileSync('tar', ['--zstd', '-tf', path], { encoding: 'utf8' })
    .split('\n')
    .flatMap((name) => (name.startsWith('blobs/sha256/') ? [`sha256:${name.slice(13)}`] : []))
const assertWhole = (registry: MemoryRegistry, repository: string, { blobs, digest }: BuiltBundle) => {
  for (const each of blobs.keys()) assert.ok(registry.blob(repository, each), each)
  assert.ok(registry.manifests.get(repository, digest))
}

for (const program of registryPrograms()) {
  test(`a bundle published to ${program} is byte for byte what uds publishes`, async (t) => {
    const registry = await startDockerRegistry(t, { program })
    const { outcome } = await publishTo(t, FIXTURES.armadaBundle, parseDestination(`${registry.host}/uds`))
    assert.deepEqual(
      [outcome.reference, outcome.digest, outcome.indexDigest, outcome.architecture],
      [
        `oci://${registry.host}/uds/armada:0.2.0`,
        digestOf(publishedManifest('armadaBundle')),
        digestOf(publishedIndex('armadaBundle')),
        'amd64',
      ],
    )
    assert.deepEqual(
      [outcome.name, outcome.version, outcome.packages],
      [
        'armada',
        '0.2.0',
        [
          { name: 'nemo', digest: `sha256:${NEMO}` },
          { name: 'logbook', digest: `sha256:${LOGBOOK}` },
        ],
      ],
    )
    const repository = await openRepository(t, registry.host, { repository: 'uds/armada' })
    const index = await repository.getManifest('0.2.0', { signal })
    assert.equal(index?.bytes.toString(), publishedIndex('armadaBundle').toString())
    const manifest = await repository.getManifest(outcome.digest, { signal })
    assert.equal(manifest?.bytes.toString(), publishedManifest('armadaBundle').toString())
    for (const digest of blobsOf(FIXTURES.armadaBundle).filter((each) => each !== outcome.digest)) {
      assert.ok(await repository.stat(digest as never, { signal }), digest)
    }
    const response = await fetch(`${registry.url}/v2/uds/armada/blobs/${digestOf(publishedConfig('armadaBundle'))}`)
    assert.equal(await response.text(), publishedConfig('armadaBundle').toString())
  })
}

describe('publishing a bundle', () => {
  test('a .tar, a scan and another tag lead to the same', async (t) => {
    const registry = await memory(t)
    const folder = await tempDir(t, 'bundle')
    const tar = join(folder, 'uds-bundle-armada-amd64-0.2.0.tar')
    execFileSync('zstd', ['-dq', FIXTURES.armadaBundle, '-o', tar])
    const ends = [
      await publishTo(t, tar, parseDestination(`${registry.host}/tar`)),
      await publishTo(t, FIXTURES.armadaBundle, parseDestination(`${registry.host}/scan`), { scan: true }),
      await publishTo(t, FIXTURES.armadaBundle, parseDestination(`${registry.host}/tag`), { tag: 'edge' }),
    ]
    for (const { outcome } of ends) {
      assert.equal(outcome.indexDigest, digestOf(publishedIndex('armadaBundle')))
      assert.equal(outcome.layers, ends[0]?.outcome.layers)
      assert.equal(outcome.bytes, ends[0]?.outcome.bytes)
    }
    assert.equal(ends[2]?.outcome.reference, `oci://${registry.host}/tag/armada:edge`)
    assert.ok(registry.manifests.get('tag/armada', 'edge'))
    assert.equal(registry.manifests.get('tag/armada', '0.2.0'), undefined)
  })

  test('an archive in any order is read, and its signature goes along', async (t) => {
    const registry = await memory(t)
    const bundle = await buildBundle(await tempDir(t, 'bundle'), {
      packages: [{}, { layers: 3 }],
      signature: Buffer.from('c2lnbmF0dXJl'),
      tamper: { entries: (entries) => entries.toReversed() },
    })
    const { outcome } = await publishTo(t, bundle.path, parseDestination(`${registry.host}/team`))
    assert.equal(outcome.digest, bundle.digest)
    assertWhole(registry, 'team/convoy', bundle)
  })

  test('two architectures stand under one tag, and each is pulled by its own', async (t) => {
    const registry = await memory(t)
    const folder = await tempDir(t, 'bundle')
    const destination = parseDestination(`${registry.host}/team`)
    const built: BuiltBundle[] = []
    for (const architecture of ['amd64', 'arm64']) {
      built.push(await buildBundle(folder, { architecture, packages: [{ architecture }] }))
    }
    await Promise.all(built.map(({ path }) => publishTo(t, path, destination)))
    for (const [at, architecture] of ['amd64', 'arm64'].entries()) {
      const { outcome } = await pullFrom(t, `${registry.host}/team/convoy:1.0.0`, { architecture })
      assert.deepEqual([outcome.digest, outcome.architecture], [built[at]?.digest, architecture])
    }
  })

  test('from a web server, in one go', async (t) => {
    const registry = await memory(t)
    const server = await startWebServer(t)
    const bytes = await readFile(FIXTURES.armadaBundle)
    const place = `/bundles/${basename(FIXTURES.armadaBundle)}`
    server.paths.set(place, { bytes, etag: '"1"' })
    const system = await startJobSystem(t, { roots: [] })
    await system.worker('one')
    const source = `${server.url}${place}`
    const publish = async (sha256: string, namespace: string) =>
      await system.ended(
        (await system.publish('', `oci://${registry.host}/${namespace}`, { source, options: { sha256 } })).id,
      )
    const good = await publish(digestHex(digestOf(bytes)), 'web')
    assert.equal(good.state, 'succeeded', JSON.stringify(good.error))
    assert.equal(good.result?.indexDigest, digestOf(publishedIndex('armadaBundle')))
    const bad = await publish('0'.repeat(64), 'bad')
    assert.equal(bad.state, 'failed')
    assert.equal(registry.manifests.get('bad/armada', '0.2.0'), undefined)
    await system.assertNothingLeft(registry)
  })
})
