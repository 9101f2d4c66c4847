import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { parseDestination } from '../../src/content/reference.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { referrersTag } from '../../src/oci/manifests/referrers.ts'
import { copyTo, putBundle } from '../helpers/packages/copying.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { fillRegistry, pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { type DockerRegistry, registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const { signal } = new AbortController()
const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
const NEMO_ARM = { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' }
const INDEX = digestOf(publishedIndex('nemo'))
const AMD64 = digestOf(publishedManifest('nemo'))
const ARM64 = digestOf(publishedManifest('nemo', 'arm64'))

const memory = async (t: { after(work: () => Promise<void>): void }): Promise<MemoryRegistry> => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}
const filled = async (t: { after(work: () => Promise<void>): void }) => {
  const registry = await memory(t)
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO, NEMO_ARM])
  return { registry, reference: `oci://${registry.host}/team/nemo:1.2.0` }
}
const warned = (events: readonly { type: string; code?: string }[]) =>
  events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))

for (const program of registryPrograms()) {
  test(`from ${program} to the others: every architecture, byte for byte, under the same tag`, async (t) => {
    const source = await startDockerRegistry(t, { program })
    for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) {
      await publishTo(t, path, parseDestination(`${source.host}/team`))
    }
    const others: DockerRegistry[] = []
    for (const other of registryPrograms()) others.push(await startDockerRegistry(t, { program: other }))
    for (const { host } of others) {
      const { outcome, events } = await copyTo(t, `${source.host}/team/nemo:1.2.0`, `${host}/copies/deep`)
      assert.deepEqual(
        [outcome.reference, outcome.digest, outcome.indexDigest, outcome.architectures],
        [`oci://${host}/copies/deep/nemo:1.2.0`, INDEX, INDEX, ['amd64', 'arm64']],
      )
      assert.deepEqual(warned(events), [])
      const repository = await openRepository(t, host, { repository: 'copies/deep/nemo' })
      const index = await repository.getManifest('1.2.0', { signal })
      assert.equal(index?.bytes.toString(), publishedIndex('nemo').toString())
      const pulled = await pullFrom(t, outcome.reference, { architecture: 'amd64' })
      assert.equal(pulled.outcome.digest, AMD64)
      const again = await copyTo(t, `${source.host}/team/nemo:1.2.0`, `${host}/copies/deep`)
      assert.ok(
        again.events.every(({ type }) => type !== 'bytes'),
        'nothing goes twice',
      )
    }
  })

  test(`inside ${program} blobs are mounted, and no byte of them is fetched`, async (t) => {
    const registry = await startDockerRegistry(t, { program })
    await publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${registry.host}/team`))
    const { outcome, events } = await copyTo(t, `${registry.host}/team/nemo:1.2.0`, `${registry.host}/other`)
    const mounted = events.filter(({ type }) => type === 'mounted')
    assert.equal(mounted.length, outcome.layers)
    assert.ok(events.every(({ type }) => type !== 'bytes'))
    const repository = await openRepository(t, registry.host, { repository: 'other/nemo' })
    assert.equal((await repository.getManifest('1.2.0', { signal }))?.digest, outcome.indexDigest)
  })
}

describe('packages are merged by architecture', () => {
  test('one architecture makes an index of its own, and the other one joins it', async (t) => {
    const { reference } = await filled(t)
    const there = await memory(t)
    const arm = await copyTo(t, reference, `${there.host}/copies`, { architectures: ['arm64'] })
    assert.deepEqual([arm.outcome.digest, arm.outcome.architecture], [ARM64, 'arm64'])
    assert.deepEqual(warned(arm.events), ['INDEX_SUBSET'])
    await copyTo(t, reference, `${there.host}/copies`, { architectures: ['amd64'] })
    const { manifests } = JSON.parse(publishedIndex('nemo').toString()) as { manifests: unknown[] }
    const stored = JSON.parse(there.manifests.get('copies/nemo', '1.2.0')?.bytes.toString() ?? '') as typeof manifests
    assert.deepEqual((stored as unknown as { manifests: unknown[] }).manifests, manifests.toReversed())
    // Nothing else is there: then it is the index itself.
    const whole = await copyTo(t, reference, `${there.host}/copies`)
    assert.deepEqual([whole.outcome.indexDigest, whole.outcome.architectures], [INDEX, ['amd64', 'arm64']])
    const other = { ...(manifests[0] as object), platform: { architecture: 's390x', os: 'multi' } }
    const more = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [other], annotations: { kept: 'yes' } }),
    )
    there.manifests.put('copies/nemo', '1.2.0', OCI_INDEX, more)
    await copyTo(t, reference, `${there.host}/copies`)
    const merged = JSON.parse(there.manifests.get('copies/nemo', '1.2.0')?.bytes.toString() ?? '') as object
    assert.deepEqual(merged, {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [other, ...manifests],
      annotations: { kept: 'yes' },
    })
  })

  test('a package named by its digest is an entry for what its zarf.yaml says, under its version', async (t) => {
    const { registry } = await filled(t)
    const there = await memory(t)
    const source = `oci://${registry.host}/team/nemo@${ARM64}`
    const { outcome } = await copyTo(t, source, `${there.host}/copies`)
    assert.deepEqual(
      [outcome.reference, outcome.digest, outcome.architecture],
      [`oci://${there.host}/copies/nemo:1.2.0`, ARM64, 'arm64'],
    )
    const renamed = await copyTo(t, source, `${there.host}/copies`, { tag: 'stable' })
    assert.equal(renamed.outcome.reference, `oci://${there.host}/copies/nemo:stable`)
    assert.equal((await pullFrom(t, renamed.outcome.reference, { architecture: 'arm64' })).outcome.digest, ARM64)
    const byIndex = await copyTo(t, `oci://${registry.host}/team/nemo@${INDEX}`, `${there.host}/whole`)
    assert.deepEqual(
      [byIndex.outcome.reference, byIndex.outcome.indexDigest],
      [`oci://${there.host}/whole/nemo:1.2.0`, INDEX],
    )
  })

  test('what cannot be copied so fails before a byte moves, and leaves no session', async (t) => {
    const { registry, reference } = await filled(t)
    const there = await memory(t)
    there.manifests.put('bare/nemo', '1.2.0', OCI_MANIFEST, publishedManifest('nemo'))
    const to = `${there.host}/copies`
    const cases: ReadonlyArray<readonly [string, string, object, string, RegExp]> = [
      [reference, to, { architectures: ['amd64', 's390x'] }, 'ARCHITECTURE_NOT_FOUND', /s390x: it has amd64, arm64/],
      [`${reference}9`, to, {}, 'MANIFEST_NOT_FOUND', /there is no oci:/],
      [reference, `${registry.host}/team`, {}, 'BODY_INVALID', /onto itself/],
      [reference, `${there.host}/bare`, {}, 'TAG_NOT_INDEX', /holds a manifest/],
      [reference, to, { tag: 'a b' }, 'TAG_INVALID', /cannot be a tag/],
      [
        `oci://${registry.host}/team/nemo@${ARM64}`,
        to,
        { architectures: ['amd64'] },
        'ARCHITECTURE_NOT_FOUND',
        /it has arm64/,
      ],
    ]
    for (const [source, destination, options, code, message] of cases) {
      await assert.rejects(copyTo(t, source, destination, options), { code, message })
    }
    assert.equal(there.openSessions, 0)
    assert.equal(there.requests.filter(({ method }) => method === 'PUT' || method === 'PATCH').length, 0)
  })
})

