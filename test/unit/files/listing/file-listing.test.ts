import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, chown, link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { createFileListing, type FilePage } from '../../../../src/files/listing/file-listing.ts'
import { WALK_LIMITS, type WalkLimits } from '../../../../src/files/listing/file-walk.ts'
import { LISTED_KINDS } from '../../../../src/files/listing/listed-file.ts'
import { type HandlePaths, systemPaths } from '../../../../src/files/held-folder.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { toldByName } from '../../../../src/transfer/inspect/told-by-name.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const who = { by: 'ann', signal: new AbortController().signal }
const kinds = new Set(LISTED_KINDS)

async function bed(t: Parameters<typeof tempDir>[0], files: readonly string[], limits: Partial<WalkLimits> = {}) {
  const folder = await tempDir(t)
  const root = join(folder, 'root')
  await mkdir(root)
  for (const path of files) await put(join(root, path))
  return { folder, root, ...listingOf([root], limits) }
}

async function put(path: string, text = 'bytes') {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}

function listingOf(roots: readonly string[], limits: Partial<WalkLimits> = {}) {
  const listing = createFileListing({ roots, readName: toldByName, fair: false, limits: { ...WALK_LIMITS, ...limits } })
  const pages = async (size = 100, query: { text?: string; root?: string } = {}) => {
    const all: FilePage[] = []
    let token: string | undefined
    do {
      const page = await listing.list({ size, token, kinds, ...query }, who)
      all.push(page)
      token = page.nextPageToken
    } while (token !== undefined)
    return all
  }
  const paths = async (size?: number, query?: { text?: string; root?: string }) =>
    (await pages(size, query)).flatMap(({ items }) => items.map(({ path }) => path))
  return { listing, pages, paths }
}

test('what a job may read is listed, by what its name says', async (t) => {
  const { root, pages } = await bed(t, [
    'zarf-package-nemo-amd64-1.2.0.tar.zst',
    'deep/er/zarf-init-arm64-v0.84.0.tar.zst',
    'uds-bundle-armada-amd64-0.2.0.tar.zst',
    'other.tar',
    'notes.txt',
    'part.tar.zst.part001',
    '.hidden.tar',
    '.folder/zarf-package-a-amd64-1.tar',
    'unpacked/zarf.yaml',
    'unpacked/checksums.txt',
    'unpacked/images/inner.tar',
    'source/zarf.yaml',
  ])
  const head = JSON.stringify({ Sha256Sum: 'a'.repeat(64), Bytes: 1234, Count: 2 })
  await put(join(root, 'zarf-package-big-amd64-2.0.0.tar.zst.part000'), head)
  await put(join(root, 'zarf-package-broken-amd64-2.0.0.tar.part000'), '{')
  const [page] = await pages()
  assert.ok(page)
  const told = page.items.map(({ path, kind, size, toldByName: by }) => [
    path,
    kind,
    size,
    by && `${by.name} ${by.architecture} ${by.version}`,
  ])
  assert.deepEqual(told, [
    ['deep/er/zarf-init-arm64-v0.84.0.tar.zst', 'init', 5, 'init arm64 v0.84.0'],
    ['other.tar', 'archive', 5, null],
    ['uds-bundle-armada-amd64-0.2.0.tar.zst', 'bundle', 5, 'armada amd64 0.2.0'],
    ['unpacked', 'folder', null, null],
    ['zarf-package-big-amd64-2.0.0.tar.zst.part000', 'split', 1234, 'big amd64 2.0.0'],
    ['zarf-package-broken-amd64-2.0.0.tar.part000', 'split', null, 'broken amd64 2.0.0'],
    ['zarf-package-nemo-amd64-1.2.0.tar.zst', 'package', 5, 'nemo amd64 1.2.0'],
  ])
  assert.ok(page.items.every(({ modifiedAt }) => Math.abs(Date.parse(modifiedAt) - Date.now()) < 3_600_000))
  assert.deepEqual(page.skipped, [])
})

