import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TAR_END, tarHeader } from '../../../src/zarf/archive/tar-writer.ts'
import { listInnerFiles, listPassingFiles, MAX_INNER_FILES, MAX_KEPT_BYTES } from '../../../src/zarf/inner-files.ts'

/** A tar of files; each has whole blocks. */
function tarOf(files: readonly (readonly [path: string, blocks: number])[], end: Buffer = TAR_END): Buffer {
  const parts = files.flatMap(([path, blocks]) => [tarHeader(path, blocks * 512), Buffer.alloc(blocks * 512, path)])
  return Buffer.concat([...parts, end])
}

const fileOf = (bytes: Buffer, reads: number[] = []) => ({
  size: bytes.length,
  async read(target: Buffer, offset: number) {
    reads.push(target.length)
    bytes.copy(target, 0, offset)
    return target
  },
})

async function* inChunks(bytes: Buffer, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

const ways = {
  'read by ranges': (bytes: Buffer, options: Parameters<typeof listInnerFiles>[1]) =>
    listInnerFiles(fileOf(bytes), options),
  'that goes by': (bytes: Buffer, options: Parameters<typeof listInnerFiles>[1]) =>
    listPassingFiles(inChunks(bytes, 777), options),
}

for (const [way, list] of Object.entries(ways)) {
  test(`a tar ${way}: names, sizes, places, and what is to be kept up to so much`, async () => {
    const mib = 2048
    const large = Array.from({ length: 10 }, (_, at) => [`one/manifests/${at}.yaml`, mib] as const)
    const bytes = tarOf([['one/files/0/x', 3], ...large, ['one/manifests/last.yaml', 1], ['one/files/0/x', 2]])
    const found = await list(bytes, { title: 'one.tar', keep: ({ path }) => path.includes('/manifests/') })
    assert.equal(found.files.size, 12)
    assert.equal(found.files.get('one/files/0/x')?.size, 1024, 'the last of a name counts')
    const { offset = 0, size = 0 } = found.files.get('one/manifests/3.yaml') ?? {}
    assert.ok(bytes.subarray(offset, offset + size).equals(Buffer.alloc(mib * 512, 'one/manifests/3.yaml')))
    assert.ok(found.kept.get('one/manifests/3.yaml')?.equals(bytes.subarray(offset, offset + size)))
    const kept = [...found.kept.values()].reduce((sum, { length }) => sum + length, 0)
    assert.ok(kept <= MAX_KEPT_BYTES && kept > MAX_KEPT_BYTES - 2 ** 20)
  })

  test(`a tar ${way} that is none, ends too early or holds too much is told by its name`, async () => {
    const many = tarOf(Array.from({ length: MAX_INNER_FILES + 1 }, (_, at) => [`f-${at}`, 0] as const))
    const cases: ReadonlyArray<readonly [Buffer, string]> = [
      [many, 'PACKAGE_TOO_LARGE'],
      [tarOf([['a', 4]]).subarray(0, 1024), 'PACKAGE_TRUNCATED'],
      [tarOf([['a', 4]], Buffer.alloc(0)), 'PACKAGE_TRUNCATED'],
      [Buffer.alloc(2048, 'x'), 'PACKAGE_INVALID'],
    ]
    for (const [bytes, code] of cases) {
      await assert.rejects(list(bytes, { title: 'sboms.tar' }), (error: Error & { code: string }) => {
        assert.deepEqual([error.code, error.message.includes('sboms.tar')], [code, true], error.message)
        return true
      })
    }
  })
}

test('contents are hopped over, and headers that lie close together come in one read', async () => {
  const reads: number[] = []
  const bytes = tarOf([
    ['large', 4000],
    ...Array.from({ length: 10 }, (_, at) => [`small-${at}`, 1] as const),
    ['larger', 9000],
  ])
  assert.equal((await listInnerFiles(fileOf(bytes, reads), { title: 'x' })).files.size, 12)
  assert.ok(reads.length <= 4, `${reads.length} reads`)
  assert.ok(reads.reduce((sum, length) => sum + length, 0) < 64 * 1024)
})