describe('a repository by patterns of tags', () => {
  const several = async (t: { after(work: () => Promise<void>): void }) => {
    const { registry } = await filled(t)
    const whole = registry.manifests.get('team/nemo', '1.2.0')
    assert.ok(whole)
    const put = (tag: string, bytes: Buffer) => registry.manifests.put('team/nemo', tag, OCI_INDEX, bytes)
    const entries = JSON.parse(whole.bytes.toString()) as { manifests: unknown[] }
    const one = Buffer.from(JSON.stringify({ ...entries, manifests: entries.manifests.slice(0, 1) }))
    for (const [tag, bytes] of [
      ['1.3.0', one],
      ['2.0.0', whole.bytes],
      ['latest', one],
    ] as const)
      put(tag, bytes)
    put(`${referrersTag(AMD64)}.sig`, one)
    return { registry, put, one }
  }

  test('all that match are copied, what is there already costs two looks, and what has changed goes again', async (t) => {
    const { registry, put, one } = await several(t)
    const there = await memory(t)
    const sync = () => copyTo(t, `oci://${registry.host}/team/nemo`, `${there.host}/copies`, { tags: ['1.*', '2.0.0'] })
    const first = await sync()
    assert.deepEqual(
      [first.outcome.reference, first.outcome.tags, first.outcome.tagsThere],
      [`oci://${there.host}/copies/nemo`, ['1.2.0', '1.3.0', '2.0.0'], 0],
    )
    for (const tag of ['1.2.0', '1.3.0', '2.0.0']) {
      const [from, to] = [registry.manifests.get('team/nemo', tag), there.manifests.get('copies/nemo', tag)]
      assert.equal(to?.digest, from?.digest, tag)
    }
    assert.equal(there.manifests.get('copies/nemo', 'latest'), undefined)
    const before = there.requests.length
    const again = await sync()
    assert.deepEqual([again.outcome.tags, again.outcome.tagsThere, again.outcome.layers], [[], 3, 0])
    const writes = there.requests.slice(before).filter(({ method }) => method === 'PUT' || method === 'PATCH')
    assert.equal(writes.length, 0)
    assert.equal(there.openSessions, 0)
    put('1.3.0', Buffer.from(JSON.stringify({ ...JSON.parse(one.toString()), annotations: { changed: 'yes' } })))
    assert.deepEqual((await sync()).outcome.tags, ['1.3.0'])
    assert.deepEqual((await sync()).outcome.tags, [])
  })

  test('no tag that matches, and a pattern that is none, are errors that say so', async (t) => {
    const { registry } = await several(t)
    const there = await memory(t)
    const sync = (...tags: string[]) => copyTo(t, `oci://${registry.host}/team/nemo`, `${there.host}/copies`, { tags })
    await assert.rejects(sync('9.*', 'sha256-*'), { code: 'MANIFEST_NOT_FOUND', message: /no tag of .* matches 9/ })
    await assert.rejects(sync('[1'), { code: 'BODY_INVALID' })
    assert.equal(there.openSessions, 0)
  })
})

