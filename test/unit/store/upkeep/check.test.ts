import assert from 'node:assert/strict'
import { readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Descriptor } from '../../../../src/content/descriptor.ts'
import { digestHex } from '../../../../src/content/digest.ts'
import { bufferOpener } from '../../../../src/content/streams.ts'
import { type ContentStore, createContentStore } from '../../../../src/store/content-store.ts'
import { lockFile } from '../../../../src/store/locks/file-lock.ts'
import { someBytes } from '../../../helpers/registries/oci-client.ts'
import { findProgram } from '../../../helpers/processes/real-tools.ts'
import { runProcess, startProcess } from '../../../helpers/processes/processes.ts'
import { storeSample, type StoredSample } from '../../../helpers/packages/store-packages.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const STORE_CHILD = fileURLToPath(new URL('../../../helpers/packages/store-child.ts', import.meta.url))
const dayBeforeYesterday = new Date(Date.now() - 48 * 3600 * 1000)
const LAYERS = [someBytes(3000, 1), someBytes(5000, 2)]

interface Bed {
  store: ContentStore
  sample: StoredSample
  path: (blob: Descriptor) => string
  file: (...names: string[]) => string
}

async function bed(t: TestContext): Promise<Bed> {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const sample = await storeSample(store, { layers: LAYERS })
  const file = (...names: string[]) => join(folder, ...names)
  return { store, sample, file, path: (blob) => file('blobs', 'sha256', digestHex(blob.digest)) }
}

test('a whole store has no findings, and any OCI tool reads it', async (t) => {
  const { store } = await bed(t)
  const report = await store.check({ signal })
  assert.deepEqual(report.findings, [])
  assert.deepEqual([report.blobs, report.packages], [4, 1])
  const skopeo = findProgram('skopeo')
  if (skopeo === undefined) return t.diagnostic('skopeo is not on PATH')
  const { output } = await runProcess(t, skopeo, [
    'inspect',
    '--raw',
    `oci:${store.folder}:registry.example/team/sample:1.0.0`,
  ])
  assert.match(output, /components\/c0\.tar/)
})

const damages: Record<
  string,
  { damage: (bed: Bed) => Promise<void>; finds: string[]; after: (bed: Bed) => Promise<void> }
> = {
  'a flipped byte': {
    async damage({ path, sample }) {
      const file = path(sample.layers[0] as Descriptor)
      const bytes = await readFile(file)
      await writeFile(file, bytes.fill(7, 100, 101))
    },
    finds: ['blob-damaged', 'package-incomplete', 'index-stale'],
    after: completesAgain,
  },
  'a blob that was cut': {
    damage: async ({ path, sample }) => truncate(path(sample.layers[0] as Descriptor), 10),
    finds: ['blob-damaged', 'package-incomplete', 'index-stale'],
    after: completesAgain,
  },
  'a blob that is gone': {
    damage: async ({ path, sample }) => rm(path(sample.layers[0] as Descriptor)),
    finds: ['package-incomplete', 'index-stale'],
    after: completesAgain,
  },
  'a manifest that is gone': {
    damage: async ({ path, sample }) => rm(path(sample.manifest)),
    finds: ['package-lost', 'index-stale'],
    after: async ({ store }) => assert.deepEqual(await store.packages.list(), []),
  },
  'a broken record': {
    damage: async ({ file, sample }) => writeFile(file('packages', `${digestHex(sample.record.digest)}.json`), '{"na'),
    finds: ['record-broken'],
    after: keepsTheRecord,
  },
  'a record that is gone': {
    damage: async ({ file, sample }) => rm(file('packages', `${digestHex(sample.record.digest)}.json`)),
    finds: ['record-missing'],
    after: keepsTheRecord,
  },
  'a broken index': {
    damage: async ({ file }) => writeFile(file('index.json'), ''),
    finds: ['index-stale'],
    after: keepsTheRecord,
  },
  'a partial file of nobody': {
    async damage({ file }) {
      const path = file('ingest', `sha256-${'a'.repeat(64)}`)
      await writeFile(path, 'cut')
      await utimes(path, dayBeforeYesterday, dayBeforeYesterday)
    },
    finds: ['ingest-orphaned'],
    after: keepsTheRecord,
  },
  'a file that is no blob': {
    damage: async ({ file }) => writeFile(file('blobs', 'sha256', 'notes.txt'), 'mine'),
    finds: ['file-stray'],
    after: keepsTheRecord,
  },
}

