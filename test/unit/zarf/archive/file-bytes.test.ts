import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileBytes } from '../../../../src/zarf/archive/file-bytes.ts'
import { defer } from '../../../helpers/cleanup.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const MIB = 1024 * 1024

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

test('a consumer that stops early leaves no read behind: the handle closes at once', async (t) => {
  const path = join(await tempDir(t), 'file')
  await writeFile(path, randomBytes(4 * MIB))
  const handle = await open(path)
  const range = { name: 'file', start: 0, end: 4 * MIB, signal: new AbortController().signal }
  for await (const _ of fileBytes(handle, range)) break
  await handle.close()
})

async function streamOf(t: TestContext, content: Buffer, range?: { start: number; end: number }) {
  const path = join(await tempDir(t), 'file')
  await writeFile(path, content)
  const handle = await open(path)
  defer(t, () => handle.close())
  const { start, end } = range ?? { start: 0, end: content.length }
  return { path, stream: fileBytes(handle, { name: 'file', start, end, signal: new AbortController().signal }) }
}
