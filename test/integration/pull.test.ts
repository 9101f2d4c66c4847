import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination, parseReference } from '../../src/content/reference.ts'
import { readAll } from '../../src/content/streams.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { inspectPackage } from '../../src/transfer/inspect/overview.ts'
import { openStoredPackage } from '../../src/transfer/stored-package.ts'
import { publishedConfig, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { fillRegistry, pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { openTarget } from '../../src/files/opened-target.ts'
import { type Case, CASES } from '../helpers/packages/published-cases.ts'

const { signal } = new AbortController()

describe('a pull', () => {
  test('tells its plan first, and each blob once, up to its last byte', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'fleet', tag: '0.0.1' }, [CASES[2] as Case])
    const { events, outcome } = await pullFrom(t, `${registry.host}/fleet:0.0.1`)
    const plan = events.find((event) => event.type === 'plan')
    const rows = events.filter((event) => event.type === 'transfer')
    assert.ok(plan)
    assert.deepEqual([plan.layers, plan.bytes], [rows.length, outcome.bytes])
    assert.ok(events.indexOf(plan) < events.findIndex((event) => event.type === 'started'))
    assert.equal(events.filter((event) => event.type === 'complete').length, rows.length)
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'phase' ? [event.phase] : [])),
      ['planning', 'transferring', 'committing'],
    )
    const gets = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
    assert.equal(gets.length, rows.length)
  })

  test('skips what the store holds, of this package or another', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'nemo', tag: '1.2.0' }, [CASES[0] as Case])
    await fillRegistry(registry, { repository: 'signed/nemo', tag: '1.2.0' }, [CASES[6] as Case])
    const first = await pullFrom(t, `${registry.host}/nemo:1.2.0`, { architecture: 'amd64' })
    const again = await pullFrom(t, `${registry.host}/nemo:1.2.0`, { architecture: 'amd64', store: first.store })
    assert.deepEqual(moved(again.events), [])
    const signed = await pullFrom(t, `${registry.host}/signed/nemo:1.2.0`, { store: first.store })
    assert.ok(signed.events.some((event) => event.type === 'exists'))
    assert.ok(moved(signed.events).length < first.outcome.layers)
    const stored = await first.store.packages.list()
    assert.deepEqual(stored.map(({ signed, complete }) => `${signed} ${complete}`).toSorted(), [
      'false true',
      'true true',
    ])
  })

  test('of one package twice at once shares the work', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'fleet', tag: '0.0.1' }, [CASES[2] as Case])
    const first = pullFrom(t, `${registry.host}/fleet:0.0.1`)
    const { store } = await first
    await store.packages.delete((await first).outcome.digest)
    registry.requests.length = 0
    const both = await Promise.all([1, 2].map(() => pullFrom(t, `${registry.host}/fleet:0.0.1`, { store })))
    assert.equal(both[0]?.outcome.digest, both[1]?.outcome.digest)
    const blobs = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
    // Each reads the two metadata layers for itself.
    assert.ok(blobs.length <= 2 + (both[0]?.events.filter((event) => event.type === 'transfer').length ?? 0))
    assert.equal((await store.check({ signal })).findings.length, 0)
  })

  test('of some components has what they need and says what the whole archive lacks', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'nemo', tag: '1.2.0' }, [CASES[0] as Case])
    const reference = `${registry.host}/nemo:1.2.0`
    const { outcome, store } = await pullFrom(t, reference, { architecture: 'amd64', components: ['library'] })
    const stored = await openStoredPackage(store, outcome.digest, signal)
    assert.deepEqual([stored.record.complete, stored.record.components], [false, ['vessel', 'library']])
    const archive = await stored.archive({ components: ['library'] })
    const folder = await tempDir(t, 'pulled')
    await writeFile(join(folder, archive.fileName), await readAll(archive.open({ signal })))
    await assert.rejects(stored.archive(), (error: Error & { code: string; details: { missing: string[] } }) => {
      assert.equal(error.code, 'PACKAGE_INCOMPLETE')
      assert.ok(error.details.missing.includes('components/instruments.tar'))
      assert.ok(!error.details.missing.includes('components/library.tar'))
      return true
    })
    await assert.rejects(stored.archive({ components: ['instruments'] }), { code: 'PACKAGE_INCOMPLETE' })
    const whole = await pullFrom(t, reference, { architecture: 'amd64', store })
    assert.ok(whole.events.some((event) => event.type === 'exists'))
    assert.notEqual((await (await openStoredPackage(store, outcome.digest, signal)).archive()).etag, archive.etag)
  })

  test('into a folder leaves the archive alone, and no blob beside it', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'logbook', tag: '0.1.0' }, [CASES[5] as Case])
    const folder = join(await tempDir(t, 'pulled'), 'new')
    const { outcome, store } = await pullFrom(t, `${registry.host}/logbook:0.1.0`, {
      target: openTarget({ path: folder, roots: [folder] }),
    })
    assert.deepEqual(await readdir(folder), ['zarf-package-logbook-amd64-0.1.0.tar.zst'])
    assert.deepEqual([(await store.space()).usedBytes, await store.packages.list()], [0, []])
    assert.equal(outcome.path, join(folder, 'zarf-package-logbook-amd64-0.1.0.tar.zst'))
  })

  test('of an uncompressed package gives a plain tar', async (t) => {
    await using registry = await startMemoryRegistry()
    const folder = await tempDir(t, 'built')
    const built = await buildPackage(folder, { format: 'tar', layers: 3, layerBytes: 300_000 })
    await publishTo(t, built.path, parseDestination(`${registry.host}/team`))
    const { outcome } = await pullFrom(t, `${registry.host}/team/sample:1.0.0`, {
      target: openTarget({ path: join(folder, 'pulled'), roots: [folder] }),
    })
    assert.equal(outcome.path, join(folder, 'pulled', 'zarf-package-sample-amd64-1.0.0.tar'))
    const { contents } = await readPackage(outcome.path)
    assert.equal(contents.manifest.digest, outcome.digest)
  })

  test('is served to its last byte although it is deleted meanwhile, and is gone after that', async (t) => {
    await using registry = await startMemoryRegistry()
    const built = await buildPackage(await tempDir(t, 'built'), { layers: 3, layerBytes: 3_000_000 })
    await publishTo(t, built.path, parseDestination(`${registry.host}/team`))
    const { outcome, store } = await pullFrom(t, `${registry.host}/team/sample:1.0.0`)
    const archive = await (await openStoredPackage(store, outcome.digest, signal)).archive()
    let bytes = 0
    for await (const chunk of archive.open({ signal })) {
      if (bytes === 0) assert.equal(await store.packages.delete(outcome.digest), true)
      bytes += chunk.length
    }
    assert.equal(bytes, archive.size)
    await assert.rejects(openStoredPackage(store, outcome.digest, signal), { code: 'PACKAGE_NOT_STORED' })
    await store.gc({ graceMs: 0 })
    assert.equal((await store.space()).usedBytes, 0)
  })

  test('refuses a target that exists before bytes move, unless it may replace it', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'logbook', tag: '0.1.0' }, [CASES[5] as Case])
    const folder = await tempDir(t, 'pulled')
    const path = join(folder, 'zarf-package-logbook-amd64-0.1.0.tar.zst')
    await writeFile(path, 'mine')
    const events: EngineEvent[] = []
    const request = {
      target: openTarget({ path: folder, roots: [folder] }),
      onEvent: (event: EngineEvent) => events.push(event),
    }
    await assert.rejects(pullFrom(t, `${registry.host}/logbook:0.1.0`, request), { code: 'PACKAGE_EXISTS' })
    assert.ok(!events.some((event) => event.type === 'transfer'))
    await pullFrom(t, `${registry.host}/logbook:0.1.0`, { ...request, overwrite: true })
    assert.ok((await readPackage(path)).files.has('zarf.yaml'))
  })

  test('that lost its right to write records nothing', async (t) => {
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'logbook', tag: '0.1.0' }, [CASES[5] as Case])
    const first = await pullFrom(t, `${registry.host}/logbook:0.1.0`)
    await first.store.packages.delete(first.outcome.digest)
    const fenced = async () => Promise.reject(new Error('fenced'))
    await assert.rejects(pullFrom(t, `${registry.host}/logbook:0.1.0`, { store: first.store, checkOwnership: fenced }))
    assert.deepEqual(await first.store.packages.list(), [])
  })
})

