import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { closeSource } from '../../../src/content/opened.ts'
import { byDescriptor, systemPaths } from '../../../src/files/held-folder.ts'
import { createFileListing } from '../../../src/files/listing/file-listing.ts'
import { locateFolder } from '../../../src/files/local-folder.ts'
import { checkLocalSource, openLocalSource } from '../../../src/files/local-source.ts'
import { openTarget } from '../../../src/files/opened-target.ts'
import { toldByName } from '../../../src/transfer/inspect/told-by-name.ts'
import { keepSwapping } from '../../helpers/swaps.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const skip = systemPaths === byDescriptor ? false : 'no /proc/self/fd: docs/security.md says what is not promised here'

describe('paths that others swap for links meanwhile', { skip }, () => {
  test('an archive outside the roots is never read', async (t) => {
    const { root, outside, sources } = await bed(t)
    const path = join(root, 'p.tar')
    await keepSwapping(t, { path, target: join(outside, 'p.tar') })
    await inRounds(async (told) => told(await acceptAndRead(path, sources)), 'PACKAGE_OUTSIDE_ROOTS')
  })

  test('nor is one in a folder outside', async (t) => {
    const { root, outside, sources } = await bed(t)
    await keepSwapping(t, { path: join(root, 'package'), target: join(outside, 'package'), isFolder: true })
    const path = join(root, 'package/p.tar')
    await inRounds(async (told) => told(await acceptAndRead(path, sources)), 'PACKAGE_OUTSIDE_ROOTS')
  })

  test('an unpacked package has nothing of a folder outside', async (t) => {
    const { root, outside, sources } = await bed(t)
    await keepSwapping(t, {
      path: join(root, 'package/images'),
      target: join(outside, 'package/images'),
      isFolder: true,
    })
    await inRounds(async (told) => {
      const source = await openLocalSource(`file:${root}/package`, sources)
      assert.ok('folder' in source)
      await using folder = source.folder
      for (let again = 0; again < 3; again++) {
        const [file] = await folder.entries('images/blobs', await folder.names('images/blobs'))
        if (!file) continue
        told(file.name)
        await using opened = await folder.open(`images/blobs/${file.name}`, file.identity)
        told(String(await opened.read(Buffer.alloc(opened.size), 0)))
      }
    }, 'PACKAGE_CHANGED')
  })

  test('nothing is written to a folder outside', async (t) => {
    const { root, outside } = await bed(t)
    await keepSwapping(t, { path: join(root, 'pulled'), target: join(outside, 'pulled'), isFolder: true })
    await inRounds(async (told) => {
      try {
        const path = await locateFolder(`file:${root}/pulled/new/`, [root])
        const target = openTarget({ path, roots: [root] })
        await target.prepare({ name: 'p.tar', size: 4, overwrite: true })
        await target.write({ name: 'p.tar', overwrite: true }, content, signal)
        told('inside')
      } finally {
        for (const name of await readdir(join(outside, 'pulled'))) {
          told('outside')
          await rm(join(outside, 'pulled', name), { recursive: true })
        }
      }
    }, 'PACKAGE_OUTSIDE_ROOTS')
  })

  test('a list has nothing of a folder outside, nor of what a link there leads to', async (t) => {
    const { root, outside } = await bed(t)
    await writeFile(join(outside, 'package/outside.tar'), 'outside')
    await keepSwapping(t, { path: join(root, 'package'), target: join(outside, 'package'), isFolder: true })
    const listing = createFileListing({ roots: [root], readName: toldByName, fair: false })
    await inRounds(
      async (told) => {
        const { items } = await listing.list({ size: 9, kinds: new Set(['archive']) }, { by: 'ann', signal })
        const names = items.map(({ path }) => path)
        told(names.includes('package/outside.tar') ? 'outside' : names.includes('package/p.tar') ? 'inside' : 'neither')
      },
      'neither',
      500,
    )
  })

  test('a named pipe is not waited for', async (t) => {
    const { root, sources } = await bed(t)
    const path = join(root, 'p.tar')
    execFileSync('mkfifo', [join(root, 'pipe')])
    await keepSwapping(t, { path, target: join(root, 'pipe') })
    await inRounds(async (told) => told(await acceptAndRead(path, sources)), 'PACKAGE_UNREADABLE', 500)
  })
})

/** As a job is: the API looks, a worker opens later. */
async function acceptAndRead(path: string, sources: Parameters<typeof openLocalSource>[1]): Promise<string> {
  await checkLocalSource(`file:${path}`, sources)
  const source = await openLocalSource(`file:${path}`, sources)
  try {
    assert.ok('file' in source)
    return String(await source.file.read(Buffer.alloc(source.file.size), 0))
  } finally {
    await closeSource(source)
  }
}

/**
 * Rounds in which nothing outside was met, and on until both ways a round can end were seen: it went through, or it was
 * refused with `refusal`.
 */
async function inRounds(
  round: (told: (met: string) => void) => Promise<void>,
  refusal: string,
  atLeast = 2000,
): Promise<void> {
  const met = new Map<string, number>()
  const told = (what: string) => met.set(what, (met.get(what) ?? 0) + 1)
  for (let rounds = 0; rounds < atLeast || !(met.has('inside') && met.has(refusal)); rounds++) {
    await round(told).catch((error: Error & { code?: string }) => told(error.code ?? error.message))
    assert.ok(!met.has('outside'), `met what lies outside in round ${rounds + 1}`)
    assert.ok(rounds < 20 * atLeast, `these rounds test nothing: ${JSON.stringify([...met])}`)
  }
}

async function* content() {
  yield Buffer.from('data')
}

/** The same inside the roots and outside, but that each file says where it lies. */
async function bed(t: TestContext) {
  const folder = await tempDir(t)
  const [root, outside] = [join(folder, 'root'), join(folder, 'outside')]
  for (const [side, what] of [
    [root, 'inside'],
    [outside, 'outside'],
  ] as const) {
    await mkdir(join(side, 'package/images/blobs'), { recursive: true })
    await mkdir(join(side, 'pulled'))
    for (const file of ['p.tar', 'package/p.tar', `package/images/blobs/${what}`])
      await writeFile(join(side, file), what)
  }
  const uploads = {
    use: () => Promise.reject(new Error('no upload was asked for')),
    list: async () => [],
    get: async () => undefined,
    partials: { get: async () => undefined, list: async () => [] },
  }
  return { root, outside, sources: { roots: [root], uploads } }
}
