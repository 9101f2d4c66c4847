import assert from 'node:assert/strict'
import { appendFile, rename, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readAll } from '../../../../src/content/streams.ts'
import { openPackage, type PackageEntry, type StreamedPackage } from '../../../../src/zarf/package.ts'
import { defer } from '../../../helpers/cleanup.ts'
import {
  type ArchiveEntry,
  type BuiltPackage,
  buildPackage,
  type PackageOptions,
} from '../../../helpers/packages/package-builder.ts'
import { contentsOf, digestOfStream } from '../../../helpers/packages/packages.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { openPackageAt } from '../../../helpers/packages/open-package.ts'
import { openSource } from '../../../../src/files/opened-file.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

test('a pass meets every file once, in order, with its declared digest; content is read only where asked for', async (t) => {
  const { opened, built } = await streamed(t, { layers: 5, layerBytes: 3 * MIB + 5 })
  await using pass = opened.pass({ signal })
  const met: PackageEntry[] = []
  for await (const entry of pass) {
    met.push(entry)
    if (met.length % 2 === 0) assert.equal((await digestOfStream(entry.content())).digest, entry.digest)
  }
  assert.deepEqual(
    met.map(({ path, digest, size }) => ({ path, digest, size })),
    built.files,
  )
  assert.deepEqual(
    met.filter(({ bytes }) => bytes).map(({ path }) => path),
    ['checksums.txt', 'zarf.yaml'],
  )
  assert.equal(pass.sourceBytesRead, opened.sourceBytes)
  assert.equal((await opened.conclude(met)).files.length, built.files.length)
})

test('content that was begun and left is passed over', async (t) => {
  const { opened, built } = await streamed(t, { layers: 3, layerBytes: 2 * MIB })
  const paths: string[] = []
  for await (const entry of opened.pass({ signal })) {
    paths.push(entry.path)
    for await (const _ of entry.content()) break
  }
  assert.deepEqual(
    paths,
    built.files.map(({ path }) => path),
  )
})

test('content cannot be asked for after the pass has gone on', async (t) => {
  const { opened } = await streamed(t, { layers: 2, layerBytes: MIB })
  let earlier: PackageEntry | undefined
  await assert.rejects(async () => {
    for await (const entry of opened.pass({ signal })) {
      if (earlier) await digestOfStream(earlier.content())
      if (entry.path.startsWith('components/')) earlier = entry
    }
  }, /after the pass had gone on/)
})

test('several passes run side by side, each at its own pace', async (t) => {
  const { opened, built } = await streamed(t, { layers: 6, layerBytes: MIB })
  const digests = await Promise.all(
    [0, 1, 2].map(async (skipped) => {
      const found: string[] = []
      for await (const entry of opened.pass({ signal })) {
        const read = found.length % 3 === skipped ? (await digestOfStream(entry.content())).digest : entry.digest
        found.push(read)
      }
      return found
    }),
  )
  for (const found of digests)
    assert.deepEqual(
      found,
      built.files.map(({ digest }) => digest),
    )
})

test('the declared digests come from the head of the archive', async (t) => {
  const { opened, built } = await streamed(t, { layers: 2 })
  const declared = await opened.declared({ signal })
  const layers = built.files.filter(({ path }) => path.startsWith('components/'))
  assert.deepEqual(
    [...declared],
    layers.map(({ path, digest }) => [path, digest]),
  )
})

test('checksums.txt may come last: it is looked for', async (t) => {
  const { opened, built } = await streamed(t, {
    layers: 3,
    tamper: { entries: (entries) => [...entries.slice(1), ...entries.slice(0, 1)] },
  })
  assert.equal((await opened.declared({ signal })).size, 3)
  const contents = await opened.scan({ signal })
  assert.equal(contents.files.at(-1)?.path, 'checksums.txt')
  assert.equal(contents.files.length, built.files.length)
})

test('a signature may follow zarf.yaml, as before zarf v0.81', async (t) => {
  const { opened } = await streamed(t, { unlisted: { 'zarf.yaml.sig': 'signature' } })
  const contents = await opened.scan({ signal })
  assert.equal(contents.signed, true)
  assert.equal(contents.files.at(-1)?.path, 'zarf.yaml.sig')
})

test('a signed package may name further files that checksums.txt does not list', async (t) => {
  const build = { signed: true, provenanceFiles: ['checksums.txt', 'future.sig', 'zz.sig'] }
  for (const format of ['tar.zst', 'tar', 'directory'] as const) {
    const { path } = await buildPackage(await tempDir(t), {
      format,
      build,
      unlisted: { 'future.sig': 'before zarf.yaml', 'zz.sig': 'behind it' },
    })
    const { files, signed } = await contentsOf(path)
    assert.equal(signed, true)
    assert.equal(files.filter((file) => file.path.endsWith('.sig')).length, 2)
  }
})

for (const [size, last] of [
  [10, 'components/layer-0001.tar'],
  [17 * MIB, 'checksums.txt'],
] as const) {
  test(`an unlisted file of ${size} bytes ends the pass itself, the last entry before is ${last}`, async (t) => {
    const { opened } = await streamed(t, { unlisted: { 'components/extra.tar': { bytes: size, compressible: 1 } } })
    const met: string[] = []
    await assert.rejects(
      async () => {
        for await (const { path } of opened.pass({ signal })) met.push(path)
      },
      { code: 'PACKAGE_INVALID', message: /holds components\/extra\.tar, which/ },
    )
    assert.equal(met.at(-1), last)
  })
}

