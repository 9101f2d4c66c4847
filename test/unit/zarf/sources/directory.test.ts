import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFile, link, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { buildPackage } from '../../../helpers/packages/package-builder.ts'
import { contentsOf, digestOfStream } from '../../../helpers/packages/packages.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { openPackageAt } from '../../../helpers/packages/open-package.ts'

const { signal } = new AbortController()

test('a folder without checksums.txt or zarf.yaml is no package', async (t) => {
  for (const name of ['checksums.txt', 'zarf.yaml']) {
    const folder = await unpacked(t)
    await rm(join(folder, name))
    await assert.rejects(contentsOf(folder), {
      code: 'PACKAGE_INVALID',
      message: `the package does not hold ${name}, which every package has`,
    })
  }
})

test('an extra file and a missing one are named', async (t) => {
  const folder = await unpacked(t)
  await writeFile(join(folder, 'images.txt'), 'extra')
  await assert.rejects(contentsOf(folder), { code: 'PACKAGE_INVALID', message: /holds images\.txt, which/ })
  await rename(join(folder, 'images.txt'), join(folder, 'zarf.yaml.sig'))
  await rm(join(folder, 'components/layer-0001.tar'))
  await assert.rejects(contentsOf(folder), { code: 'PACKAGE_INVALID', message: /does not hold components\/layer-0001/ })
})

test('links are refused, to files and to folders, inside and outside', async (t) => {
  for (const target of ['/etc/passwd', 'zarf.yaml', '/etc', 'components', 'nowhere']) {
    const folder = await unpacked(t)
    await symlink(target, join(folder, 'linked'))
    await assert.rejects(contentsOf(folder), { code: 'PACKAGE_UNSAFE_PATH', message: /"linked" is a symbolic link/ })
  }
})

test('a hard link is refused', async (t) => {
  const folder = await unpacked(t)
  await link(join(folder, 'components/layer-0000.tar'), `${folder}-elsewhere`)
  await assert.rejects(contentsOf(folder), { code: 'PACKAGE_UNSAFE_PATH', message: /layer-0000\.tar" is a hard link/ })
})

test('a named pipe is refused and not waited for', async (t) => {
  const folder = await unpacked(t)
  execFileSync('mkfifo', [join(folder, 'pipe')])
  await assert.rejects(contentsOf(folder), { code: 'PACKAGE_UNSAFE_PATH', message: /"pipe" is a device/ })
  execFileSync('mkfifo', [`${folder}.tar`])
  await assert.rejects(contentsOf(`${folder}.tar`), { code: 'PACKAGE_FORMAT_UNSUPPORTED' })
})

test('empty folders do not matter', async (t) => {
  const folder = await unpacked(t)
  await mkdir(join(folder, 'images/ingest'), { recursive: true })
  assert.equal((await contentsOf(folder)).files.length, 4)
})

test('a file that changed after the listing is not sent', async (t) => {
  const changes: ((path: string) => Promise<void>)[] = [
    (path) => appendFile(path, 'x'),
    (path) => utimes(path, 1, 1),
    async (path) => {
      await rename(path, `${path}.old`)
      await writeFile(path, Buffer.alloc(4096))
    },
  ]
  for (const change of changes) {
    const folder = await unpacked(t)
    await using opened = await openPackageAt(folder, { signal })
    assert.ok(opened.kind === 'indexed')
    const layer = opened.contents.layers.find(({ size }) => size === 4096)
    assert.ok(layer)
    await change(join(folder, layer.annotations?.['org.opencontainers.image.title'] ?? ''))
    await assert.rejects(async () => digestOfStream(await opened.open(layer, { signal })), { code: 'PACKAGE_CHANGED' })
  }
})

test('a folder swapped for a link after the listing leads nowhere', async (t) => {
  const folder = await unpacked(t)
  const other = await unpacked(t)
  for (const either of [folder, other]) await utimes(join(either, 'components/layer-0000.tar'), 1, 1)
  await using opened = await openPackageAt(folder, { signal })
  assert.ok(opened.kind === 'indexed')
  const layer = opened.contents.layers.find(({ annotations }) =>
    Object.values(annotations ?? {}).includes('components/layer-0000.tar'),
  )
  assert.ok(layer)
  await rename(join(folder, 'components'), join(folder, 'moved'))
  await symlink(join(other, 'components'), join(folder, 'components'))
  await assert.rejects(async () => digestOfStream(await opened.open(layer, { signal })), { code: 'PACKAGE_CHANGED' })
})

async function unpacked(t: TestContext): Promise<string> {
  return (await buildPackage(await tempDir(t), { format: 'directory' })).path
}

test('a folder is known by what its files have together', async (t) => {
  const folder = await unpacked(t)
  await using opened = await openPackageAt(folder, { signal })
  assert.equal(opened.format, 'directory')
  assert.equal(
    opened.sourceBytes,
    (await contentsOf(folder)).files.reduce((sum, { size }) => sum + size, 0),
  )
})
