import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import { digestHex, digestOf, type Digest } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { openTarget } from '../../src/files/opened-target.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { openStoredArchive, openStoredBundle } from '../../src/transfer/bundle/stored.ts'
import { buildBundle, putBuiltBundle } from '../helpers/packages/bundle-builder.ts'
import { copyTo, putBundle } from '../helpers/packages/copying.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { pullFrom } from '../helpers/packages/pulling.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()
const ROOT = digestOf(publishedManifest('armadaBundle'))

const memory = async (t: { after(work: () => Promise<void>): void }): Promise<MemoryRegistry> => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}
const armada = async (t: Parameters<typeof putBundle>[0] & { after(work: () => Promise<void>): void }) => {
  const registry = await memory(t)
  const digests = await putBundle(t, registry, { repository: 'uds/armada', tag: '0.2.0' })
  return { registry, digests, reference: `${registry.host}/uds/armada:0.2.0` }
}
const names = (path: string) => execFileSync('tar', ['--zstd', '-tf', path], { encoding: 'utf8' }).trim().split('\n')
const content = (path: string, name: string) =>
  execFileSync('tar', ['--zstd', '-xOf', path, name], { maxBuffer: 2 ** 26 })

async function pullToFile(
  t: Parameters<typeof pullFrom>[0],
  reference: string,
): Promise<{ path: string; outcome: Awaited<ReturnType<typeof pullFrom>>['outcome'] }> {
  const folder = join(await tempDir(t, 'out'), 'bundles')
  await mkdir(folder)
  await using target = openTarget({ path: folder, roots: [folder] })
  const { outcome, store } = await pullFrom(t, reference, { target })
  assert.deepEqual(await store.packages.list(), [])
  return { path: outcome.path ?? '', outcome }
}

