import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import { digestOf } from '../../src/content/digest.ts'
import { parseManifest, successors } from '../../src/content/manifest.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import {
  FIXTURES,
  type PublishedName,
  publishedConfig,
  publishedIndex,
  publishedManifest,
} from '../helpers/packages/fixtures.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** Fixture, its published form, and where it goes. */
const CASES: ReadonlyArray<{ path: string; published: PublishedName; repository: string; tag: string }> = [
  { path: FIXTURES.fleet, published: 'fleet', repository: 'team/fleet', tag: '0.0.1' },
  { path: FIXTURES.pilotBrass, published: 'pilotBrass', repository: 'team/pilot', tag: '2.0.0-rc.7-brass' },
  { path: FIXTURES.pilotIron, published: 'pilotIron', repository: 'team/pilot', tag: '2.0.0-rc.7-iron' },
  { path: FIXTURES.signedNemo, published: 'signedNemo', repository: 'team/nemo', tag: '1.2.0' },
]

const signal = () => new AbortController().signal
const moved = (events: readonly EngineEvent[]) => events.filter((event) => event.type === 'complete').length

for (const program of registryPrograms()) {
  describe(`publishing to ${program}`, () => {
    for (const one of CASES) {
      test(`${one.published} is byte for byte what zarf publishes`, async (t) => {
        const registry = await startDockerRegistry(t, { program })
        const destination = parseDestination(`${registry.host}/team`)
        const { outcome } = await publishTo(t, one.path, destination)
        assert.equal(outcome.reference, `oci://${registry.host}/${one.repository}:${one.tag}`)
        assert.equal(outcome.digest, digestOf(publishedManifest(one.published)))
        const repository = await registryClient(t).repository(registry.host, one.repository)
        const index = await repository.getManifest(one.tag, { signal: signal() })
        assert.equal(index?.bytes.toString(), publishedIndex(one.published).toString())
        assert.equal(outcome.indexDigest, index.digest)
        const manifest = await repository.getManifest(outcome.digest, { signal: signal() })
        assert.equal(manifest?.bytes.toString(), publishedManifest(one.published).toString())
        for (const blob of successors(parseManifest(manifest, one.tag))) {
          assert.equal((await repository.stat(blob.digest, { signal: signal() }))?.size, blob.size, blob.digest)
        }
        const response = await fetch(
          `${registry.url}/v2/${one.repository}/blobs/${digestOf(publishedConfig(one.published))}`,
        )
        assert.equal(await response.text(), publishedConfig(one.published).toString())
      })
    }

    for (const order of [
      ['nemoAmd64', 'nemoArm64'],
      ['nemoArm64', 'nemoAmd64'],
    ] as const) {
      test(`both architectures of nemo stand under one tag, ${order.join(' first, then ')}`, async (t) => {
        const registry = await startDockerRegistry(t, { program })
        const destination = parseDestination(`${registry.host}/team`)
        for (const name of order) await publishTo(t, FIXTURES[name], destination)
        await assertNemo(t, registry.host)
      })
    }

    test('both architectures of nemo published at once stand under one tag', async (t) => {
      const registry = await startDockerRegistry(t, { program })
      const destination = parseDestination(`${registry.host}/team`)
      await Promise.all([publishTo(t, FIXTURES.nemoAmd64, destination), publishTo(t, FIXTURES.nemoArm64, destination)])
      await assertNemo(t, registry.host)
    })

    test('layers that the registry has are not sent', async (t) => {
      const registry = await startDockerRegistry(t, { program })
      const destination = parseDestination(`${registry.host}/team`)
      const first = await publishTo(t, FIXTURES.fleet, destination)
      assert.ok(moved(first.events) > 400)
      const again = await publishTo(t, FIXTURES.fleet, destination)
      assert.equal(moved(again.events), 0)
      assert.equal(again.outcome.indexDigest, first.outcome.indexDigest)
    })

    test('a tar and a folder give the same digest as the tar.zst', async (t) => {
      const registry = await startDockerRegistry(t, { program })
      const folder = await tempDir(t)
      const tar = join(folder, 'zarf-package-nemo-amd64-1.2.0.tar')
      const unpacked = join(folder, 'nemo')
      await mkdir(unpacked)
      await runProcess(t, 'zstd', ['-dq', FIXTURES.nemoAmd64, '-o', tar])
      await runProcess(t, 'tar', ['-xf', tar, '-C', unpacked])
      for (const [at, path] of [tar, unpacked].entries()) {
        const { outcome } = await publishTo(t, path, parseDestination(`${registry.host}/from${at}`))
        assert.equal(outcome.digest, digestOf(publishedManifest('nemo')))
      }
    })

    test('a misnamed archive goes on under its own name and leaves no tag under the wrong one', async (t) => {
      const registry = await startDockerRegistry(t, { program })
      const folder = await tempDir(t)
      const misnamed = join(folder, 'zarf-package-shark-amd64-9.9.9.tar.zst')
      await runProcess(t, 'cp', [FIXTURES.logbook, misnamed])
      const { outcome } = await publishTo(t, misnamed, parseDestination(registry.host))
      assert.equal(outcome.reference, `oci://${registry.host}/logbook:0.1.0`)
      const wrong = await registryClient(t).repository(registry.host, 'shark')
      assert.equal(await wrong.getManifest('9.9.9', { signal: signal() }), undefined)
    })

    test('the real zarf and skopeo read what was published', async (t) => {
      if (skipWithout(t, 'zarf')) return
      const registry = await startDockerRegistry(t, { program })
      const { outcome } = await publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${registry.host}/team`))
      const cache = await tempDir(t)
      const zarf = findProgram('zarf') ?? ''
      const args = [
        'package',
        'inspect',
        'digest',
        outcome.reference,
        '-a',
        'amd64',
        '--plain-http',
        '--cache',
        cache,
        '--no-color',
      ]
      const { stdout } = await runProcess(t, zarf, args)
      assert.match(stdout, new RegExp(outcome.digest))
    })
  })
}

test('a package under another file name goes by the name and the tag that are given', async (t) => {
  const folder = await tempDir(t)
  const path = join(folder, 'fresh.tar.zst')
  await copyFile(FIXTURES.nemoAmd64, path)
  await using registry = await startMemoryRegistry()
  const { outcome } = await publishTo(t, path, parseDestination(registry.host), { name: 'nemo', tag: 't1' })
  assert.equal(outcome.reference, `oci://${registry.host}/nemo:t1`)
})

/** The two entries of nemo's index, in whichever order they were published. */
async function assertNemo(t: Parameters<typeof registryClient>[0], host: string): Promise<void> {
  const repository = await registryClient(t).repository(host, 'team/nemo')
  const raw = await repository.getManifest('1.2.0', { signal: signal() })
  assert.ok(raw)
  const entries = (JSON.parse(raw.bytes.toString()) as { manifests: unknown[] }).manifests
  const expected = (JSON.parse(publishedIndex('nemo').toString()) as { manifests: unknown[] }).manifests
  const sorted = (list: unknown[]) => list.map((entry) => JSON.stringify(entry)).toSorted()
  assert.deepEqual(sorted(entries), sorted(expected))
  for (const architecture of ['amd64', 'arm64']) {
    const manifest = await repository.getManifest(digestOf(publishedManifest('nemo', architecture)), {
      signal: signal(),
    })
    assert.equal(manifest?.bytes.toString(), publishedManifest('nemo', architecture).toString())
  }
}
