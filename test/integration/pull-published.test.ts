import assert from 'node:assert/strict'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { describe, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { openStoredPackage } from '../../src/transfer/stored-package.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { publishedManifest } from '../helpers/packages/fixtures.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { fillRegistry, pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { openTarget } from '../../src/files/opened-target.ts'
import { type Case, CASES, MORE_CASES } from '../helpers/packages/published-cases.ts'
import { zarfsRegistry } from '../helpers/registries/zarfs-registry.ts'

const { signal } = new AbortController()

/** Pulls into the store and into a folder; both archives equal the published package file by file. */
async function assertPulls(t: TestContext, host: string, one: Case): Promise<void> {
  const expected = await readPackage(one.path)
  const folder = await tempDir(t, 'pulled')
  const { outcome, store } = await pullFrom(t, `${host}/${one.reference}`, { architecture: one.architecture })
  assert.equal(outcome.digest, digestOf(publishedManifest(one.published, one.architecture)))
  assert.equal(outcome.reference, `oci://${host}/${one.reference}`)
  const stored = await openStoredPackage(store, outcome.digest, signal)
  assert.equal(stored.record.complete, true)
  const archive = await stored.archive()
  await pipeline(archive.open({ signal }), createWriteStream(join(folder, archive.fileName)))
  const saved = await pullFrom(t, `${host}/${one.reference}`, {
    architecture: one.architecture,
    target: openTarget({ path: join(folder, 'saved'), roots: [folder] }),
  })
  assert.equal(saved.outcome.path, join(folder, 'saved', archive.fileName))
  for (const path of [join(folder, archive.fileName), saved.outcome.path]) {
    const found = await readPackage(path)
    assert.equal(found.contents.manifest.digest, outcome.digest)
    assert.deepEqual([...found.files.keys()].toSorted(), [...expected.files.keys()].toSorted())
    for (const [title, bytes] of expected.files) assert.ok(found.files.get(title)?.equals(bytes), title)
  }
}

describe('pulling what zarf published', () => {
  test('every fixture comes back from a registry that zarf filled', async (t) => {
    const registry = await zarfsRegistry(t)
    if (!registry) return
    for (const one of CASES)
      await t.test(`${one.reference} ${one.architecture}`, (t) => assertPulls(t, `${registry.host}/zarf`, one))
    await t.test('with-sboms/nemo, and the skeleton when it is asked for', async (t) => {
      const sboms = await pullFrom(t, `${registry.host}/zarf/with-sboms/nemo:1.2.0`)
      assert.equal(sboms.outcome.digest, digestOf(publishedManifest('nemoWithSboms')))
      const skeleton = await pullFrom(t, `${registry.host}/zarf/logbook:0.1.0`, { architecture: 'skeleton' })
      assert.equal(skeleton.outcome.digest, digestOf(publishedManifest('logbook', 'skeleton')))
    })
    await t.test('a bundle, with the digest that uds gave it', async (t) => {
      const { outcome, store } = await pullFrom(t, `${registry.host}/uds/armada:0.2.0`, { architecture: 'amd64' })
      assert.equal(outcome.digest, digestOf(publishedManifest('armadaBundle')))
      assert.equal((await store.packages.get(outcome.digest))?.complete, true)
    })
  })

  test('every fixture comes back from a registry that holds what zarf pushed, blob by blob', async (t) => {
    await using registry = await startMemoryRegistry()
    const all = [...CASES, ...MORE_CASES]
    for (const one of all) {
      const [repository = '', tag = ''] = one.reference.split(':')
      await fillRegistry(registry, { repository, tag }, [one])
    }
    for (const one of all)
      await t.test(`${one.reference} ${one.architecture}`, (t) => assertPulls(t, registry.host, one))
  })

  test('every fixture comes back from a real registry that was filled by publishing', async (t) => {
    if (registryPrograms().length === 0) return t.skip('there is no registry program')
    const registry = await startDockerRegistry(t)
    for (const one of CASES) {
      const namespace = one.published === 'signedNemo' ? 'team/signed' : 'team'
      await publishTo(t, one.path, parseDestination(`${registry.host}/${namespace}`))
    }
    for (const one of CASES)
      await t.test(`${one.reference} ${one.architecture}`, (t) => assertPulls(t, `${registry.host}/team`, one))
  })

  test('zarf inspects what was pulled into a folder and finds the digest it was published with', async (t) => {
    if (skipWithout(t, 'zarf')) return
    await using registry = await startMemoryRegistry()
    await fillRegistry(registry, { repository: 'nemo', tag: '1.2.0' }, [CASES[0] as Case])
    const folder = await tempDir(t, 'pulled')
    const { outcome } = await pullFrom(t, `${registry.host}/nemo:1.2.0`, {
      architecture: 'amd64',
      target: openTarget({ path: folder, roots: [folder] }),
    })
    const zarf = findProgram('zarf') as string
    const env = { HOME: folder }
    const inspected = await runProcess(t, zarf, ['package', 'inspect', 'digest', outcome.path as string], { env })
    assert.equal(inspected.stdout.trim(), outcome.digest)
    const images = await runProcess(t, zarf, ['package', 'inspect', 'images', outcome.path as string], { env })
    assert.match(images.stdout, /apps\/compass:1\.0/)
  })
})