test('pages of any size have each file once, in one order, whatever folders they end in', async (t) => {
  const files = ['a/1.tar', 'a/b/2.tar', 'a/b.tar', 'a.tar', 'b/c/d/3.tar', 'b/c/4.tar', 'c.tar', 'd/5.tar']
  const { root, paths } = await bed(t, files)
  await put(join(root, 'z/zarf.yaml'))
  await put(join(root, 'z/checksums.txt'))
  const all = await paths()
  assert.deepEqual(all.toSorted(), [...files, 'z'].toSorted())
  for (const size of [1, 2, 3, 5]) assert.deepEqual(await paths(size), all, `pages of ${size}`)
})

test('files that come and go between pages neither hide others nor show one twice', async (t) => {
  const { root, listing } = await bed(t, ['a/1.tar', 'a/2.tar', 'a/3.tar', 'b/1.tar'])
  const first = await listing.list({ size: 2, kinds }, who)
  assert.deepEqual(
    first.items.map(({ path }) => path),
    ['a/1.tar', 'a/2.tar'],
  )
  await rm(join(root, 'a/2.tar'))
  await put(join(root, 'a/0.tar'))
  await put(join(root, 'a/2b.tar'))
  const rest = await listing.list({ size: 9, token: first.nextPageToken, kinds }, who)
  assert.deepEqual(
    rest.items.map(({ path }) => path),
    ['a/2b.tar', 'a/3.tar', 'b/1.tar'],
  )
  await rename(join(root, 'a'), join(root, 'c'))
  const moved = await listing.list({ size: 9, token: first.nextPageToken, kinds }, who)
  assert.equal(moved.items[0]?.path, 'b/1.tar')
})

test('a walk whose limits are spent ends its page and goes on, and gets through', async (t) => {
  const files = Array.from({ length: 60 }, (_, at) => `${'d/'.repeat(at % 7)}${at % 5}/f${at}.tar`)
  for (const limits of [{ entries: 0 }, { withinMs: -1 }, { kept: 1 }, { kept: 2, entries: 3 }]) {
    const { paths, pages } = await bed(t, files, limits)
    assert.deepEqual((await paths()).toSorted(), files.toSorted(), JSON.stringify(limits))
    assert.ok((await pages()).length > 10)
  }
})

test('no link out is followed, to a file or a folder, nor in a circle; one inside is', async (t) => {
  const { folder, root, paths } = await bed(t, ['in/real.tar'])
  await put(join(folder, 'outside/secret.tar'))
  await symlink(join(folder, 'outside/secret.tar'), join(root, 'link.tar'))
  await symlink('../outside', join(root, 'out'))
  await symlink('in/real.tar', join(root, 'latest.tar'))
  await symlink('.', join(root, 'in/circle'))
  await symlink('/dev/zero', join(root, 'zero.tar'))
  await symlink('gone', join(root, 'gone.tar'))
  assert.deepEqual(await paths(), ['in/real.tar', 'latest.tar'])
})

test('pipes and sockets are passed over, and nobody waits for them', async (t) => {
  const { root, paths } = await bed(t, ['a.tar'])
  execFileSync('mkfifo', [join(root, 'pipe.tar'), join(root, 'zarf-package-p-amd64-1.tar.part000')])
  await symlink('pipe.tar', join(root, 'to-pipe.tar'))
  assert.deepEqual(await paths(), ['a.tar'])
})

test('names that are no text are left out', async (t) => {
  const { root, paths } = await bed(t, ['ok "quoted" %41 #?.tar'])
  await writeFile(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff, 0xfe]), Buffer.from('.tar')]), '')
  await put(join(root, 'line\nbreak.tar'))
  await put(join(root, 'esc\u001b[2J.tar'))
  await put(join(root, 'turned\u202e.tar'))
  await put(join(root, 'tab\tfolder/a.tar'))
  assert.deepEqual(await paths(), ['ok "quoted" %41 #?.tar'])
})

test('places that are not looked into are told', async (t) => {
  const files = ['a/b/c/deep.tar', 'many/1.tar', 'many/2.tar', 'many/3.tar']
  const { root, folder, pages } = await bed(t, files, { entriesOfFolder: 2, depth: 2 })
  const [page] = await pages()
  assert.deepEqual(page, {
    items: [],
    skipped: [
      { path: join(root, 'a/b/c'), reason: 'it lies too deep' },
      { path: join(root, 'many'), reason: 'it has more than 2 entries' },
    ],
  })
  const [first] = await listingOf([join(folder, 'nowhere'), root]).pages(1)
  assert.deepEqual(first?.skipped, [{ path: join(folder, 'nowhere'), reason: 'it is not there' }])
})