describe('pulling a bundle', () => {
  test('into a file: the archive is the one that uds made, entry by entry, and is published to the same digests', async (t) => {
    const { reference } = await armada(t)
    const { path, outcome } = await pullToFile(t, reference)
    assert.equal(basename(path), basename(FIXTURES.armadaBundle))
    assert.deepEqual(
      [outcome.digest, outcome.name, outcome.version, outcome.architecture],
      [ROOT, 'armada', '0.2.0', 'amd64'],
    )
    assert.deepEqual(
      outcome.packages?.map(({ name }) => name),
      ['nemo', 'logbook'],
    )
    assert.deepEqual(names(path).toSorted(), names(FIXTURES.armadaBundle).toSorted())
    assert.deepEqual(names(path).slice(0, 5), names(FIXTURES.armadaBundle).slice(0, 5))
    // Each package's manifest, then its small files, whose order is any.
    for (const start of [5, 8]) {
      const [own, uds] = [path, FIXTURES.armadaBundle].map((file) => names(file).slice(start, start + 3))
      assert.equal(own?.[0], uds?.[0])
      assert.deepEqual(own?.toSorted(), uds?.toSorted())
    }
    for (const name of names(path)) assert.ok(content(path, name).equals(content(FIXTURES.armadaBundle, name)), name)
    const there = await memory(t)
    const again = await publishTo(t, path, parseDestination(`${there.host}/again`))
    assert.equal(again.outcome.digest, ROOT)
    assert.equal(again.outcome.indexDigest, digestOf(publishedIndex('armadaBundle')))
  })

  test('into the store: its inner blobs stay while it does, go with it, and are published from there', async (t) => {
    const { reference, digests } = await armada(t)
    const { outcome, store } = await pullFrom(t, reference)
    const record = await store.packages.get(ROOT)
    assert.deepEqual(
      [record?.kind, record?.complete, record?.name, record?.layers],
      ['bundle', true, 'armada', digests.length],
    )
    // Who does not know of bundles cannot read it, and so collects nothing (store/index/records.ts).
    const file = join(store.folder, 'packages', `${digestHex(ROOT)}.json`)
    assert.equal((JSON.parse(await readFile(file, 'utf8')) as { schema: number }).schema, 2)
    await store.gc({ graceMs: 0 })
    const { blobs, bundle } = await openStoredBundle(store, ROOT, signal)
    assert.deepEqual(await store.missing(blobs), [])
    assert.deepEqual(blobs.map(({ digest }) => digest).toSorted(), digests.toSorted())
    assert.equal(bundle.packages.length, 2)
    assert.equal(outcome.layers, digests.length)
    assert.deepEqual((await store.check({ signal })).findings, [])
    assert.equal(await store.packages.delete(ROOT), true)
    assert.equal((await store.missing(blobs)).length, blobs.length)
    assert.equal((await store.space()).usedBytes, 0)
  })

  test('the archive of a stored bundle is the same from any byte on', async (t) => {
    const { reference } = await armada(t)
    const { store } = await pullFrom(t, reference)
    const archive = await openStoredArchive(store, ROOT, { choice: {}, signal })
    assert.equal(archive.fileName, basename(FIXTURES.armadaBundle))
    const read = async (start: number, end: number) => {
      const chunks: Buffer[] = []
      for await (const chunk of archive.open({ start, end, signal })) chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks)
    }
    const whole = await read(0, archive.size)
    assert.equal(whole.length, archive.size)
    for (const start of [1, 511, 70_000, archive.size - 3]) {
      assert.ok((await read(start, archive.size)).equals(whole.subarray(start)), `from ${start}`)
    }
    for (const choice of [{ components: ['web'] }, { images: [] }, { metadataOnly: true }]) {
      await assert.rejects(openStoredArchive(store, ROOT, { choice, signal }), { code: 'COMPONENTS_INVALID' })
    }
  })

  test('what is damaged in the store is found, and the next pull brings it', async (t) => {
    const bundle = await buildBundle(await tempDir(t, 'bundle'), { packages: [{}, {}] })
    const registry = await memory(t)
    putBuiltBundle(registry, { repository: 'team/convoy', tag: '1.0.0' }, bundle)
    const { store } = await pullFrom(t, `${registry.host}/team/convoy:1.0.0`)
    const digest = bundle.digest as Digest
    const { bundle: found } = await openStoredBundle(store, digest, signal)
    const inner = found.packages[1]?.manifest.digest ?? ''
    execFileSync('sh', [
      '-c',
      `printf x | dd of='${join(store.folder, 'blobs', inner.replace(':', '/'))}' conv=notrunc 2>&1`,
    ])
    await assert.rejects(openStoredBundle(store, digest, signal), { code: 'STORE_CORRUPT' })
    assert.equal((await store.packages.get(digest))?.complete, false)
    await pullFrom(t, `${registry.host}/team/convoy:1.0.0`, { store })
    assert.equal((await store.packages.get(digest))?.complete, true)
  })

  test('a component that is left out is no fault; one that is required is told with its package, and nothing is stored', async (t) => {
    const registry = await memory(t)
    const optional = {
      tamper: {
        definition: (text: string) => text.replace('name: layer-0001\n    required: true', 'name: layer-0001'),
      },
    }
    const without = (title: string) => title === 'components/layer-0001.tar'
    const good = await buildBundle(await tempDir(t, 'good'), { packages: [{ ...optional, without }] })
    putBuiltBundle(registry, { repository: 'team/good', tag: '1' }, good)
    const { store } = await pullFrom(t, `${registry.host}/team/good:1`)
    const record = await store.packages.get(good.digest as Digest)
    assert.deepEqual([record?.complete, record?.without], [true, [good.titles.get('ship-0/components/layer-0001.tar')]])
    const bad = await buildBundle(await tempDir(t, 'bad'), { packages: [{ without }] })
    putBuiltBundle(registry, { repository: 'team/bad', tag: '1' }, bad)
    await assert.rejects(pullFrom(t, `${registry.host}/team/bad:1`, { store }), (error: AppError) => {
      assert.equal(error.code, 'PACKAGE_INVALID')
      assert.match(error.message, /lacks components\/layer-0001\.tar of its package ship-0/)
      return true
    })
    assert.equal((await store.packages.list()).length, 1)
    const there = await memory(t)
    const copied = await copyTo(t, `${registry.host}/team/good:1`, `${there.host}/copies`)
    assert.equal(copied.outcome.layers, good.blobs.size)
    for (const digest of good.blobs.keys()) assert.ok(there.blob('copies/good', digest), digest)
    await assert.rejects(copyTo(t, `${registry.host}/team/bad:1`, `${there.host}/copies`), {
      message: /lacks components\/layer-0001\.tar of its package ship-0/,
    })
    assert.equal(there.manifests.get('copies/bad', '1'), undefined)
  })

  test('components cannot be chosen of it, and another architecture is told', async (t) => {
    const { reference } = await armada(t)
    await assert.rejects(pullFrom(t, reference, { components: [] }), { code: 'COMPONENTS_INVALID' })
    await assert.rejects(pullFrom(t, reference, { architecture: 'arm64' }), { code: 'ARCHITECTURE_NOT_FOUND' })
  })
})
