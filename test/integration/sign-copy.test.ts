import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { parseReference } from '../../src/content/reference.ts'
import { verifyRemote } from '../../src/transfer/verify/verify.ts'
import { createVerification, openTrustedRoots } from '../../src/trust/verification.ts'
import { copyTo, putBundle } from '../helpers/packages/copying.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { createTestSigner, type TestSigner } from '../helpers/trust/signing.ts'

const { signal } = new AbortController()
const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
const NEMO_ARM = { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' }
const TITLE = 'org.opencontainers.image.title'

interface Manifest {
  layers: { digest: string; annotations: Record<string, string> }[]
}
const byTitle = (bytes: Buffer): Record<string, string> => {
  const { layers } = JSON.parse(bytes.toString()) as Manifest
  return Object.fromEntries(layers.map(({ digest, annotations }) => [annotations[TITLE] ?? '', digest]))
}
const without = ({ 'zarf.yaml': _yaml, 'zarf.bundle.sig': _bundle, ...rest }: Record<string, string>) => rest
const memory = async (t: TestContext): Promise<MemoryRegistry> => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}
const filled = async (t: TestContext, packages: Parameters<typeof fillRegistry>[2] = [NEMO, NEMO_ARM]) => {
  const registry = await memory(t)
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, packages)
  return { registry, reference: `oci://${registry.host}/team/nemo:1.2.0` }
}
const verified = async (t: TestContext, text: string, { key, architecture }: { key: string; architecture: string }) => {
  const reference = parseReference(text)
  const repository = await openRepository(t, reference.registry, { repository: reference.repository })
  const verification = await createVerification({ key }, openTrustedRoots(undefined))
  return await verifyRemote({ reference, architecture }, { repository, verification, onEvent: () => undefined, signal })
}
const manifestAt = async (t: TestContext, text: string, name: string): Promise<Buffer> => {
  const { registry, repository } = parseReference(text)
  const found = await (await openRepository(t, registry, { repository })).getManifest(name, { signal })
  return found?.bytes ?? Buffer.alloc(0)
}
const puts = (registry: MemoryRegistry) =>
  registry.requests.filter(({ method }) => method === 'PUT' || method === 'PATCH')