test('what a pass learnt is known to the next opening of the same file, and forgotten when it changes', async (t) => {
  const { opened, built } = await streamed(t, {})
  assert.equal(opened.known, undefined)
  const contents = await opened.scan({ signal })
  await using again = await openPackageAt(built.path, { signal })
  assert.ok(again.kind === 'streamed')
  assert.equal(again.known?.manifest.digest, contents.manifest.digest)
  await utimes(built.path, 1, 1)
  await using changed = await openPackageAt(built.path, { signal })
  assert.ok(changed.kind === 'streamed')
  assert.equal(changed.known, undefined)
})

test('an archive that changes during a pass is not concluded', async (t) => {
  const { opened, built } = await streamed(t, { layers: 2, layerBytes: MIB })
  await assert.rejects(
    async () => {
      for await (const entry of opened.pass({ signal })) {
        if (entry.path === 'zarf.yaml') await appendFile(built.path, 'x')
      }
    },
    { code: 'PACKAGE_CHANGED' },
  )
})

test('a file opens from an offset, with what comes before it passed over', async (t) => {
  const { opened } = await streamed(t, { layers: 3, layerBytes: 2 * MIB })
  const { layers } = await opened.scan({ signal })
  const layer = layers.find(({ annotations }) => Object.values(annotations ?? {}).includes('components/layer-0002.tar'))
  assert.ok(layer)
  const whole = await readAll(await opened.open(layer, { signal }))
  const tail = await readAll(await opened.open(layer, { signal, offset: MIB + 3 }))
  assert.ok(whole.subarray(MIB + 3).equals(tail))
})

test('a scan tells how far it has read', async (t) => {
  const { opened } = await streamed(t, { layers: 3, layerBytes: 2 * MIB, compressible: 0 })
  const seen: number[] = []
  await opened.scan({ signal, onRead: (bytes) => seen.push(bytes) })
  assert.ok(seen.length > 3)
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  )
  assert.equal(seen.at(-1), opened.sourceBytes)
})

test('a cancel ends a pass in the middle of an entry', async (t) => {
  const { opened } = await streamed(t, { layers: 2, layerBytes: 8 * MIB, compressible: 0 })
  const controller = new AbortController()
  await assert.rejects(
    async () => {
      for await (const entry of opened.pass({ signal: controller.signal })) {
        for await (const _ of entry.content()) if (entry.size > MIB) controller.abort()
      }
    },
    { code: 'JOB_CANCELED' },
  )
})

test('a pass that is disposed of early ends its reading', async (t) => {
  const { opened } = await streamed(t, { layers: 4, layerBytes: 4 * MIB, compressible: 0 })
  let read = 0
  {
    await using pass = opened.pass({ signal })
    for await (const entry of pass) {
      if (entry.path.startsWith('components/')) break
    }
    read = pass.sourceBytesRead
  }
  assert.ok(read < opened.sourceBytes)
})

test('layers may have any ratio: 64 MiB of one byte stream through', async (t) => {
  const { opened, built } = await streamed(t, { layers: 1, layerBytes: 64 * MIB, compressible: 1 })
  assert.ok(opened.sourceBytes < MIB)
  assert.equal((await opened.scan({ signal })).files.length, built.files.length)
})

test('an upload is opened under the name its user gave it', async (t) => {
  const built = await buildPackage(await tempDir(t), {})
  const stored = join(await tempDir(t), '0192-upload')
  await rename(built.path, stored)
  await using opened = await openPackageAt(stored, { signal, sourceName: built.fileName })
  assert.equal(opened.format, 'tar.zst')
  assert.equal(opened.fileName, built.fileName)
  assert.deepEqual(opened.kind === 'streamed' && opened.guess?.name, 'sample')
})

test('a source is closed with the package, and when opening fails', async (t) => {
  const built = await buildPackage(await tempDir(t), {})
  for (const name of [built.fileName, 'package.zip']) {
    const source = await openSource(built.path, name)
    assert.ok('file' in source)
    const opening = openPackage(source, { signal })
    if (name === built.fileName) await (await opening)[Symbol.asyncDispose]()
    else await assert.rejects(opening, { code: 'PACKAGE_FORMAT_UNSUPPORTED' })
    await assert.rejects(source.file.read(Buffer.alloc(1), 0), { code: 'PACKAGE_UNREADABLE' })
  }
})

test('the decoder window is known before anything is decoded', async (t) => {
  const { opened } = await streamed(t, { layers: 2, layerBytes: 8 * MIB })
  assert.ok(opened.windowBytes >= MIB && opened.windowBytes <= 128 * MIB)
})

test('entries of one name told apart by nothing are refused in whatever order', async (t) => {
  const twice = (entries: ArchiveEntry[]): ArchiveEntry[] => [entries[0] as ArchiveEntry, ...entries]
  const { opened } = await streamed(t, { tamper: { entries: twice } })
  await assert.rejects(opened.scan({ signal }), { code: 'PACKAGE_INVALID', message: /holds checksums\.txt twice/ })
})

async function streamed(
  t: TestContext,
  options: PackageOptions,
): Promise<{ opened: StreamedPackage; built: BuiltPackage }> {
  const built = await buildPackage(await tempDir(t), options)
  const opened = await openPackageAt(built.path, { signal })
  defer(t, async () => opened[Symbol.asyncDispose]())
  assert.ok(opened.kind === 'streamed')
  return { opened, built }
}
