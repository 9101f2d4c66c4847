import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { closeSource, type OpenedFile } from '../../../src/content/opened.ts'
import { openSource } from '../../../src/files/opened-file.ts'
import { defer } from '../../helpers/cleanup.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

test('a chunk stays as it is until three more were asked for', async (t) => {
  const content = randomBytes(9 * MIB + 100_000)
  const { stream } = await streamOf(t, content)
  const held: { chunk: Buffer; at: number }[] = []
  let position = 0
  for await (const chunk of stream) {
    held.push({ chunk, at: position })
    position += chunk.length
    for (const { chunk, at } of held.slice(-3)) {
      assert.ok(chunk.equals(content.subarray(at, at + chunk.length)), `the chunk at ${at} was read over too early`)
    }
  }
  assert.equal(position, content.length)
})

test('buffers are used again: ten chunks lie in four', async (t) => {
  const { stream } = await streamOf(t, randomBytes(10 * MIB))
  const buffers = new Set<ArrayBufferLike>()
  for await (const chunk of stream) buffers.add(chunk.buffer)
  assert.equal(buffers.size, 4)
})

test('chunks under 64 KiB are never read over: they may sit in a socket', async (t) => {
  const content = randomBytes(5 * MIB + 60_000)
  const { stream } = await streamOf(t, content)
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const last = chunks.at(-1)
  assert.equal(last?.length, 60_000)
  assert.ok(!chunks.slice(0, -1).some((chunk) => chunk.buffer === last.buffer))
})

test('a range begins and ends where it says', async (t) => {
  const content = randomBytes(3 * MIB)
  const { stream } = await streamOf(t, content, { start: 1000, end: 2 * MIB + 1 })
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  assert.ok(Buffer.concat(chunks).equals(content.subarray(1000, 2 * MIB + 1)))
})

test('an empty range has no chunk', async (t) => {
  const { stream } = await streamOf(t, randomBytes(10), { start: 10, end: 10 })
  for await (const _ of stream) assert.fail('there is nothing to read')
})

test('a file that became shorter is told from one that was cut', async (t) => {
  const { stream, path } = await streamOf(t, randomBytes(4 * MIB))
  await truncate(path, MIB)
  await assert.rejects(Array.fromAsync(stream), { code: 'PACKAGE_CHANGED' })
})

test('a consumer that stops early leaves no read behind: the file closes at once', async (t) => {
  const { file } = await streamOf(t, randomBytes(4 * MIB))
  for await (const _ of file.stream({ signal })) break
  await file[Symbol.asyncDispose]()
  await assert.rejects(file.read(Buffer.alloc(1), 0), { code: 'PACKAGE_UNREADABLE' })
})

test('a file that was written to has another identity, and says so', async (t) => {
  const { file, path } = await streamOf(t, randomBytes(10))
  await file.checkUnchanged()
  await appendFile(path, 'x')
  await assert.rejects(file.checkUnchanged(), { code: 'PACKAGE_CHANGED' })
  const { file: again } = await openFile(t, path)
  assert.notEqual(again.identity, file.identity)
  assert.equal((await openFile(t, path)).file.identity, again.identity)
})

test('a folder stays the one that was opened when the link that led to it changes', async (t) => {
  const root = await tempDir(t)
  for (const name of ['one', 'two']) {
    await mkdir(join(root, name))
    await writeFile(join(root, name, 'file'), name)
  }
  await symlink(join(root, 'one'), join(root, 'link'))
  const source = await openSource(join(root, 'link'))
  defer(t, () => closeSource(source))
  assert.ok('folder' in source)
  await rm(join(root, 'link'))
  await symlink(join(root, 'two'), join(root, 'link'))
  const [entry] = await source.folder.entries('', ['file'])
  await using file = await source.folder.open('file', entry?.identity ?? '')
  assert.equal(String(await file.read(Buffer.alloc(3), 0)), 'one')
})

test('what is neither a file nor a folder is refused, and not waited for', async (t) => {
  const path = join(await tempDir(t), 'pipe.tar')
  execFileSync('mkfifo', [path])
  await assert.rejects(openSource(path), { code: 'PACKAGE_FORMAT_UNSUPPORTED' })
  await assert.rejects(openSource(`${path}.not`), { code: 'PACKAGE_NOT_FOUND' })
})

async function openFile(t: TestContext, path: string): Promise<{ file: OpenedFile }> {
  const source = await openSource(path)
  defer(t, () => closeSource(source))
  assert.ok('file' in source)
  return source
}

async function streamOf(t: TestContext, content: Buffer, range: { start?: number; end?: number } = {}) {
  const path = join(await tempDir(t), 'file')
  await writeFile(path, content)
  const { file } = await openFile(t, path)
  return { path, file, stream: file.stream({ ...range, signal }) }
}
