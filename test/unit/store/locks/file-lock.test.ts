import assert from 'node:assert/strict'
import { lutimes, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockFile, tryLockFile } from '../../../../src/store/locks/file-lock.ts'
import { formatOwner, newOwner } from '../../../../src/lib/processes/owner.ts'
import { startProcess } from '../../../helpers/processes/processes.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

test('one holder at a time, however many ask', async (t) => {
  const path = join(await tempDir(t, 'lock'), 'lock')
  let inside = 0
  let turns = 0
  const turn = async () => {
    await using _lock = await lockFile(path)
    inside += 1
    assert.equal(inside, 1)
    await new Promise((resolve) => setImmediate(resolve))
    inside -= 1
    turns += 1
  }
  await Promise.all(Array.from({ length: 20 }, turn))
  assert.equal(turns, 20)
})

test('a lock of a process that was killed is taken over', async (t) => {
  const folder = await tempDir(t, 'lock')
  const path = join(folder, 'lock')
  const module = new URL('../../../../src/store/locks/file-lock.ts', import.meta.url).href
  const script = `import(${JSON.stringify(module)}).then(async ({ lockFile }) => {
    globalThis.lock = await lockFile(${JSON.stringify(path)}); console.log('ready'); setInterval(() => {}, 1000) })`
  const child = await startProcess(t, process.execPath, ['-e', script])
  await child.waitForOutput(/ready/)
  assert.equal(await tryLockFile(path), undefined)
  await child.kill()
  const lock = await tryLockFile(path)
  assert.ok(lock)
  await lock[Symbol.asyncDispose]()
  assert.deepEqual(await readdir(folder), [])
})

test('a process id that was given to somebody else does not keep the lock', async (t) => {
  const path = join(await tempDir(t, 'lock'), 'lock')
  await symlink(formatOwner({ ...newOwner(), started: '1' }), path)
  assert.ok(await tryLockFile(path))
})

test('a lock of another host is held as long as it is renewed', async (t) => {
  const path = join(await tempDir(t, 'lock'), 'lock')
  await symlink(formatOwner({ ...newOwner(), host: 'deadbeef', pid: 1 }), path)
  assert.equal(await tryLockFile(path), undefined)
  const longAgo = new Date(Date.now() - 120_000)
  await lutimes(path, longAgo, longAgo)
  assert.ok(await tryLockFile(path))
})
