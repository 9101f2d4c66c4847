import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { createOutputFile, readOutputFile, removeOutputFile } from '../../../src/deploy/output-file.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const MIB = 1024 ** 2

test('the beginning and the end of a flood are kept, and no more than 10 MiB', async (t) => {
  const folder = await tempDir(t)
  const path = join(folder, 'job.log')
  {
    await using output = createOutputFile(path)
    for (let at = 0; at < 400; at += 1) {
      const number = String(at).padStart(4, '0')
      await output.add(Array.from({ length: 100 }, () => `${number} ${'x'.repeat(1000)}`))
    }
  }
  const read = await readOutputFile(path)
  assert.ok(read)
  const text = (await buffer(read)).toString()
  assert.ok(text.startsWith('0000 '))
  assert.ok(text.trimEnd().split('\n').at(-1)?.startsWith('0399 '))
  assert.ok(text.includes('too much to be kept'))
  assert.ok(text.length <= 10 * MIB + 100 && text.length > 6 * MIB, String(text.length))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  await removeOutputFile(path)
  assert.deepEqual(await readdir(folder), [])
})

test('what is small is kept as it is, and what is not there is told', async (t) => {
  const path = join(await tempDir(t), 'job.log')
  assert.equal(await readOutputFile(path), undefined)
  {
    await using output = createOutputFile(path)
    void output.add(['one'])
    void output.add(['two', 'three'])
  }
  const read = await readOutputFile(path)
  assert.equal(read && (await buffer(read)).toString(), 'one\ntwo\nthree\n')
})