test('inspecting reads manifest and zarf.yaml alone, and says what is in the package', async (t) => {
  await using registry = await startMemoryRegistry()
  await fillRegistry(registry, { repository: 'nemo', tag: '1.2.0' }, [CASES[0] as Case, CASES[1] as Case])
  const repository = await openRepository(t, registry.host, { repository: 'nemo' })
  const reference = parseReference(`${registry.host}/nemo:1.2.0`)
  const found = await inspectPackage({ reference, architecture: 'arm64' }, { repository, signal })
  assert.deepEqual(
    [found.name, found.version, found.flavor, found.architecture, found.signed, found.architectures, found.tags],
    ['nemo', '1.2.0', null, 'arm64', false, ['amd64', 'arm64'], ['1.2.0']],
  )
  assert.equal(found.reference, `oci://${registry.host}/nemo:1.2.0`)
  assert.equal(found.digest, digestOf(publishedManifest('nemo', 'arm64')))
  assert.equal(found.indexDigest, digestOf(publishedIndex('nemo')))
  assert.deepEqual(
    found.components.map(({ name, required, images }) => [name, required, images.length]),
    [
      ['vessel', true, 2],
      ['instruments', false, 2],
      ['library', false, 0],
    ],
  )
  assert.equal(found.images.length, 3)
  assert.deepEqual(found.definition, publishedConfig('nemo', 'arm64'))
  assert.ok(found.layers.some(({ title }) => title === 'components/vessel.tar'))
  assert.equal(registry.requests.filter(({ path }) => path.includes('/blobs/')).length, 1)
})

function moved(events: readonly EngineEvent[]): EngineEvent[] {
  return events.filter((event) => event.type === 'complete')
}
