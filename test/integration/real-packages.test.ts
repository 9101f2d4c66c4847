import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { describe, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { openStoredPackage } from '../../src/transfer/stored-package.ts'
import { startWebServer } from '../helpers/network/web-server.ts'
import { publishedConfig, publishedIndex, publishedManifest, sharedFixture } from '../helpers/packages/fixtures.ts'
import { MORE_CASES } from '../helpers/packages/published-cases.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { splitPackage } from '../helpers/packages/split-package.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { zarfsRegistry } from '../helpers/registries/zarfs-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()

async function registryOf(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}

describe('packages of every kind', () => {
  for (const { path, published, reference, architecture } of MORE_CASES) {
    test(`${basename(path)} is byte for byte what zarf publishes`, async (t) => {
      const registry = await registryOf(t)
      const { outcome } = await publishTo(t, path, parseDestination(`${registry.host}/team`))
      assert.equal(outcome.reference, `oci://${registry.host}/team/${reference}`)
      assert.equal(outcome.digest, digestOf(publishedManifest(published, architecture)))
      assert.equal(outcome.indexDigest, digestOf(publishedIndex(published)))
      const [name = ''] = reference.split(':')
      const config = digestOf(publishedConfig(published, architecture))
      const repository = await registryClient(t).repository(registry.host, `team/${name}`)
      assert.equal((await repository.stat(config, { signal }))?.size, publishedConfig(published, architecture).length)
    })

    test(`${basename(path)} that was pulled goes on as it is`, async (t) => {
      const [from, there] = [await registryOf(t), await registryOf(t)]
      const [repository = '', tag = ''] = reference.split(':')
      await fillRegistry(from, { repository, tag }, [{ path, published, architecture }])
      const system = await startJobSystem(t, { roots: [] })
      await system.worker('one')
      const pulled = await system.ended(
        (await system.pull(`oci://${from.host}/${reference}`, { options: { architecture } })).id,
      )
      const source = `store:${pulled.result?.digest}`
      const job = await system.ended((await system.publish('', `oci://${there.host}/team`, { source })).id)
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
      assert.equal(job.result?.indexDigest, digestOf(publishedIndex(published)))
    })
  }

  test('a skeleton that was pulled and saved is published as zarf published it', async (t) => {
    const registry = await zarfsRegistry(t)
    if (!registry) return
    const { outcome, store } = await pullFrom(t, `${registry.host}/zarf/logbook:0.1.0`, { architecture: 'skeleton' })
    const archive = await (await openStoredPackage(store, outcome.digest, signal)).archive()
    const path = join(await tempDir(t), archive.fileName)
    assert.equal(archive.fileName, 'zarf-package-logbook-skeleton-0.1.0.tar.zst')
    await pipeline(archive.open({ signal }), createWriteStream(path))
    const there = await registryOf(t)
    const published = await publishTo(t, path, parseDestination(`${there.host}/team`))
    assert.equal(published.outcome.digest, digestOf(publishedManifest('logbook', 'skeleton')))
    assert.equal(published.outcome.architecture, 'skeleton')
  })
})

/** By `zarf package inspect digest` of v0.84. */
const OLD = {
  'zarf-package-wordpress-amd64-16.0.4.tar.zst': '68566e166d16c7127ffcb3b10fd48ce538aa4022b15d6e91a052b62e6cd7cc63',
  'zarf-package-empty-amd64-0.0.1.tar.zst': 'a0d6495c99841e07d1bfca621bfb478f3acd1280eb274b6d93bbd16b0785dc34',
  'zarf-package-test-uncompressed-amd64-0.0.1.tar': '260f7777f0e474617a0864cf6102384b7fc5a2d2b7dbdd83679740c12375b8a0',
  'zarf-package-real-simple-amd64-0.0.1.tar.zst': '9879e4d388ab52a07e3be404ec56cb36233d44cc673c7a81510d30568d77bb89',
}

for (const [name, digest] of Object.entries(OLD)) {
  test(`${name}, which an old zarf made, is published from a file, in parts and from a web server`, async (t) => {
    const path = sharedFixture(`old/${name}`)
    if (!existsSync(path)) return t.skip('shared/fixtures/old is not there')
    const [root, registry, server] = [await tempDir(t), await registryOf(t), await startWebServer(t)]
    const bytes = await readFile(path)
    server.paths.set(`/${name}`, { bytes })
    const { head } = await splitPackage(path, root, Math.ceil(bytes.length / 3))
    const system = await startJobSystem(t, { roots: [root, sharedFixture('old')] })
    await system.worker('one')
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    for (const more of [
      { source: `file:${path}` },
      { source: `file:${head}` },
      { source: `${server.url}/${name}`, options: { sha256 } },
    ]) {
      const job = await system.ended((await system.publish('', `oci://${registry.host}/team`, more)).id)
      assert.equal(job.result?.digest, `sha256:${digest}`, JSON.stringify(job.error))
    }
  })
}
