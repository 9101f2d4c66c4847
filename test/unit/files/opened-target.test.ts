import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { byDescriptor, byRealPath, systemPaths } from '../../../src/files/held-folder.ts'
import { openTarget } from '../../../src/files/opened-target.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const FILE = { name: 'p.tar', size: 4, overwrite: false }
const OUTSIDE = { code: 'PACKAGE_OUTSIDE_ROOTS' }
const { signal } = new AbortController()

for (const [name, paths] of Object.entries({ byDescriptor, byRealPath })) {
  const skip = paths === byDescriptor && systemPaths !== byDescriptor ? 'no /proc/self/fd here' : false
  describe(`a folder to write to, ${name}`, { skip }, () => {
    test('is made with those above it, the root too', async (t) => {
      const { root, place } = await bed(t)
      const target = openTarget(place('new/one'))
      await target.prepare(FILE)
      assert.equal(await target.write(FILE, content, signal), join(root, 'new/one/p.tar'))
      assert.equal(await readFile(join(root, 'new/one/p.tar'), 'utf8'), 'data')
      const path = join(root, 'not/yet')
      await openTarget({ path: join(path, 'sub'), roots: [path], paths }).prepare(FILE)
      assert.deepEqual(await readdir(path), ['sub'])
    })

    test('may be a link that leads to a folder inside', async (t) => {
      const { root, place } = await bed(t)
      await symlink('there', join(root, 'link'))
      const path = await openTarget(place('link')).write(FILE, content, signal)
      assert.equal(path, join(root, 'there/p.tar'))
      await assert.rejects(openTarget(place('link')).prepare(FILE), { code: 'PACKAGE_EXISTS' })
      await assert.rejects(openTarget(place('link')).write(FILE, content, signal), { code: 'PACKAGE_EXISTS' })
      assert.deepEqual(await readdir(join(root, 'there')), ['p.tar'])
    })

    test('and none that lies outside: nothing is made there', async (t) => {
      const { root, outside, place } = await bed(t)
      await symlink(outside, join(root, 'link'))
      for (const path of ['link', 'link/new', 'link/new/one', '../outside/new']) {
        const target = openTarget(place(path))
        await assert.rejects(target.prepare(FILE), OUTSIDE, path)
        await assert.rejects(target.write(FILE, content, signal), OUTSIDE, path)
      }
      assert.deepEqual(await readdir(outside), [])
    })

    test('that was swapped for a link since it was looked at gets nothing', async (t) => {
      const { root, outside, place } = await bed(t)
      const target = openTarget(place('there'))
      await target.prepare(FILE)
      await rename(join(root, 'there'), join(root, 'aside'))
      await symlink(outside, join(root, 'there'))
      await assert.rejects(target.write(FILE, content, signal), OUTSIDE)
      assert.deepEqual(await readdir(outside), [])
    })

    test('that was moved out of the roots while it is written keeps nothing', async (t) => {
      const { root, outside, place } = await bed(t)
      const moving = async function* () {
        yield Buffer.from('da')
        await rename(join(root, 'there'), join(outside, 'moved'))
        await symlink(join(outside, 'moved'), join(root, 'there'))
        yield Buffer.from('ta')
      }
      await assert.rejects(openTarget(place('there')).write(FILE, moving, signal), OUTSIDE)
      assert.deepEqual(await readdir(join(outside, 'moved')), [])
    })

    async function bed(t: TestContext) {
      const folder = await tempDir(t)
      const [root, outside] = [join(folder, 'root'), join(folder, 'outside')]
      await mkdir(join(root, 'there'), { recursive: true })
      await mkdir(outside)
      return { root, outside, place: (path: string) => ({ path: join(root, path), roots: [root], paths }) }
    }
  })
}

test('a folder that moves within the roots while it is written stays the one', async (t) => {
  if (systemPaths !== byDescriptor) {
    t.skip('no /proc/self/fd here')
    return
  }
  const root = await tempDir(t)
  const moving = async function* () {
    yield Buffer.from('da')
    await rename(join(root, 'one'), join(root, 'other'))
    await mkdir(join(root, 'one'))
    yield Buffer.from('ta')
  }
  const path = await openTarget({ path: join(root, 'one'), roots: [root] }).write(FILE, moving, signal)
  assert.equal(path, join(root, 'other/p.tar'))
  assert.equal(await readFile(path, 'utf8'), 'data')
  assert.deepEqual(await readdir(join(root, 'one')), [])
})

async function* content() {
  yield Buffer.from('data')
}
