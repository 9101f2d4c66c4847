import assert from 'node:assert/strict'
import { chmod, mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolders } from '../../../src/lib/make-folders.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

test('folders are made with those above them, by any number at once, and those there are left alone', async (t) => {
  const root = await tempDir(t)
  const deep = join(root, 'a', 'b', 'c')
  await Promise.all(Array.from({ length: 20 }, () => makeFolders(deep, 0o700)))
  for (const folder of [deep, join(root, 'a')]) assert.equal((await stat(folder)).mode & 0o777, 0o700)
  await chmod(deep, 0o755)
  await makeFolders(deep, 0o700)
  assert.equal((await stat(deep)).mode & 0o777, 0o755)
  await mkdir(join(root, 'real'))
  await symlink('real', join(root, 'link'))
  await makeFolders(join(root, 'link'))
  await makeFolders('/')
})

test('what is in the way is an error, also where a folder that is there takes none', async (t) => {
  const root = await tempDir(t)
  await writeFile(join(root, 'file'), '')
  await symlink('nowhere', join(root, 'broken'))
  await assert.rejects(makeFolders(join(root, 'file')), { code: 'EEXIST' })
  await assert.rejects(makeFolders(join(root, 'file', 'below')), { code: 'ENOTDIR' })
  await assert.rejects(makeFolders(join(root, 'broken')), { code: 'EEXIST' })
  await assert.rejects(makeFolders(join(root, 'broken', 'below')), { code: 'EEXIST' })
  if (process.platform === 'linux') await assert.rejects(makeFolders('/proc/layerd/below'), { code: 'ENOENT' })
})
