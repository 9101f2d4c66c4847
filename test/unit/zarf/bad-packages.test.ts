import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { BAD_ARCHIVES } from '../../helpers/packages/bad-archives.ts'
import { decompressed, contentsOf } from '../../helpers/packages/packages.ts'
import { buildPackage } from '../../helpers/packages/package-builder.ts'
import { FIXTURES } from '../../helpers/packages/fixtures.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

for (const format of ['tar', 'tar.zst'] as const) {
  describe(`a bad .${format}`, () => {
    for (const { name, options, code, message } of BAD_ARCHIVES) {
      test(name, async (t) => {
        const { path } = await buildPackage(await tempDir(t), { ...options, format })
        await assert.rejects(contentsOf(path), { code, message })
      })
    }

    test('cut short anywhere: never taken for whole', async (t) => {
      const folder = await tempDir(t)
      const { path, fileName } = await buildPackage(folder, { format })
      const bytes = await readFile(path)
      for (const length of [0, 1, 10, bytes.length / 4, bytes.length / 2, bytes.length - 1100, bytes.length - 1]) {
        const cut = join(folder, `cut-${fileName}`)
        await writeFile(cut, bytes.subarray(0, Math.floor(length)))
        // The last blocks of an uncompressed tar are its end mark and padding, of which one block is enough.
        if (format === 'tar' && length === bytes.length - 1) continue
        await assert.rejects(contentsOf(cut), { code: 'PACKAGE_TRUNCATED' }, `cut at ${length}`)
      }
    })
  })
}

test('a flipped byte in a real package is met while it is read, and the entry is named', async (t) => {
  const folder = await tempDir(t)
  const bytes = await readFile(FIXTURES.nemoAmd64)
  bytes[bytes.length / 2] = (bytes[bytes.length / 2] ?? 0) ^ 0x01
  const path = join(folder, 'flipped.tar.zst')
  await writeFile(path, bytes)
  await assert.rejects(contentsOf(path), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'PACKAGE_INVALID')
    assert.match(error.message, /damaged.*met at the entry \S+/)
    return true
  })
})

test('a flipped byte in a tar header is met by its checksum', async (t) => {
  const folder = await tempDir(t)
  const tar = await decompressed(FIXTURES.logbook)
  tar[3] = (tar[3] ?? 0) ^ 0x01
  const path = join(folder, 'flipped.tar')
  await writeFile(path, tar)
  await assert.rejects(contentsOf(path), {
    code: 'PACKAGE_INVALID',
    message: /checksum is wrong.*before its first entry/,
  })
})

test('a UDS bundle is told from a package', async () => {
  await assert.rejects(contentsOf(FIXTURES.armadaBundle), { code: 'PACKAGE_INVALID', message: /UDS bundle/ })
})

test('a file that is no zstd', async (t) => {
  const path = join(await tempDir(t), 'text.tar.zst')
  await writeFile(path, 'this is some text and no archive at all')
  await assert.rejects(contentsOf(path), { code: 'PACKAGE_INVALID', message: /does not begin with a zstd frame/ })
})

test('a part of a split package, another extension, and nothing at all', async (t: TestContext) => {
  const folder = await tempDir(t)
  await assert.rejects(contentsOf(FIXTURES.splitNemo[1] ?? ''), {
    code: 'PACKAGE_FORMAT_UNSUPPORTED',
    message: /is one part of a split package/,
  })
  const zip = join(folder, 'package.zip')
  await writeFile(zip, 'x')
  await assert.rejects(contentsOf(zip), { code: 'PACKAGE_FORMAT_UNSUPPORTED' })
  await assert.rejects(contentsOf(join(folder, 'absent.tar')), { code: 'PACKAGE_NOT_FOUND', message: /absent\.tar/ })
  await assert.rejects(contentsOf(join(zip, 'below.tar')), { code: 'PACKAGE_NOT_FOUND' })
})
