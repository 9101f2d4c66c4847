import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { digestHex, digestOf, parseDigest } from '../../src/content/digest.ts'
import { bufferOpener } from '../../src/content/streams.ts'
import { isAppError, type ErrorCode } from '../../src/lib/errors.ts'
import { type ContentStore, createContentStore } from '../../src/store/content-store.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { changedUpdate, cutFile, type ListJson, readEntries } from '../helpers/packages/update-entries.ts'
import { applyTo, type ApplyOptions, twoVersions, updateFile } from '../helpers/packages/updating.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()

const newStore = async (t: TestContext) => createContentStore({ folder: await tempDir(t, 'store') })

/** A store that has the older version, an update for it, and what the store holds. */
async function bed(t: TestContext) {
  const versions = await twoVersions(t)
  const [from, to] = [await newStore(t), await newStore(t)]
  await versions.pull(from, '1.0.0')
  await versions.pull(from, '1.1.0')
  await versions.pull(to, '1.0.0')
  const path = await updateFile(t, from, { digest: versions.made, since: versions.base })
  return { ...versions, from, to, path, held: await heldBy(to) }
}

async function heldBy(store: ContentStore): Promise<string[]> {
  const blobs = await readdir(join(store.folder, 'blobs', 'sha256'))
  const records = await readdir(join(store.folder, 'packages'))
  return [...blobs, ...records].toSorted()
}

async function refused(
  store: ContentStore,
  path: string,
  expected: { code: ErrorCode; message: RegExp; details?: Record<string, unknown> },
  options: ApplyOptions = {},
): Promise<void> {
  await assert.rejects(applyTo(store, path, options), (error) => {
    assert.ok(isAppError(error), String(error))
    assert.equal(error.code, expected.code, error.message)
    assert.match(error.message, expected.message)
    for (const [name, value] of Object.entries(expected.details ?? {})) assert.deepEqual(error.details?.[name], value)
    assert.ok(error.hint, 'it says what to do')
    return true
  })
}