describe('any other index or image is copied as it is', () => {
  /** As buildx writes them: two variants of one architecture, and an attestation that is of none. */
  const image = (registry: MemoryRegistry) => {
    const put = (text: string) => {
      const config = registry.putBlob('lib/app', Buffer.from(`{"config":"${text}"}`))
      const layer = registry.putBlob('lib/app', Buffer.from(`layer of ${text}`))
      const bytes = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: OCI_MANIFEST,
          config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: text.length + 13 },
          layers: [
            { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: text.length + 9 },
            {
              mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
              digest: digestOf('nobody has it'),
              size: 13,
              urls: ['https://elsewhere.example/layer'],
            },
          ],
        }),
      )
      return { digest: registry.manifests.put('lib/app', digestOf(bytes), OCI_MANIFEST, bytes), size: bytes.length }
    }
    const entry = (text: string, platform: object, annotations?: object) => ({
      mediaType: OCI_MANIFEST,
      ...put(text),
      ...(annotations ? { annotations } : {}),
      platform,
    })
    const manifests = [
      entry('v6', { architecture: 'arm', os: 'linux', variant: 'v6' }),
      entry('v7', { architecture: 'arm', os: 'linux', variant: 'v7' }),
      entry(
        'attested',
        { architecture: 'unknown', os: 'unknown' },
        { 'vnd.docker.reference.type': 'attestation-manifest' },
      ),
      entry('amd64', { architecture: 'amd64', os: 'linux' }),
    ]
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests, annotations: { a: '<b>' } }, null, 2),
    )
    registry.manifests.put('lib/app', 'v1', OCI_INDEX, index)
    return { index, manifests }
  }

  test('its bytes, all its variants, and the tag replaced whole', async (t) => {
    const source = await memory(t)
    const there = await memory(t)
    const { index, manifests } = image(source)
    there.manifests.put('copies/app', 'v1', OCI_INDEX, publishedIndex('nemo'))
    const { outcome, events } = await copyTo(t, `${source.host}/lib/app:v1`, `${there.host}/copies`)
    assert.equal(there.manifests.get('copies/app', 'v1')?.bytes.toString(), index.toString())
    assert.deepEqual([outcome.digest, outcome.layers], [digestOf(index), 8])
    for (const { digest } of manifests) assert.ok(there.manifests.get('copies/app', digest), digest)
    const said = events.flatMap((event) => (event.type === 'log' ? [event.message] : []))
    assert.ok(said.some((text) => text.startsWith('4 layers may not be handed on')))
  })

  test('a part of it is another index, with the entries as they were', async (t) => {
    const source = await memory(t)
    const there = await memory(t)
    const { manifests } = image(source)
    const { outcome, events } = await copyTo(t, `${source.host}/lib/app:v1`, `${there.host}/copies`, {
      architectures: ['arm'],
    })
    const stored = there.manifests.get('copies/app', 'v1')
    assert.deepEqual(JSON.parse(stored?.bytes.toString() ?? ''), {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: manifests.slice(0, 2),
      annotations: { a: '<b>' },
    })
    assert.deepEqual([outcome.layers, outcome.architecture, warned(events)], [4, 'arm', ['INDEX_SUBSET']])
  })
})