describe('packages signed as they are copied', () => {
  test('each architecture of an index, of which nothing else changes', async (t) => {
    const { registry, reference } = await filled(t)
    const there = await memory(t)
    const sign = createTestSigner()
    const { outcome, events } = await copyTo(t, reference, `${there.host}/copies`, { sign })
    assert.deepEqual([outcome.signed, outcome.architectures, sign.signed], [true, ['amd64', 'arm64'], 2])
    const index = JSON.parse((await manifestAt(t, outcome.reference, '1.2.0')).toString()) as { manifests: unknown[] }
    assert.equal(index.manifests.length, 2)
    for (const architecture of ['amd64', 'arm64']) {
      const { digest, signatures } = await verified(t, outcome.reference, { key: sign.pem, architecture })
      assert.equal(signatures[0]?.verified, true)
      const layers = byTitle(await manifestAt(t, outcome.reference, digest))
      assert.deepEqual(without(layers), without(byTitle(publishedManifest('nemo', architecture))))
      assert.ok('zarf.bundle.sig' in layers)
    }
    const before = [publishedManifest('nemo'), publishedManifest('nemo', 'arm64')].map(digestOf)
    const told = events.flatMap((event) => (event.type === 'log' ? [event.message] : []))
    for (const digest of before) assert.ok(told.some((line) => line.includes(`came as ${digest}`)))
    assert.ok(!puts(there).some(({ path }) => before.some((digest) => path.includes(digest))))
    assert.deepEqual(puts(registry), [])
  })

  test('one architecture, and the other stays as it was signed before', async (t) => {
    const { reference } = await filled(t)
    const there = await memory(t)
    const sign = createTestSigner()
    await copyTo(t, reference, `${there.host}/copies`, { sign })
    const both = await verified(t, `${there.host}/copies/nemo:1.2.0`, { key: sign.pem, architecture: 'arm64' })
    const other = createTestSigner()
    const { outcome, events } = await copyTo(t, reference, `${there.host}/copies`, {
      sign: other,
      architectures: ['amd64'],
    })
    assert.equal(
      outcome.digest,
      (await verified(t, outcome.reference, { key: other.pem, architecture: 'amd64' })).digest,
    )
    assert.equal((await verified(t, outcome.reference, { key: sign.pem, architecture: 'arm64' })).digest, both.digest)
    assert.deepEqual(
      events.filter(({ type }) => type === 'warning'),
      [],
    )
  })

  test('inside one registry only what signing makes travels, and in its own place too', async (t) => {
    const { registry, reference } = await filled(t)
    const sign = createTestSigner()
    const seen = registry.requests.length
    const { outcome } = await copyTo(t, reference, `${registry.host}/team`, { sign })
    assert.equal(outcome.reference, reference)
    const sent = registry.requests.slice(seen).filter(({ bodyBytes }) => bodyBytes > 0)
    const blobs = new Set(sent.map(({ query }) => query.get('digest')).filter((digest) => digest !== null))
    assert.equal(blobs.size, 6, 'zarf.yaml, its signature and the config, for each architecture')
    await verified(t, reference, { key: sign.pem, architecture: 'amd64' })
    const copied = await copyTo(t, reference, `${registry.host}/elsewhere`, { sign })
    await verified(t, copied.outcome.reference, { key: sign.pem, architecture: 'amd64' })
    const large = registry.requests
      .slice(seen)
      .filter(({ path, bodyBytes }) => path.includes('/blobs/') && bodyBytes > 16_384)
    assert.deepEqual(large, [])
  })

  test('named by its digest, or lying directly under its tag', async (t) => {
    const { registry } = await filled(t, [NEMO])
    const there = await memory(t)
    const manifest = publishedManifest('nemo')
    registry.manifests.put('team/nemo', 'old', OCI_MANIFEST, manifest)
    const sign = createTestSigner()
    const from = `oci://${registry.host}/team/nemo`
    const byDigest = await copyTo(t, `${from}@${digestOf(manifest)}`, `${there.host}/a`, { sign })
    await verified(t, byDigest.outcome.reference, { key: sign.pem, architecture: 'amd64' })
    const direct = await copyTo(t, `${from}:old`, `${there.host}/b`, { sign })
    await verified(t, direct.outcome.reference, { key: sign.pem, architecture: 'amd64' })
    assert.equal(direct.outcome.digest, digestOf(await manifestAt(t, direct.outcome.reference, 'old')))
  })

  const REFUSED: ReadonlyArray<
    [what: string, put: (t: TestContext, registry: MemoryRegistry) => unknown, says: RegExp]
  > = [
    ['a bundle', (t, registry) => putBundle(t, registry, { repository: 'team/it', tag: '1' }), /is a UDS bundle/],
    [
      'an image',
      (_, registry) => registry.manifests.put('team/it', '1', OCI_MANIFEST, imageIn(registry)),
      /is no Zarf package/,
    ],
    [
      'an index of images',
      (_, registry) => {
        const image = imageIn(registry)
        registry.manifests.put('team/it', digestOf(image), OCI_MANIFEST, image)
        const entry = { mediaType: OCI_MANIFEST, digest: digestOf(image), size: image.length }
        const platform = { architecture: 'amd64', os: 'linux' }
        const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...entry, platform }] }
        registry.manifests.put('team/it', '1', OCI_INDEX, Buffer.from(JSON.stringify(index)))
      },
      /not an index of packages/,
    ],
  ]
  for (const [what, put, says] of REFUSED) {
    test(`${what} is refused by name before anything moves`, async (t) => {
      const [registry, there] = [await memory(t), await memory(t)]
      await put(t, registry)
      const sign: TestSigner = createTestSigner()
      const job = copyTo(t, `oci://${registry.host}/team/it:1`, `${there.host}/copies`, { sign })
      await assert.rejects(job, { code: 'PACKAGE_NOT_SIGNABLE', message: says })
      assert.deepEqual([sign.signed, puts(there).length], [0, 0])
    })
  }
})

function imageIn(registry: MemoryRegistry): Buffer {
  const config = Buffer.from('{}')
  const digest = registry.putBlob('team/it', config)
  const mediaType = 'application/vnd.oci.image.config.v1+json'
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType, digest, size: config.length },
    layers: [],
  }
  return Buffer.from(JSON.stringify(manifest))
}
