import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { appendFile, copyFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { closeSource, type OpenedFile } from '../../../src/content/opened.ts'
import { checkLocalSource, openLocalSource } from '../../../src/files/local-source.ts'
import { openUploadFolder } from '../../../src/files/upload-folder.ts'
import { FIXTURES } from '../../helpers/packages/fixtures.ts'
import { filesOf } from '../../helpers/packages/split-package.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const WHOLE = basename(FIXTURES.nemoAmd64)

async function bed(t: TestContext) {
  const folder = await tempDir(t)
  const root = join(folder, 'root')
  await mkdir(root)
  for (const path of FIXTURES.splitNemo) await copyFile(path, join(root, basename(path)))
  const uploads = await openUploadFolder({ folder: join(folder, 'uploads') })
  const at = (part: number) => join(root, `${WHOLE}.part00${part}`)
  return { folder, root, at, uploads, source: `file:${at(0)}`, sources: { roots: [root], uploads } }
}

/** What was split: another build of nemo than the one beside it. */
const joined = async () => Buffer.concat(await Promise.all(FIXTURES.splitNemo.slice(1).map((path) => readFile(path))))

async function allOf(file: OpenedFile): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of file.stream({ signal: new AbortController().signal })) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

test('the parts of a split package are read as what they were, without joining them', async (t) => {
  const { root, source, sources } = await bed(t)
  const before = await filesOf(root)
  const original = await joined()
  assert.deepEqual(await checkLocalSource(source, sources), {
    fileName: WHOLE,
    size: original.length,
    isDirectory: false,
  })
  const opened = await openLocalSource(source, sources)
  assert.ok('file' in opened)
  await using file = opened.file
  assert.ok((await allOf(file)).equals(original))
  for (const [start, length] of [
    [0, 4],
    [999_990, 20],
    [999_999, 1_000_002],
    [1_000_000, 1_000_000],
    [original.length - 1, 1],
  ] as const) {
    const expected = original.subarray(start, start + length)
    assert.ok((await file.read(Buffer.alloc(length), start)).equals(expected), `${start}`)
    const chunks: Buffer[] = []
    const signal = new AbortController().signal
    for await (const chunk of file.stream({ start, end: start + length, signal })) chunks.push(Buffer.from(chunk))
    assert.ok(Buffer.concat(chunks).equals(expected), `${start}`)
  }
  await file.checkUnchanged()
  assert.deepEqual(await filesOf(root), before)
  await appendFile(join(root, `${WHOLE}.part002`), 'x')
  await assert.rejects(file.checkUnchanged(), { code: 'PACKAGE_CHANGED', message: /part002/ })
})

test('a part that is missing, extra, short or long is told by its name', async (t) => {
  const { root, at, source, sources } = await bed(t)
  const original = await Promise.all([0, 1, 2, 3].map((part) => readFile(at(part))))
  const cases: Array<[what: string, change: () => Promise<unknown>, code: string, message: RegExp]> = [
    ['missing', () => rm(at(2)), 'PACKAGE_NOT_FOUND', /part002, one of the 3 parts that .*part000 names/],
    ['the last one missing', () => rm(at(3)), 'PACKAGE_NOT_FOUND', /part003/],
    ['extra', () => writeFile(at(4), 'x'), 'PACKAGE_INVALID', /part004 is one part too many/],
    ['extra, after a gap', () => writeFile(at(7), 'x'), 'PACKAGE_INVALID', /part007 is one part too many/],
    [
      'short',
      () => truncate(at(2), 999_999),
      'PACKAGE_INVALID',
      /part002 is too short: it has 999999 bytes, and 1000000/,
    ],
    ['the first one short', () => truncate(at(1), 5), 'PACKAGE_INVALID', /part001 is too short/],
    ['empty', () => truncate(at(3), 0), 'PACKAGE_INVALID', /part003 is too short/],
    ['long', () => appendFile(at(3), 'x'), 'PACKAGE_INVALID', /part003 is too long/],
    ['a folder', () => rm(at(3)).then(() => mkdir(at(3))), 'PACKAGE_UNREADABLE', /part003 is a folder/],
  ]
  for (const [what, change, code, message] of cases) {
    await t.test(what, async () => {
      await rm(root, { recursive: true })
      await mkdir(root)
      for (const [part, bytes] of original.entries()) await writeFile(at(part), bytes)
      await change()
      for (const each of [checkLocalSource, openLocalSource])
        await assert.rejects(each(source, sources), { code, message })
    })
  }
})

test('a part000 that is not what zarf writes is refused, whatever it says', async (t) => {
  const { at, source, sources } = await bed(t)
  const said = JSON.parse(await readFile(at(0), 'utf8')) as Record<string, unknown>
  const cases: Array<[content: string, message: RegExp]> = [
    ['', /not the JSON/],
    ['{', /not the JSON/],
    ['null', /not the JSON/],
    ['[]', /no SHA-256/],
    ['\u0028\u00b5', /not the JSON/],
    [JSON.stringify(said).padEnd(5000), /5000 bytes/],
    [JSON.stringify({ ...said, Sha256Sum: 'abc' }), /no SHA-256/],
    [JSON.stringify({ ...said, Sha256Sum: 7 }), /no SHA-256/],
    [JSON.stringify({ ...said, Count: 1e9 }), /from 1 to 999/],
    [JSON.stringify({ ...said, Count: 0 }), /from 1 to 999/],
    [JSON.stringify({ ...said, Count: '3' }), /from 1 to 999/],
    [JSON.stringify({ ...said, Bytes: -1 }), /no size/],
    [JSON.stringify({ ...said, Bytes: 1e300 }), /no size/],
    [JSON.stringify({ ...said, Bytes: 7 }), /2646852 bytes; part000 says 7/],
  ]
  for (const [content, message] of cases) {
    await writeFile(at(0), content)
    await assert.rejects(openLocalSource(source, sources), { code: 'PACKAGE_INVALID', message }, content.slice(0, 80))
  }
  const { Sha256Sum: sha256Sum, Bytes: bytes, Count: count } = said
  await writeFile(at(0), JSON.stringify({ sha256Sum, bytes, count }))
  await closeSource(await openLocalSource(source, sources))
  await assert.rejects(openLocalSource(`file:${at(1)}`, sources), {
    code: 'PACKAGE_FORMAT_UNSUPPORTED',
    message: /part001 is one part of a split package/,
  })
})

test('uploaded parts are found by their names, among those of the same caller', async (t) => {
  const { uploads, at, sources } = await bed(t)
  const send = (path: string, principal: string, name = basename(path)) =>
    uploads.receive(name, createReadStream(path), { principal })
  const head = await send(at(0), 'ann')
  await send(at(1), 'ann')
  await send(at(3), 'ann')
  await send(at(2), 'bob')
  const source = `upload:${head.id}`
  await assert.rejects(openLocalSource(source, sources), { code: 'PACKAGE_NOT_FOUND', message: /part002/ })
  await send(at(2), 'ann')
  await send(at(3), 'ann')
  await send(at(1), 'bob', basename(at(3)))
  const opened = await openLocalSource(source, sources)
  assert.ok('file' in opened)
  await using file = opened.file
  assert.ok((await allOf(file)).equals(await joined()))
  await send(at(1), 'ann', basename(at(3)))
  await assert.rejects(openLocalSource(source, sources), { code: 'PACKAGE_INVALID', message: /3 uploads are called/ })
})
