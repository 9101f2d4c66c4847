import assert from 'node:assert/strict'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestHex } from '../../../src/content/digest.ts'
import { bufferOpener } from '../../../src/content/streams.ts'
import { type ContentStore, createContentStore } from '../../../src/store/content-store.ts'
import { someBytes } from '../../helpers/oci-client.ts'
import { findProgram } from '../../helpers/real-tools.ts'
import { runProcess } from '../../helpers/processes.ts'
import { storeSample, type StoredSample } from '../../helpers/store-packages.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()
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
    damage: async ({ file }) => writeFile(file('ingest', `sha256-${'a'.repeat(64)}`), 'cut'),
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
