import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import {
  FIXTURES,
  type PublishedName,
  publishedConfig,
  publishedIndex,
  publishedManifest,
} from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { contentsOf, decompressed, digestOfStream, readTar, wholeContents } from '../helpers/packages/packages.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { openPackageAt } from '../helpers/packages/open-package.ts'

const PACKAGES: { path: string; published: PublishedName; architecture?: string; signed?: boolean }[] = [
  { path: FIXTURES.nemoAmd64, published: 'nemo' },
  { path: FIXTURES.nemoArm64, published: 'nemo', architecture: 'arm64' },
  { path: FIXTURES.fleet, published: 'fleet' },
  { path: FIXTURES.pilotBrass, published: 'pilotBrass' },
  { path: FIXTURES.pilotIron, published: 'pilotIron' },
  { path: FIXTURES.logbook, published: 'logbook' },
  { path: FIXTURES.signedNemo, published: 'signedNemo', signed: true },
]

const FORMS: Record<string, (t: TestContext, path: string) => Promise<string>> = {
  '.tar.zst': async (_t, path) => path,
  '.tar': uncompress,
  directory: unpack,
}

for (const [form, prepare] of Object.entries(FORMS)) {
  describe(`a package as ${form}`, () => {
    for (const { path, published, architecture = 'amd64', signed = false } of PACKAGES) {
      test(`${published} ${architecture} has the manifest and config that zarf pushed`, async (t) => {
        const { signal } = new AbortController()
        await using opened = await openPackageAt(await prepare(t, path), { signal })
        const contents = await wholeContents(opened, signal)
        assert.equal(contents.config.bytes.toString(), publishedConfig(published, architecture).toString())
        assert.equal(contents.manifest.bytes.toString(), publishedManifest(published, architecture).toString())
        assert.equal(contents.signed, signed)
        const index = JSON.parse(publishedIndex(published).toString()) as { manifests: { digest: string }[] }
        assert.ok(index.manifests.some(({ digest }) => digest === contents.manifest.digest))
      })
    }

    test('every file opens whole, and from an offset', async (t) => {
      const { signal } = new AbortController()
      await using opened = await openPackageAt(await prepare(t, FIXTURES.logbook), { signal })
      const { layers } = await wholeContents(opened, signal)
      for (const layer of layers) {
        const whole = await digestOfStream(await opened.open(layer, { signal }))
        assert.deepEqual(whole, { digest: layer.digest, size: layer.size })
        const tail = await digestOfStream(await opened.open(layer, { signal, offset: layer.size - 10 }))
        assert.equal(tail.size, 10)
      }
    })

    test('the config blob opens by its digest', async (t) => {
      const { signal } = new AbortController()
      await using opened = await openPackageAt(await prepare(t, FIXTURES.logbook), { signal })
      const { config } = await wholeContents(opened, signal)
      const read = await digestOfStream(await opened.open(config.descriptor, { signal }))
      assert.equal(read.digest, config.descriptor.digest)
    })

    test('a blob that it does not hold is refused by name', async (t) => {
      const { signal } = new AbortController()
      await using opened = await openPackageAt(await prepare(t, FIXTURES.logbook), { signal })
      const { config } = await wholeContents(opened, signal)
      const other = { ...config.descriptor, digest: `sha256:${'0'.repeat(64)}` as typeof config.descriptor.digest }
      await assert.rejects(async () => digestOfStream(await opened.open(other, { signal })), { code: 'BLOB_NOT_FOUND' })
    })

    test('a cancel stops the reading', async (t) => {
      const controller = new AbortController()
      const path = await prepare(t, FIXTURES.nemoAmd64)
      await using opened = await openPackageAt(path, { signal: controller.signal })
      const contents = await wholeContents(opened, controller.signal)
      const largest = contents.layers.toSorted((a, b) => b.size - a.size)[0]
      assert.ok(largest)
      await assert.rejects(
        async () => {
          for await (const _ of await opened.open(largest, { signal: controller.signal })) controller.abort()
        },
        { code: 'JOB_CANCELED' },
      )
    })
  })
}

test('zarf itself computes the same digest for a generated package, and takes it for valid', async (t) => {
  if (skipWithout(t, 'zarf')) return
  for (const format of ['tar', 'tar.zst'] as const) {
    const folder = await tempDir(t)
    const { path } = await buildPackage(folder, { format, flavor: 'sour', layers: 5, layerBytes: 100_000 })
    const printed = execFileSync(findProgram('zarf') ?? '', ['package', 'inspect', 'digest', path, '--no-color'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, HOME: folder, ZARF_CACHE: folder },
    })
    assert.equal(printed.trim(), (await contentsOf(path)).manifest.digest)
  }
})

async function uncompress(t: TestContext, path: string): Promise<string> {
  const target = join(await tempDir(t), basename(path, '.zst'))
  await writeFile(target, await decompressed(path))
  return target
}

async function unpack(t: TestContext, path: string): Promise<string> {
  const folder = join(await tempDir(t), 'package')
  for (const { header, content } of await readTar(await decompressed(path))) {
    const target = join(folder, header.name)
    await mkdir(header.type === 'directory' ? target : dirname(target), { recursive: true })
    if (header.type === 'file') await writeFile(target, content)
  }
  return folder
}
