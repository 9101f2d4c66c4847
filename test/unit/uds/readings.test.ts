import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSource } from '../../../src/files/opened-file.ts'
import { openBundle } from '../../../src/uds/bundle-archive.ts'
import { readerOf } from '../../../src/transfer/bundle/read.ts'
import { metadataLayers } from '../../../src/zarf/pulled-package.ts'
import { buildBundle } from '../../helpers/packages/bundle-builder.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

test('the metadata of all packages of an archive cost one reading, wherever they lie in it', async (t) => {
  const { signal } = new AbortController()
  const { path } = await buildBundle(await tempDir(t, 'bundle'), {
    packages: Array.from({ length: 12 }, () => ({ layers: 1 })),
    tamper: { entries: (entries) => entries.toReversed() },
  })
  const source = await openSource(path)
  assert.ok('file' in source)
  const { file } = source
  let readings = 0
  const stream: typeof file.stream = (range) => {
    readings += 1
    return file.stream(range)
  }
  const dispose = () => file[Symbol.asyncDispose]()
  await using opened = await openBundle(
    { ...source, file: { ...file, stream, [Symbol.asyncDispose]: dispose } },
    { signal },
  )
  assert.ok(opened.kind === 'streamed-bundle')
  const { packages } = await opened.read({ signal })
  const before = readings
  const read = readerOf(opened, signal)
  for (const { layers } of packages) {
    const { definition, checksums } = metadataLayers(layers)
    assert.deepEqual(
      [(await read(definition)).length, (await read(checksums)).length],
      [definition.size, checksums.size],
    )
  }
  assert.equal(readings - before, 1)
})
