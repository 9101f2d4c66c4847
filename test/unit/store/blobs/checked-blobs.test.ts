import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createCheckedBlobs } from '../../../../src/store/blobs/checked-blobs.ts'
import { hashFile } from '../../../../src/store/blobs/hash-file.ts'
import { descriptorOf } from '../../../helpers/packages/content-suite.ts'
import { someBytes } from '../../../helpers/registries/oci-client.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const BYTES = someBytes(100_000)
const BLOB = descriptorOf(BYTES)

/** Blobs whose readings are counted; the first one goes on to its end once `gate` opens. */
async function bed(t: TestContext, gate?: Promise<unknown>) {
  const path = join(await tempDir(t), 'blob')
  await writeFile(path, BYTES)
  const readings: string[] = []
  const blobs = createCheckedBlobs(async (...args) => {
    readings.push(args[0])
    const hashed = await hashFile(...args)
    if (readings.length === 1) await gate
    return hashed
  })
  t.after(() => blobs[Symbol.dispose]())
  const damaged: string[] = []
  const open = async () => {
    await using file = await blobs.open(path, BLOB, async (found) => {
      damaged.push(found)
      throw new Error('damaged')
    })
    const part = Buffer.alloc(10)
    await file.read([part], 500)
    return part.equals(BYTES.subarray(500, 510))
  }
  return { path, blobs, readings, damaged, open }
}

test('a file is read as a whole once, however many ask for parts of it', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { open, readings } = await bed(t, gate.promise)
  const both = Promise.all([open(), open()])
  gate.resolve()
  assert.deepEqual(await both, [true, true])
  assert.equal(await open(), true)
  assert.equal(readings.length, 1)
})

test('one that was written to since, or replaced, is read again', async (t) => {
  const { open, path, readings, damaged } = await bed(t)
  await open()
  await writeFile(path, Buffer.from(BYTES).fill(1, 200, 201))
  await assert.rejects(open(), /damaged/)
  await assert.rejects(open(), /damaged/)
  assert.deepEqual([readings.length, damaged.length], [3, 2])
  await writeFile(`${path}.new`, BYTES)
  await rename(`${path}.new`, path)
  assert.equal(await open(), true)
  assert.equal(readings.length, 4)
})

test('one that is replaced while it is read is read again', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { open, path, readings, damaged } = await bed(t, gate.promise)
  const opened = open()
  await writeFile(`${path}.new`, BYTES)
  await rename(`${path}.new`, path)
  gate.resolve()
  assert.equal(await opened, true)
  assert.deepEqual([readings.length > 0, damaged], [true, []])
})

test('one that was read as a whole otherwise is not read', async (t) => {
  const { open, path, blobs, readings } = await bed(t)
  const { identity = '' } = await hashFile(path, BLOB.digest, { size: BLOB.size, signal: new AbortController().signal })
  blobs.remember(BLOB.digest, identity)
  assert.equal(await open(), true)
  assert.deepEqual(readings, [])
})
