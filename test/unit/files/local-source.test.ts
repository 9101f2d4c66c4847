import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, link, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  checkLocalSource,
  type LocalSources,
  openLocalSource,
  parseLocalSource,
} from '../../../src/files/local-source.ts'
import { openUploadFolder } from '../../../src/files/upload-folder.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

test('file: and upload: sources are read as callers write them', () => {
  const cases: Array<[string, ReturnType<typeof parseLocalSource>]> = [
    ['file:/a/b.tar', { scheme: 'file', path: '/a/b.tar' }],
    ['file:///a/b.tar', { scheme: 'file', path: '/a/b.tar' }],
    ['file://localhost/a/b.tar', { scheme: 'file', path: '/a/b.tar' }],
    ['file:/a/with%20space%23.tar', { scheme: 'file', path: '/a/with space#.tar' }],
    ['file:/a/x+y.tar', { scheme: 'file', path: '/a/x+y.tar' }],
    ['file:/a/../b.tar', { scheme: 'file', path: '/b.tar' }],
    ['file:/a/', { scheme: 'file', path: '/a' }],
    ['upload:123', { scheme: 'upload', id: '123' }],
  ]
  for (const [text, expected] of cases) assert.deepEqual(parseLocalSource(text), expected, text)
})

test('a source that can mean nothing here is refused by name of the field', () => {
  const cases = [
    '/a/b.tar',
    'b.tar',
    'file:b.tar',
    'file://host/b.tar',
    'file:/a%2Fb.tar',
    'file:/100%.tar',
    'file:/a%00b.tar',
    'file:/a.tar?x',
    'file:/a.tar#x',
    'https://host/b.tar',
    'oci://host/b',
  ]
  for (const text of cases) {
    assert.throws(
      () => parseLocalSource(text),
      (error: Error & { code?: string; details?: object }) => {
        assert.equal(error.code, 'BODY_INVALID', text)
        assert.deepEqual(error.details, { pointer: '/source' })
        return true
      },
    )
  }
})

async function folders(t: Parameters<typeof tempDir>[0]) {
  const folder = await tempDir(t)
  const root = join(folder, 'root')
  const uploads = await openUploadFolder({ folder: join(folder, 'uploads') })
  await mkdir(join(root, 'directory'), { recursive: true })
  await mkdir(join(folder, 'root-beside'))
  await writeFile(join(root, 'p.tar'), 'four')
  await writeFile(join(folder, 'outside.tar'), 'secret')
  await writeFile(join(folder, 'root-beside', 'p.tar'), 'secret')
  return { folder, root, sources: { roots: [root], uploads } }
}

/** What the source is called and what is in it. */
async function contentOf(text: string, sources: LocalSources): Promise<[string, string]> {
  const source = await openLocalSource(text, sources)
  assert.ok('file' in source)
  await using file = source.file
  return [source.fileName, String(await file.read(Buffer.alloc(file.size), 0))]
}

test('files and directories inside the roots are found', async (t) => {
  const { root, sources } = await folders(t)
  const file = { fileName: 'p.tar', size: 4, isDirectory: false }
  assert.deepEqual(await checkLocalSource(`file:${root}/p.tar`, sources), file)
  assert.deepEqual(await checkLocalSource(`file:${root}/directory/../p.tar`, sources), file)
  const directory = { fileName: 'directory', size: 0, isDirectory: true }
  assert.deepEqual(await checkLocalSource(`file:${root}/directory`, sources), directory)
})

test('a link inside the roots is followed, and keeps its own name', async (t) => {
  const { root, sources } = await folders(t)
  await symlink(join(root, 'p.tar'), join(root, 'link.tar.zst'))
  assert.deepEqual(await contentOf(`file:${root}/link.tar.zst`, sources), ['link.tar.zst', 'four'])
})

test('a root may itself be a link', async (t) => {
  const { folder, root, sources } = await folders(t)
  const linked = join(folder, 'linked')
  await symlink(root, linked)
  assert.deepEqual(await contentOf(`file:${linked}/p.tar`, { ...sources, roots: [linked] }), ['p.tar', 'four'])
})

test('whatever leads out of the roots is refused, whether it exists or not', async (t) => {
  const { folder, root, sources } = await folders(t)
  await symlink(join(folder, 'outside.tar'), join(root, 'leak.tar'))
  await symlink(folder, join(root, 'up'))
  const cases = [
    `file:${folder}/outside.tar`,
    `file:${folder}/no-such.tar`,
    `file:${root}/../outside.tar`,
    `file:${root}/%2e%2e/outside.tar`,
    `file:${root}-beside/p.tar`,
    `file:${root}/leak.tar`,
    `file:${root}/up/outside.tar`,
    'file:/etc/passwd',
  ]
  for (const text of cases) {
    await assert.rejects(openLocalSource(text, sources), { code: 'PACKAGE_OUTSIDE_ROOTS' }, text)
  }
})

test('what is missing inside the roots is told as missing', async (t) => {
  const { root, sources } = await folders(t)
  for (const name of ['none.tar', 'none/p.tar', 'p.tar/inside.tar']) {
    await assert.rejects(openLocalSource(`file:${root}/${name}`, sources), { code: 'PACKAGE_NOT_FOUND' }, name)
  }
})

test('what is neither file nor directory is refused', async (t) => {
  const { root, sources } = await folders(t)
  await promisify(execFile)('mkfifo', [join(root, 'pipe.tar')])
  await assert.rejects(openLocalSource(`file:${root}/pipe.tar`, sources), { code: 'PACKAGE_UNREADABLE' })
})

test('an upload is found under its own file name', async (t) => {
  const { sources } = await folders(t)
  const { id } = await sources.uploads.receive('zarf-package-x.tar', Readable.from([Buffer.from('bytes')]))
  assert.deepEqual(await contentOf(`upload:${id}`, sources), ['zarf-package-x.tar', 'bytes'])
  await assert.rejects(openLocalSource('upload:../x', sources), { code: 'UPLOAD_NOT_FOUND' })
})

test('a hard link to a file of another user is refused, one of our own is read', async (t) => {
  const { root, folder, sources } = await folders(t)
  await link(join(folder, 'outside.tar'), join(root, 'linked.tar'))
  assert.deepEqual(await contentOf(`file:${root}/linked.tar`, sources), ['linked.tar', 'secret'])
  if (process.geteuid?.() !== 0) {
    t.skip('only root can give a file to another user: that such a link is refused is NOT tested here')
    return
  }
  await chown(join(folder, 'outside.tar'), 4711, 4711)
  for (const refuse of [checkLocalSource, openLocalSource]) {
    await assert.rejects(refuse(`file:${root}/linked.tar`, sources), {
      code: 'PACKAGE_OUTSIDE_ROOTS',
      message: /linked\.tar is a hard link to a file of another user \(uid 4711\) that has 2 names/,
    })
  }
  await chown(join(root, 'p.tar'), 4711, 4711)
  assert.deepEqual(await contentOf(`file:${root}/p.tar`, sources), ['p.tar', 'four'])
})
