import assert from 'node:assert/strict'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { pack } from 'tar-stream'
import { isAppError } from '../../../../src/lib/errors.ts'
import { tarEntries } from '../../../../src/zarf/archive/tar-entries.ts'
import { parsePaxRecords, parseTarHeader } from '../../../../src/zarf/archive/tar-header.ts'
import { FileTarInput, StreamTarInput } from '../../../../src/zarf/archive/tar-input.ts'
import { defer } from '../../../helpers/cleanup.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { closeSource } from '../../../../src/content/opened.ts'
import { openSource } from '../../../../src/files/opened-file.ts'

const END = Buffer.alloc(1024)
const GIB = 1024 ** 3

test('what tar-stream writes is read back, in a file and in a stream', async (t) => {
  const folder = await tempDir(t)
  const segment = fc.stringMatching(/^[a-z0-9é😀_-]{1,40}$/u)
  const path = fc.array(segment, { minLength: 1, maxLength: 12 }).map((parts) => parts.join('/'))
  const file = fc.record({ name: path, content: fc.uint8Array({ maxLength: 2000 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 6 }), fc.integer({ min: 1, max: 700 }), async (files, step) => {
      const archive = pack()
      for (const { name, content } of files) archive.entry({ name }, Buffer.from(content))
      archive.finalize()
      const tar = Buffer.concat(await Array.fromAsync(archive as AsyncIterable<Buffer>))
      const expected = files.map(({ name, content }) => ({ path: name, size: content.length }))
      assert.deepEqual(await listStream(tar, step), expected)
      assert.deepEqual(await listFile(t, folder, [tar]), expected)
    }),
    { numRuns: 60 },
  )
})

test('what follows the end mark is read up to 16 MiB', async () => {
  const MIB = 1024 ** 2
  let read = 0
  async function* tailOf(bytes: number) {
    for (; read < bytes; read += MIB) yield Buffer.alloc(MIB)
  }
  await new StreamTarInput(tailOf(16 * MIB)).drain()
  assert.equal(read, 16 * MIB)
  read = 0
  await assert.rejects(new StreamTarInput(tailOf(64 * GIB)).drain(), (error: unknown) => {
    assert.ok(isAppError(error))
    assert.equal(error.code, 'PACKAGE_INVALID')
    assert.match(error.message, /more than 16777216 bytes after its end mark/)
    return true
  })
  assert.ok(read <= 17 * MIB, `${read} bytes were read`)
})

test('whatever bytes come, the answer is entries or a named error', async () => {
  const block = fc.oneof(
    fc.uint8Array({ minLength: 512, maxLength: 512 }).map((bytes) => Buffer.from(bytes)),
    fc
      .record({
        path: fc.string({ maxLength: 120 }),
        type: fc.constantFrom('0', '5', 'x', 'L', 'g', '2', '\0', 'Z'),
        size: fc.nat(5000),
      })
      .map(header),
    fc
      .constantFrom('30 path=../../evil\n', '13 size=1e9\n', '9 a=b\n', '999 x')
      .map((text) => padded(Buffer.from(text))),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(block, { maxLength: 8 }), async (blocks) => {
      try {
        for (const { path } of await listStream(Buffer.concat([...blocks, END]), 4096)) {
          assert.doesNotMatch(path, /(^|\/)\.\.(\/|$)|^\/|\\|\0/)
        }
      } catch (error) {
        assert.ok(isAppError(error) && error.code.startsWith('PACKAGE_'), String(error))
      }
    }),
    { numRuns: 300 },
  )
})

test('a GNU long name and a ./ in front', async () => {
  const long = `./components/${'x'.repeat(200)}.tar`
  const tar = Buffer.concat([
    header({ path: '././@LongLink', type: 'L', size: long.length + 1 }),
    padded(Buffer.from(`${long}\0`)),
    header({ path: 'cut', type: '0', size: 3 }),
    padded(Buffer.from('abc')),
    END,
  ])
  assert.deepEqual(await listStream(tar), [{ path: long.slice(2), size: 3 }])
})

test('extended headers without an entry end somewhere', async () => {
  const record = header({ path: 'pax_global_header', type: 'g', size: 0 })
  const before = (count: number) => Array.from({ length: count }, () => record)
  const entry = header({ path: 'a', type: '0', size: 0 })
  assert.deepEqual(await listStream(Buffer.concat([...before(16), entry, END])), [{ path: 'a', size: 0 }])
  await assert.rejects(listStream(Buffer.concat([...before(17), entry, END])), /more than 16 extended headers/)
})

test('a folder named ".", one with a slash behind it, and old folders are passed over', async () => {
  const tar = Buffer.concat([
    header({ path: '.', type: '5', size: 0 }),
    header({ path: './', type: '5', size: 0 }),
    header({ path: 'images/', type: '\0', size: 0 }),
    // Go's reader, and so zarf's, takes the size of a folder for no content.
    header({ path: 'images', type: '5', size: 64 * GIB }),
    header({ path: 'old', type: '\0', size: 0 }),
    END,
  ])
  assert.deepEqual(await listStream(tar), [{ path: 'old', size: 0 }])
})

for (const [name, size] of [
  ['PAX', (bytes: number) => [pax({ size: String(bytes) }), header({ path: 'big', type: '0', size: 0 })]],
  ['base-256', (bytes: number) => [header({ path: 'big', type: '0', size: bytes })]],
] as const) {
  test(`an entry of 9 GiB by a ${name} size is hopped over in a file`, async (t) => {
    const parts = [...size(9 * GIB), 9 * GIB, header({ path: 'zarf.yaml', type: '0', size: 0 }), END]
    assert.deepEqual(await listFile(t, await tempDir(t), parts), [
      { path: 'big', size: 9 * GIB },
      { path: 'zarf.yaml', size: 0 },
    ])
  })
}