test('without its base an update says which one it needs, what is there instead, and where to get it', async (t) => {
  const { made, base, path, pull } = await bed(t)
  const store = await newStore(t)
  await refused(store, path, { code: 'UPDATE_BASE_MISSING', message: /for sample 1\.0\.0 .* it holds none of it$/ })
  await pull(store, '1.1.0')
  const stored = [{ digest: made, version: '1.1.0', flavor: null }]
  const details = { base, version: '1.0.0', digest: made, stored }
  await refused(store, path, { code: 'UPDATE_BASE_MISSING', message: /it holds 1\.1\.0 \(sha256:/, details })
})

test('a base that somebody else pulled does not count', async (t) => {
  const { path, pull, made } = await bed(t)
  const store = await newStore(t)
  await pull(store, '1.0.0', 'ada')
  // As a run of a job sees the store (worker/kinds/run-apply.ts).
  const seen = (owner: string) => ({
    ...store,
    packages: {
      ...store.packages,
      get: (digest: typeof made) => store.packages.get(digest, ({ name }) => name === owner),
      list: () => store.packages.list(({ name }) => name === owner),
    },
  })
  await refused(seen('bob'), path, { code: 'UPDATE_BASE_MISSING', message: /holds none of it/ }, { owner: 'bob' })
  assert.equal((await applyTo(seen('ada'), path, { owner: 'ada' })).outcome.digest, made)
})

test('a base that lacks a layer, or has another in its place, is told as the base', async (t) => {
  const { to, path, from, base, held } = await bed(t)
  const list = JSON.parse(String((await readEntries(path))[0]?.content)) as ListJson
  const [layer, other] = list.fromBase.map(({ digest }) =>
    join(to.folder, 'blobs', 'sha256', digestHex(parseDigest(digest))),
  )
  const [bytes, otherBytes] = [await readFile(layer ?? ''), await readFile(other ?? '')]
  await truncate(layer ?? '', 10)
  await refused(to, path, {
    code: 'PACKAGE_INCOMPLETE',
    message: /^the base sample 1\.0\.0 \(sha256:/,
    details: { base },
  })
  await writeFile(layer ?? '', bytes)
  await writeFile(other ?? '', randomBytes(otherBytes.length))
  await refused(to, path, { code: 'STORE_CORRUPT', message: /^the base sample 1\.0\.0/, details: { base } })
  assert.ok(
    (await heldBy(to)).every((name) => held.includes(name)),
    'nothing of the update stays',
  )
  assert.equal((await from.packages.get(base))?.complete, true)
})

test('an archive that is cut at any place leaves what was there', async (t) => {
  const { to, path, held } = await bed(t)
  const { length } = await readFile(path)
  for (const bytes of [0, 5, 200, 1500, 4000, Math.floor(length / 2), length - 20_000, length - 1024, length - 1]) {
    const cut = await cutFile(t, path, bytes)
    await refused(to, cut, { code: 'PACKAGE_TRUNCATED', message: /too early|cut|ends/ })
    assert.deepEqual(await heldBy(to), held, `cut at ${bytes}`)
  }
})

test('a layer of other bytes is refused, also where the store has the right ones', async (t) => {
  const { to, path, held, made } = await bed(t)
  const wrong = await changedUpdate(t, path, {
    entries: (all) =>
      all.map((entry, at) => (at < all.length - 1 ? entry : { ...entry, content: randomBytes(entry.content.length) })),
  })
  await refused(to, wrong, { code: 'PACKAGE_CHECKSUM_MISMATCH', message: /data\.bin/ })
  assert.deepEqual(await heldBy(to), held)
  const right = (await readEntries(path)).at(-1)?.content ?? Buffer.alloc(0)
  const blob = { mediaType: 'application/octet-stream', digest: digestOf(right), size: right.length }
  await to.push(blob, bufferOpener(right), { signal })
  await refused(to, wrong, { code: 'PACKAGE_CHECKSUM_MISMATCH', message: /data\.bin/ })
  assert.equal(await to.packages.get(made), undefined)
})

test('what vouches for the package is checked before anything is written', async (t) => {
  const { to, path, held } = await bed(t)
  const wrongHead = await changedUpdate(t, path, {
    entries: (all) =>
      all.map((entry, at) => (at === 3 ? { ...entry, content: randomBytes(entry.content.length) } : entry)),
  })
  await refused(to, wrongHead, { code: 'DIGEST_MISMATCH', message: /holds other bytes under sha256:/ })
  const otherManifest = await changedUpdate(t, path, {
    entries: (all) =>
      all.map((entry, at) => (at === 1 ? { ...entry, content: Buffer.alloc(entry.content.length, ' ') } : entry)),
  })
  await refused(to, otherManifest, { code: 'DIGEST_MISMATCH', message: /holds other bytes under sha256:/ })
  assert.deepEqual(await heldBy(to), held)
})

test('a list that lies is refused with what it says and what is so', async (t) => {
  const { to, path, held, base } = await bed(t)
  const strange = { mediaType: 'application/octet-stream', digest: digestOf(Buffer.from('x')), size: 1 }
  const lies: Array<[string, (list: ListJson) => void, RegExp]> = [
    ['more than the manifest', (list) => list.fromBase.push(strange), /which its manifest has not/],
    ['less than the manifest', (list) => list.fromBase.pop(), /its list lacks sha256:/],
    ['one twice', (list) => list.fromBase.push(list.fromBase[0] ?? strange), /or not again/],
    ['another size', (list) => void ((list.fromBase[0] ?? strange).size += 1), /which its manifest has not/],
    [
      'what the base lacks',
      (list) => void list.fromBase.push(list.included.pop() ?? strange),
      /takes sha256:.* from its base .* no such layer/,
    ],
    [
      'what vouches left out',
      (list) => void list.fromBase.push(list.included.splice(1, 1)[0] ?? strange),
      /does not begin with what vouches/,
    ],
    ['another name', (list) => void (list.package.name = 'other'), /says that it makes the name "other"/],
    ['another version', (list) => void (list.package.version = '9'), /says that it makes the version "9"/],
    ['no digest', (list) => void (list.base.digest = '../../etc/passwd'), /a digest that is none/],
    ['a size below zero', (list) => void (list.manifest.size = -1), /lacks what one of this format has/],
    ['no list', (list) => void delete (list as Partial<ListJson>).included, /lacks what one of this format has/],
    ['no format', (list) => void (list.mediaType = 'text/plain'), /is of no format of updates/],
  ]
  for (const [what, lie, message] of lies) {
    const lying = await changedUpdate(t, path, { list: lie })
    await refused(to, lying, { code: 'PACKAGE_INVALID', message })
    assert.deepEqual(await heldBy(to), held, what)
  }
  // Of another package that is there, its base would be one that shares nothing.
  const otherBase = await changedUpdate(t, path, { list: (list) => void (list.base.digest = list.manifest.digest) })
  await refused(to, otherBase, { code: 'UPDATE_BASE_MISSING', message: /it holds 1\.0\.0/ })
  assert.ok(await to.packages.get(base))
})

test('a later format says which one this layerd reads', async (t) => {
  const { to, path } = await bed(t)
  const later = await changedUpdate(t, path, {
    list: (list) => void (list.mediaType = 'application/vnd.layerd.update.v2+json'),
  })
  const details = { format: 2, known: [1] }
  await refused(to, later, { code: 'PACKAGE_FORMAT_UNSUPPORTED', message: /of format 2; this layerd reads 1/, details })
})

test('entries in another order, under other names, or more than the list has are refused', async (t) => {
  const { to, path, held } = await bed(t)
  const hostile: Array<[ErrorCode, RegExp, Parameters<typeof changedUpdate>[2]]> = [
    [
      'PACKAGE_INVALID',
      /where its list has/,
      { entries: ([list, one, two, ...more]) => [list, two, one, ...more].flatMap((each) => each ?? []) },
    ],
    [
      'PACKAGE_UNSAFE_PATH',
      /leaves the package/,
      {
        entries: ([list, one, ...more]) =>
          [list, { name: '../../out', content: one?.content ?? Buffer.alloc(0) }, ...more].flatMap(
            (each) => each ?? [],
          ),
      },
    ],
    [
      'PACKAGE_UNSAFE_PATH',
      /absolute/,
      {
        entries: ([list, one, ...more]) =>
          [list, { name: '/etc/out', content: one?.content ?? Buffer.alloc(0) }, ...more].flatMap((each) => each ?? []),
      },
    ],
    [
      'PACKAGE_INVALID',
      /which its list does not/,
      { entries: (all) => [...all, { name: 'extra', content: randomBytes(10) }] },
    ],
    ['PACKAGE_INVALID', /it ends before/, { entries: (all) => all.slice(0, -1) }],
    ['PACKAGE_FORMAT_UNSUPPORTED', /does not begin with layerd-update\.json/, { entries: (all) => all.slice(1) }],
    ['PACKAGE_FORMAT_UNSUPPORTED', /does not begin with layerd-update\.json/, { entries: () => [] }],
  ]
  for (const [code, message, change] of hostile) {
    await refused(to, await changedUpdate(t, path, change), { code, message })
    assert.deepEqual(await heldBy(to), held)
  }
})

test('a whole package is no update, and an update is no package', async (t) => {
  const { to, path, registry } = await bed(t)
  await refused(to, FIXTURES.nemoAmd64, { code: 'PACKAGE_FORMAT_UNSUPPORTED', message: /is no update of layerd/ })
  const unpacked = join(await tempDir(t), 'layerd-update.tar')
  await writeFile(unpacked, zstdDecompressSync(await readFile(path)))
  for (const archive of [path, unpacked]) {
    await assert.rejects(publishTo(t, archive, { registry: registry.host, namespace: 'team' }), {
      code: 'PACKAGE_FORMAT_UNSUPPORTED',
      message: /is an update of layerd, and not a whole package/,
    })
  }
})