test('a folder that may not be read is told, and the others are listed', async (t) => {
  const { root, folder, pages } = await bed(t, ['a/1.tar', 'private/2.tar', 'z/3.tar'])
  await chmod(folder, 0o755)
  await chmod(join(root, 'private'), 0)
  const [page] = await asNobody(pages)
  assert.deepEqual(page?.skipped, [{ path: join(root, 'private'), reason: 'it cannot be read (EACCES)' }])
  assert.deepEqual(
    page?.items.map(({ path }) => path),
    ['a/1.tar', 'z/3.tar'],
  )
})

/** Root may read everything. */
async function asNobody<T>(task: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return await task()
  process.seteuid?.(65_534)
  try {
    return await task()
  } finally {
    process.seteuid?.(0)
  }
}

test('a hard link of another user is not listed: a job would not read it', async (t) => {
  const { root, paths } = await bed(t, ['a.tar', 'b.tar'])
  await link(join(root, 'a.tar'), join(root, 'c.tar'))
  assert.deepEqual(await paths(), ['a.tar', 'b.tar', 'c.tar'])
  if (process.geteuid?.() !== 0) return t.skip('only root can give a file away')
  await chown(join(root, 'a.tar'), 65_534, 65_534)
  assert.deepEqual(await paths(), ['b.tar'])
})

test('a file system that does not answer is left when the caller goes, and holds its places until it answers', async (t) => {
  const { root } = await bed(t, ['a.tar'])
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const locate: HandlePaths['locate'] = async (...of) => {
    asked.resolve()
    await answer.promise
    return await systemPaths.locate(...of)
  }
  const paths = { ...systemPaths, locate }
  const listing = createFileListing({ roots: [root], readName: toldByName, fair: true, paths })
  const ask = (by: string, signal: AbortSignal) => listing.list({ size: 1, kinds }, { by, signal })
  const left = new AbortController()
  const hanging = ask('ann', left.signal)
  await asked.promise
  left.abort(new AppError('PACKAGE_TIMEOUT', 'late'))
  await assert.rejects(hanging, { code: 'PACKAGE_TIMEOUT' })
  const next = ask('ann', who.signal)
  answer.resolve()
  assert.deepEqual(
    (await next).items.map(({ path }) => path),
    ['a.tar'],
  )
})

test('a root inside another one is walked through once, each by itself, and other folders not at all', async (t) => {
  const { root, folder } = await bed(t, ['a/1.tar', 'b.tar'])
  await symlink('root', join(folder, 'again'))
  const { pages, paths, listing } = listingOf([root, join(root, 'a'), join(folder, 'again'), `${root}/`])
  assert.deepEqual(await paths(1), ['a/1.tar', 'b.tar'])
  const [inner] = await pages(9, { root: join(root, 'a') })
  assert.deepEqual(
    inner?.items.map(({ path }) => path),
    ['1.tar'],
  )
  await assert.rejects(listing.list({ size: 1, kinds, root: folder }, who), { code: 'REQUEST_INVALID' })
  const token = Buffer.from(`${folder}\0x`).toString('base64url')
  await assert.rejects(listing.list({ size: 1, kinds, token }, who), { code: 'REQUEST_INVALID' })
})

test('a page may end where a root does', async (t) => {
  const { folder } = await bed(t, [])
  const roots = ['c', 'a', 'b', 'empty'].map((name) => join(folder, name))
  for (const name of ['a/1.tar', 'b/2.tar', 'c/zarf.yaml', 'c/checksums.txt']) await put(join(folder, name))
  for (const size of [1, 2, 3]) assert.deepEqual(await listingOf(roots).paths(size), ['1.tar', '2.tar', ''])
})

test('a part of the path is looked for in any case, and a root may be a package itself', async (t) => {
  const { root, paths } = await bed(t, ['Team/Nemo.tar', 'team/dory.tar', 'pack/zarf.yaml', 'pack/checksums.txt'])
  assert.deepEqual(await paths(1, { text: 'NEMO' }), ['Team/Nemo.tar'])
  assert.deepEqual(await paths(1, { text: 'team/' }), ['Team/Nemo.tar', 'team/dory.tar'])
  assert.deepEqual(await listingOf([join(root, 'pack')]).paths(), [''])
})
