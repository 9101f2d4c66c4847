import assert from 'node:assert/strict'
import { createWriteStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { extract } from 'tar-stream'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { readAll } from '../../../src/content/streams.ts'
import { type ArchiveSource, type ComputedArchive, computeArchive } from '../../../src/zarf/computed-archive.ts'
import { tarHeader } from '../../../src/zarf/archive/tar-writer.ts'
import { FIXTURES, publishedManifest } from '../../helpers/packages/fixtures.ts'
import { someBytes } from '../../helpers/registries/oci-client.ts'
import { runProcess } from '../../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../../helpers/processes/real-tools.ts'
import { blobOf } from '../../helpers/packages/store-packages.ts'
import { tempDir } from '../../helpers/temp-dir.ts'
import { openPackageAt } from '../../helpers/packages/open-package.ts'

const { signal } = new AbortController()
const DIGEST = digestOf('a package')
const BLOCK = 128 * 1024

/** Holds the archive to what it says of its reads. */
function memorySource(contents: readonly Buffer[]): ArchiveSource {
  const byDigest = new Map(contents.map((bytes) => [digestOf(bytes), bytes]))
  return {
    async openFile({ digest }, { whole }) {
      const bytes = byDigest.get(digest) as Buffer
      let next = 0
      return {
        async read(buffers, position) {
          let at = position
          for (const buffer of buffers) at += bytes.copy(buffer, 0, at)
          next = position === next ? at : Infinity
        },
        async [Symbol.asyncDispose]() {
          assert.equal(next === bytes.length, whole)
        },
      }
    },
  }
}

function archiveOf(files: Record<string, Buffer>, fileName: string, whole = true): ComputedArchive {
  const blobs = new Map<string, Descriptor>(Object.entries(files).map(([path, bytes]) => [path, blobOf(bytes, path)]))
  return computeArchive({ digest: DIGEST, fileName, files: blobs, whole, source: memorySource(Object.values(files)) })
}

const FILES = {
  'zarf.yaml': someBytes(700, 1),
  'components/big.tar': someBytes(3 * BLOCK + 11, 2),
  'components/exact.tar': someBytes(512, 3),
  'components/empty.tar': Buffer.alloc(0),
  'checksums.txt': someBytes(99, 4),
  [`components/${'long-'.repeat(30)}ü.tar`]: someBytes(10, 5),
}

test('the tar has every file, by byte-wise name, as tar-stream reads it', async () => {
  const bytes = await readAll(archiveOf(FILES, 'p.tar').open({ signal }))
  const found: Array<[string, Buffer]> = []
  const reader = extract()
  reader.end(bytes)
  for await (const entry of reader) {
    assert.equal(entry.header.mtime?.getTime(), 0)
    found.push([entry.header.name, await readAll(entry as AsyncIterable<Buffer>)])
  }
  assert.deepEqual(
    found,
    Object.entries(FILES).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  assert.equal(found[0]?.[0], 'checksums.txt')
})

test('the tar.zst is the tar in one frame, of the size that was told before', async (t) => {
  const tar = await readAll(archiveOf(FILES, 'p.tar').open({ signal }))
  const archive = archiveOf(FILES, 'p.tar.zst')
  const zst = await readAll(archive.open({ signal }))
  assert.equal(zst.length, archive.size)
  assert.ok(zstdDecompressSync(zst).equals(tar))
  if (skipWithout(t, 'zstd')) return
  const path = join(await tempDir(t), 'p.tar.zst')
  await writeFile(path, zst)
  assert.equal((await runProcess(t, 'zstd', ['-t', path])).code, 0)
})

test('tars whose length is a whole number of blocks end in a last block', async () => {
  for (const length of [BLOCK - 512 - 1024, 2 * BLOCK - 512 - 1024]) {
    const archive = archiveOf({ 'zarf.yaml': someBytes(length) }, 'p.tar.zst')
    const zst = await readAll(archive.open({ signal }))
    assert.equal(zstdDecompressSync(zst).length % BLOCK, 0)
    assert.equal(zst.length, archive.size)
  }
})

for (const fileName of ['p.tar', 'p.tar.zst']) {
  test(`any ranges of ${fileName} put together are the whole`, async () => {
    const archive = archiveOf(FILES, fileName)
    const whole = await readAll(archive.open({ signal }))
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: archive.size - 1 }), { maxLength: 6 }),
        async (cuts) => {
          const edges = [0, ...cuts.toSorted((a, b) => a - b), archive.size]
          const parts = await Promise.all(
            edges.slice(1).map((end, index) => readAll(archive.open({ start: edges[index] as number, end, signal }))),
          )
          assert.ok(Buffer.concat(parts).equals(whole))
        },
      ),
      { numRuns: 60, examples: [[[1]], [[5, 6, 7, 8, 9, 10]], [[archive.size - 1]]] },
    )
  })
}

test('a range outside the archive is refused with its size', () => {
  const archive = archiveOf(FILES, 'p.tar')
  for (const range of [{ start: -1 }, { end: archive.size + 1 }, { start: 9, end: 8 }]) {
    assert.throws(() => archive.open({ ...range, signal }), { code: 'RANGE_NOT_SATISFIABLE' })
  }
})

test('the ETag names package, layout and selection', () => {
  assert.equal(archiveOf(FILES, 'p.tar').etag, `"${DIGEST}-1"`)
  const { 'zarf.yaml': zarfYaml, ...others } = FILES
  const [one, two] = [archiveOf({ 'zarf.yaml': zarfYaml }, 'p.tar', false), archiveOf(others, 'p.tar', false)]
  assert.match(one.etag, new RegExp(`^"${DIGEST}-1-[0-9a-f]{16}"$`))
  assert.notEqual(one.etag, two.etag)
})

test('a file of 8 GiB and more has its size in a PAX record', async () => {
  const header = tarHeader('components/huge.tar', 2 ** 33)
  assert.equal(header.length, 3 * 512)
  assert.match(header.toString('latin1', 512), /^19 size=8589934592\n/)
})

test('zarf reads the archive of a real package and finds the same digest', async (t) => {
  if (skipWithout(t, 'zarf')) return
  await using opened = await openPackageAt(FIXTURES.nemoAmd64, { signal })
  assert.equal(opened.kind, 'streamed')
  const contents: Buffer[] = []
  const files = new Map<string, Descriptor>()
  if (opened.kind === 'streamed') {
    await using pass = opened.pass({ signal })
    for await (const entry of pass) {
      const bytes = entry.bytes ?? (await readAll(entry.content()))
      contents.push(bytes)
      files.set(entry.path, blobOf(bytes, entry.path))
    }
  }
  const folder = await tempDir(t)
  const source = memorySource(contents)
  const archive = computeArchive({ digest: DIGEST, fileName: opened.fileName, files, whole: true, source })
  const path = join(folder, archive.fileName)
  await pipeline(archive.open({ signal }), createWriteStream(path))
  const env = { HOME: folder, NO_COLOR: '1' }
  const zarf = findProgram('zarf') as string
  const definition = await runProcess(t, zarf, ['package', 'inspect', 'definition', '--no-color', path], { env })
  assert.equal(definition.code, 0, definition.output)
  assert.match(definition.stdout, /name: nemo/)
  const digest = await runProcess(t, zarf, ['package', 'inspect', 'digest', path], { env })
  assert.equal(digest.stdout.trim(), digestOf(publishedManifest('nemo')))
})