describe('what refers goes along', () => {
  test("oras' attachments and cosign's tags, at registries that keep no list", async (t) => {
    const [program] = registryPrograms()
    if (skipWithout(t, 'oras')) return
    const source = await startDockerRegistry(t, program ? { program } : {})
    const there = await startDockerRegistry(t, program ? { program } : {})
    await publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${source.host}/team`))
    const file = join(await tempDir(t), 'note.txt')
    await writeFile(file, 'a note')
    const oras = (...args: string[]) => runProcess(t, findProgram('oras') ?? '', args)
    const attach = async (digest: string, type: string) => {
      const place = `${source.host}/team/nemo@${digest}`
      const done = await oras(
        'attach',
        '--plain-http',
        '--disable-path-validation',
        '--artifact-type',
        type,
        '--format',
        'json',
        place,
        file,
      )
      return (JSON.parse(done.stdout) as { digest: string }).digest
    }
    const signature = await attach(AMD64, 'test/signature')
    await attach(signature, 'test/signature-of-it')
    const from = await openRepository(t, source.host, { repository: 'team/nemo' })
    const raw = await from.getManifest(signature, { signal })
    assert.ok(raw)
    await from.putManifest(`${referrersTag(AMD64)}.sig`, raw, { signal })

    const { outcome } = await copyTo(t, `${source.host}/team/nemo:1.2.0`, `${there.host}/copies`)
    assert.equal(outcome.referrers, 2)
    const to = await openRepository(t, there.host, { repository: 'copies/nemo' })
    const found = await to.referrers(AMD64, { signal })
    assert.deepEqual(
      found.referrers.map(({ digest, artifactType }) => [digest, artifactType]),
      [[signature, 'test/signature']],
    )
    assert.equal((await to.getManifest(`${referrersTag(AMD64)}.sig`, { signal }))?.digest, signature)
    const discovered = await oras('discover', '--plain-http', '--format', 'json', `${there.host}/copies/nemo@${AMD64}`)
    assert.match(discovered.stdout, /test\/signature-of-it/)
  })

  test('one that is listed and gone is warned of, and the rest is copied', async (t) => {
    const { registry, reference } = await filled(t)
    const there = await memory(t)
    const entry = { mediaType: OCI_MANIFEST, digest: digestOf('gone'), size: 4, artifactType: 'a/b' }
    const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] }))
    registry.manifests.put('team/nemo', referrersTag(AMD64), OCI_INDEX, list)
    const { outcome, events } = await copyTo(t, reference, `${there.host}/copies`)
    assert.deepEqual([outcome.referrers, warned(events), outcome.indexDigest], [0, ['REFERRER_GONE'], INDEX])
  })
})

test('a bundle takes the blobs of its packages along, and says which are not in it', async (t) => {
  const source = await memory(t)
  const there = await memory(t)
  const digests = await putBundle(t, source, { repository: 'uds/armada', tag: '0.2.0' })
  const { outcome } = await copyTo(t, `${source.host}/uds/armada:0.2.0`, `${there.host}/copies`)
  assert.equal(outcome.indexDigest, digestOf(publishedIndex('armadaBundle')))
  assert.equal(outcome.layers, digests.length)
  for (const digest of digests) assert.ok(there.blob('copies/armada', digest), digest)
})

describe('a source that is wrong', () => {
  test('other bytes than a blob’s digest: the job fails by the source, and nothing is tagged', async (t) => {
    const { registry, reference } = await filled(t)
    const there = await memory(t)
    const layer = [...(await readPackage(FIXTURES.nemoAmd64)).files.values()].toSorted((a, b) => b.length - a.length)[0]
    assert.ok(layer)
    registry.putBlob('team/nemo', Buffer.alloc(layer.length, 1), digestOf(layer))
    await assert.rejects(copyTo(t, reference, `${there.host}/copies`, { concurrency: 1 }), (error: AppError) => {
      assert.deepEqual([error.code, error.side, error.upstream?.registry], ['DIGEST_MISMATCH', 'source', registry.host])
      return true
    })
    assert.equal(there.manifests.get('copies/nemo', '1.2.0'), undefined)
    assert.equal(there.blob('copies/nemo', digestOf(layer)), undefined)
    // The end of the upload may still be on its way.
    await waitFor('no upload to be left open', () => there.openSessions === 0)
  })

  test('an index with a dangling entry names it, and the other architectures can be copied', async (t) => {
    const { registry, reference } = await filled(t)
    const there = await memory(t)
    registry.manifests.delete('team/nemo', ARM64)
    await assert.rejects(copyTo(t, reference, `${there.host}/copies`), {
      code: 'MANIFEST_NOT_FOUND',
      message: new RegExp(ARM64),
    })
    const { outcome } = await copyTo(t, reference, `${there.host}/copies`, { architectures: ['amd64'] })
    assert.equal(outcome.digest, AMD64)
  })
})
