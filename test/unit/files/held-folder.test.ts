import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { closeSource, type OpenedFolder } from '../../../src/content/opened.ts'
import { byDescriptor, byRealPath, systemPaths } from '../../../src/files/held-folder.ts'
import { openLocalSource } from '../../../src/files/local-source.ts'
import { defer } from '../../helpers/cleanup.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const CHANGED = { code: 'PACKAGE_CHANGED' }
const MODULE = new URL('../../../src/files/held-folder.ts', import.meta.url).href

test('Linux goes by descriptors', { skip: process.platform !== 'linux' }, () => {
  assert.equal(systemPaths, byDescriptor)
})

test('where /proc is not there it goes by paths', async (t) => {
  const script = `import { byRealPath, systemPaths } from '${MODULE}'; console.log(systemPaths === byRealPath)`
  const inNamespace = (command: string, ...args: string[]) =>
    promisify(execFile)('unshare', ['-rm', 'sh', '-c', `mount -t tmpfs none /proc && ${command}`, ...args])
  try {
    await inNamespace('true')
  } catch {
    t.skip('/proc cannot be covered here: that its absence is noticed is NOT tested')
    return
  }
  const { stdout } = await inNamespace('exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script)
  assert.equal(stdout, 'true\n')
})

for (const [name, paths] of Object.entries({ byDescriptor, byRealPath })) {
  const skip = paths === byDescriptor && systemPaths !== byDescriptor ? 'no /proc/self/fd here' : false
  describe(`an unpacked package, ${name}`, { skip }, () => {
    test('is read file by file', async (t) => {
      const { folder } = await bed(t)
      assert.deepEqual(await folder.names(''), ['a'])
      assert.deepEqual(
        (await folder.entries('', ['a'])).map(({ name, kind }) => [name, kind]),
        [['a', 'folder']],
      )
      assert.deepEqual(await folder.names('a/b'), ['file'])
      const [file] = await folder.entries('a/b', ['file'])
      assert.equal(await contentOf(folder, 'a/b/file', file?.identity), 'inside')
    })

    for (const swapped of ['a', 'a/b']) {
      test(`shows nothing of a link that came in the place of ${swapped}`, async (t) => {
        const { folder, root, outside } = await bed(t)
        const [file] = await folder.entries('a/b', ['file'])
        await rename(join(root, swapped), join(root, 'aside'))
        await symlink(join(outside, swapped), join(root, swapped))
        await assert.rejects(folder.names('a/b'), CHANGED)
        await assert.rejects(folder.entries('a/b', ['file']), CHANGED)
        await assert.rejects(contentOf(folder, 'a/b/file', file?.identity), CHANGED)
      })
    }

    test('shows nothing of a link that came in the place of a file', async (t) => {
      const { folder, root, outside } = await bed(t)
      const [file] = await folder.entries('a/b', ['file'])
      await rename(join(root, 'a/b/file'), join(root, 'aside'))
      await symlink(join(outside, 'a/b/file'), join(root, 'a/b/file'))
      await assert.rejects(contentOf(folder, 'a/b/file', file?.identity), CHANGED)
      await writeFile(join(root, 'a/plain'), '')
      await assert.rejects(folder.names('a/plain'), CHANGED)
      await assert.rejects(folder.names('a/none'), { code: 'PACKAGE_NOT_FOUND' })
    })

    async function bed(t: TestContext): Promise<{ folder: OpenedFolder; root: string; outside: string }> {
      const [root, outside] = [await tempDir(t), await tempDir(t)]
      for (const side of [root, outside]) {
        await mkdir(join(side, 'a/b'), { recursive: true })
        await writeFile(join(side, 'a/b/file'), side === root ? 'inside' : 'outside')
      }
      const uploads = {
        use: () => Promise.reject(new Error('no upload was asked for')),
        list: async () => [],
        get: async () => undefined,
        partials: { get: async () => undefined, list: async () => [] },
      }
      const source = await openLocalSource(`file:${root}`, { roots: [root], uploads, paths })
      assert.ok('folder' in source)
      defer(t, () => closeSource(source))
      return { folder: source.folder, root, outside }
    }
  })
}

async function contentOf(folder: OpenedFolder, path: string, identity = ''): Promise<string> {
  await using file = await folder.open(path, identity)
  return String(await file.read(Buffer.alloc(file.size), 0))
}
