import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { addOrigins, originName, readOrigins } from '../../../../src/store/origins/origins.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

test('the newest sixteen are kept, in order, and nothing is written for what is known', async (t) => {
  const path = join(await tempDir(t), 'sha256-aa')
  assert.deepEqual(await readOrigins(path), [])
  const names = Array.from({ length: 20 }, (_, at) => originName({ registry: 'a.example', repository: `n${at}` }))
  for (const name of names) await addOrigins(path, [name])
  assert.deepEqual(await readOrigins(path), names.slice(4))
  const { ino } = await stat(path)
  await addOrigins(path, names.slice(6, 8))
  assert.equal((await stat(path)).ino, ino)
  assert.deepEqual(await readdir(dirname(path)), ['sha256-aa'])
})

test('a name that a crash cut short is none', async (t) => {
  const path = join(await tempDir(t), 'sha256-aa')
  await writeFile(path, 'a.example/team/one\na.example/team/tw')
  assert.deepEqual(await readOrigins(path), ['a.example/team/one'])
  await addOrigins(path, ['b.example/x'])
  assert.deepEqual(await readOrigins(path), ['a.example/team/one', 'b.example/x'])
})