for (const [what, { damage, finds, after }] of Object.entries(damages)) {
  test(`check finds ${what}, changes nothing, and repair mends it`, async (t) => {
    const setting = await bed(t)
    const { store } = setting
    await damage(setting)
    const looked = await store.check({ signal })
    const kinds = looked.findings.map(({ kind }) => kind)
    // What only a repair of an earlier finding brings about shows in the repairing run.
    assert.ok(kinds.length > 0 && kinds.every((kind) => finds.includes(kind)), kinds.join())
    assert.ok(looked.findings.every(({ repaired }) => !repaired))
    const mended = await store.check({ repair: true, signal })
    assert.deepEqual(
      mended.findings.map(({ kind }) => kind),
      finds,
    )
    assert.deepEqual((await store.check({ signal })).findings, [])
    await after(setting)
  })
}

test('a store that has never held a package has no findings', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  assert.deepEqual((await store.check({ signal })).findings, [])
})

test('what a job left to go on from is no damage, and a repair keeps it', async (t) => {
  const { store, file } = await bed(t)
  const partial = file('ingest', `sha256-${'a'.repeat(64)}`)
  await writeFile(partial, 'cut')
  assert.deepEqual((await store.check({ repair: true, signal })).findings, [])
  assert.equal(await readFile(partial, 'utf8'), 'cut')
})

test('a finding names the blobs by title and digest, and the packages that need them', async (t) => {
  const { store, sample, path } = await bed(t)
  const [layer, other] = sample.layers as [Descriptor, Descriptor]
  await truncate(path(layer), 10)
  await rm(path(other))
  const { findings } = await store.check({ signal })
  const { digest } = sample.record
  assert.deepEqual(
    findings.map(({ kind, blobs, packages }) => ({ kind, blobs, packages: packages.map((found) => found.digest) })),
    [
      { kind: 'blob-damaged', blobs: [{ digest: layer.digest, titles: ['components/c0.tar'] }], packages: [digest] },
      {
        kind: 'package-incomplete',
        blobs: [
          { digest: layer.digest, titles: ['components/c0.tar'] },
          { digest: other.digest, titles: ['components/c1.tar'] },
        ],
        packages: [digest],
      },
    ],
  )
})

test('a record without a copy is named by the manifest that it leaves behind', async (t) => {
  const { store, sample, file } = await bed(t)
  await writeFile(file('packages', `${digestHex(sample.record.digest)}.json`), '')
  await writeFile(file('index.json'), '')
  const [finding] = (await store.check({ signal })).findings
  assert.equal(finding?.kind, 'record-broken')
  assert.deepEqual(
    finding.packages.map(({ digest, name }) => ({ digest, name })),
    [{ digest: sample.record.digest, name: 'sample' }],
  )
})

test('a repair waits for nobody: while another process works on the store it is refused, and it keeps others out', async (t) => {
  const { store } = await bed(t)
  const child = await startProcess(t, process.execPath, [STORE_CHILD, 'lease', store.folder, '10'])
  await child.waitForOutput(/ready/)
  const busy = (error: Error & { code: string }) =>
    error.code === 'STORE_BUSY' && error.message.includes(`in use by process ${child.pid}`)
  await assert.rejects(store.check({ repair: true, signal }), busy)
  assert.deepEqual((await store.check({ signal })).findings, [])
  await child.kill()
  assert.deepEqual((await store.check({ repair: true, signal })).findings, [])

  await using _repair = await lockFile(join(store.folder, 'repair'))
  const late = await runProcess(t, process.execPath, [STORE_CHILD, 'lease', store.folder, '10'])
  assert.notEqual(late.code, 0)
  assert.match(late.stderr, new RegExp(`is being repaired by process ${process.pid}`))
  assert.equal((await readdir(join(store.folder, 'users'))).length, 1)
})

async function completesAgain({ store, sample }: Bed): Promise<void> {
  assert.equal((await store.packages.get(sample.record.digest))?.complete, false)
  assert.deepEqual(await store.missing(sample.layers), [sample.layers[0]])
  await store.push(sample.layers[0] as Descriptor, bufferOpener(LAYERS[0] as Buffer), { signal })
  assert.equal((await store.packages.put(sample.record)).complete, true)
  assert.deepEqual((await store.check({ signal })).findings, [])
}

async function keepsTheRecord({ store, sample }: Bed): Promise<void> {
  assert.deepEqual(await store.packages.get(sample.record.digest), sample.record)
}