test('an entry that is longer than the file is truncated', async (t) => {
  const parts = [header({ path: 'big', type: '0', size: 10_000 }), Buffer.alloc(600)]
  await assert.rejects(listFile(t, await tempDir(t), parts), { code: 'PACKAGE_TRUNCATED' })
})

test('an archive without an end mark is truncated', async () => {
  const tar = Buffer.concat([header({ path: 'a', type: '0', size: 3 }), padded(Buffer.from('abc'))])
  await assert.rejects(listStream(tar), { code: 'PACKAGE_TRUNCATED' })
})

for (const [name, blocks, code] of [
  [
    'a PAX path that leaves the package',
    [pax({ path: '../evil' }), header({ path: 'a', type: '0', size: 0 })],
    'PACKAGE_UNSAFE_PATH',
  ],
  ['a PAX path with a NUL', [pax({ path: 'a\0b' }), header({ path: 'a', type: '0', size: 0 })], 'PACKAGE_UNSAFE_PATH'],
  [
    'a PAX sparse file',
    [pax({ 'GNU.sparse.major': '1' }), header({ path: 'a', type: '0', size: 0 })],
    'PACKAGE_UNSAFE_PATH',
  ],
  ['a GNU sparse file', [header({ path: 'a', type: 'S', size: 0 })], 'PACKAGE_UNSAFE_PATH'],
  ['an unknown type', [header({ path: 'a', type: 'Z', size: 0 })], 'PACKAGE_UNSAFE_PATH'],
  ['a PAX size that is no number', [pax({ size: '-1' }), header({ path: 'a', type: '0', size: 0 })], 'PACKAGE_INVALID'],
  ['a PAX header without an entry', [pax({ path: 'a' })], 'PACKAGE_INVALID'],
  ['a PAX header of 2 MiB', [header({ path: 'x', type: 'x', size: 2 ** 21 })], 'PACKAGE_TOO_LARGE'],
  ['a file named like a folder', [header({ path: 'a/', type: '0', size: 0 })], 'PACKAGE_UNSAFE_PATH'],
  ['no name', [header({ path: '', type: '0', size: 0 })], 'PACKAGE_UNSAFE_PATH'],
] as const) {
  test(`${name} is refused`, async () => {
    await assert.rejects(listStream(Buffer.concat([...blocks, END])), { code })
  })
}

test('a header with a name that is not UTF-8 is refused', () => {
  const block = header({ path: 'abc', type: '0', size: 0 })
  block[1] = 0xff
  sign(block)
  assert.throws(() => parseTarHeader(block), { code: 'PACKAGE_INVALID', message: /not UTF-8/ })
})

test('a header with one bit flipped is refused, wherever it is', () => {
  for (let at = 0; at < 512; at++) {
    const block = header({ path: 'components/a.tar', type: '0', size: 1234 })
    block[at] = (block[at] ?? 0) ^ 1
    // Spaces and NULs around the checksum's digits say the same.
    if (at >= 154 && at < 156) continue
    assert.throws(() => parseTarHeader(block), { code: 'PACKAGE_INVALID' }, `byte ${at}`)
  }
})

test('PAX records hold equal signs, line feeds and UTF-8', () => {
  const value = 'a=b\né😀'
  assert.deepEqual(parsePaxRecords(paxRecord('comment', value)), new Map([['comment', value]]))
})

async function listStream(tar: Buffer, step = 1000) {
  async function* chunks() {
    for (let at = 0; at < tar.length; at += step) yield tar.subarray(at, at + step)
  }
  return list(new StreamTarInput(chunks()))
}

/** Writes the parts to a file, numbers as that many bytes that take no room on disk. */
async function listFile(t: TestContext, folder: string, parts: readonly (Buffer | number)[]) {
  const path = join(folder, 'file.tar')
  const handle = await open(path, 'w')
  defer(t, () => closeQuietly(handle))
  let size = 0
  for (const part of parts) {
    if (typeof part !== 'number') await handle.write(part, 0, part.length, size)
    size += typeof part === 'number' ? part : part.length
  }
  await handle.truncate(size)
  await handle.close()
  const source = await openSource(path)
  defer(t, () => closeSource(source))
  assert.ok('file' in source)
  return await list(new FileTarInput(source.file))
}

async function list(input: FileTarInput | StreamTarInput) {
  const entries: { path: string; size: number }[] = []
  for await (const { path, size } of tarEntries(input)) entries.push({ path, size })
  return entries
}

async function closeQuietly(handle: FileHandle): Promise<void> {
  await handle.close().catch(() => undefined)
}

function header({ path, type, size }: { path: string; type: string; size: number }): Buffer {
  const block = Buffer.alloc(512)
  block.write(path, 0, 100)
  if (size < 8 * GIB) block.write(size.toString(8).padStart(11, '0'), 124)
  else block.writeBigUInt64BE(BigInt(size), 128)
  if (size >= 8 * GIB) block[124] = 0x80
  block.write(type, 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  return sign(block)
}

function sign(block: Buffer): Buffer {
  block.fill(0x20, 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function pax(records: Record<string, string>): Buffer {
  const bytes = Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)))
  return Buffer.concat([header({ path: 'PaxHeader', type: 'x', size: bytes.length }), padded(bytes)])
}

function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + String(rest).length
  if (String(length).length > String(rest).length) length += 1
  return Buffer.from(`${length} ${key}=${value}\n`)
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
}
