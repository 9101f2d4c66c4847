import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Digest, digestHex, digestOf } from '../../../src/content/digest.ts'
import { fileSize } from '../../../src/store/files/file-size.ts'
import { createContentStore } from '../../../src/store/content-store.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { assertNoStoreLeftovers } from '../processes/leftovers.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../registries/memory-registry.ts'
import { someBytes } from '../registries/oci-client.ts'
import { runProcess } from '../processes/processes.ts'
import { packageFiles, putPackage, type SyntheticLayer } from '../packages/pulling.ts'
import { tempDir } from '../temp-dir.ts'

const MIB = 1024 * 1024
const CHILD = fileURLToPath(new URL('../packages/pull-child.ts', import.meta.url))
const KILLER = new URL('../processes/kill-at-change.ts', import.meta.url).href
const { signal } = new AbortController()
const TARGET = { repository: 'team/sample', tag: '1.0.0' }

export interface StoreSweep {
  readonly registry: MemoryRegistry
  readonly layers: readonly SyntheticLayer[]
  readonly manifest: Digest
}

/** A registry with a package. */
export async function startStoreSweep(t: Cleanup): Promise<StoreSweep> {
  const registry = await startMemoryRegistry()
  defer(t, () => registry.close())
  const layers = packageFiles({
    'components/one.tar': someBytes(3 * MIB + 7, 1),
    'components/two.tar': someBytes(40_000, 2),
  })
  const manifest = putPackage(registry, TARGET, layers) as Digest
  return { registry, layers, manifest }
}

/** How many changes of files a pull makes together with the deletion of what it pulled. */
export async function countChanges(t: Cleanup, sweep: StoreSweep): Promise<number> {
  const { code, output } = await runChild(t, sweep, { folder: await tempDir(t, 'store'), next: ['delete'] })
  assert.equal(code, 0, output)
  return Number(/changes (\d+)/.exec(output)?.[1])
}

/**
 * Kills a pull, or the deletion after it, before its k-th change or the first that matches. Returns what that change would
 * have been, undefined when it was not met.
 */
export async function killStoreAt(t: Cleanup, sweep: StoreSweep, point: number | RegExp): Promise<string | undefined> {
  const folder = await tempDir(t, 'store')
  const killed = await runChild(t, sweep, { folder, next: ['delete'], point })
  // How many changes there are varies by a few: concurrent downloads meet the disk as they come.
  if (killed.signal !== 'SIGKILL') {
    assert.equal(killed.code, 0, killed.output)
    return undefined
  }
  const at = `${point}: ${/killed before .*/.exec(killed.stdout)?.[0].replaceAll(folder, '')}`
  await assertNothingHalfDone(folder, at)
  const there = await blobSizes(folder, sweep)
  sweep.registry.requests.length = 0
  const { code, output } = await runChild(t, sweep, { folder, next: [] })
  assert.equal(code, 0, `${at}: ${output}`)
  assertOnlyTheRest(sweep, there, at)
  await assertWhole(folder, sweep, at)
  return at
}

interface ChildRun {
  folder: string
  next: readonly string[]
  point?: number | RegExp
}

function runChild(t: Cleanup, { registry }: StoreSweep, { folder, next, point }: ChildRun) {
  const reference = `oci://${registry.host}/${TARGET.repository}:${TARGET.tag}`
  const env = {
    LAYERD_KILL_AT: typeof point === 'number' ? String(point) : undefined,
    LAYERD_KILL_BEFORE: typeof point === 'object' ? point.source : undefined,
  }
  return runProcess(t, process.execPath, ['--import', KILLER, CHILD, folder, reference, ...next], { env })
}

/** The index may lag behind the records by the last one: what it names is whole all the same. */
async function assertNothingHalfDone(folder: string, at: string): Promise<void> {
  await using store = await createContentStore({ folder })
  const { findings } = await store.check({ signal })
  const wrong = findings.filter(({ kind }) => kind !== 'index-stale')
  assert.deepEqual(wrong, [], `${at}: ${wrong.map(({ kind, path }) => `${kind} ${path}`).join()}`)
}

async function blobSizes(folder: string, sweep: StoreSweep): Promise<Map<string, number>> {
  const partials = await readdir(join(folder, 'ingest'))
  const sizes = new Map<string, number>()
  for (const { bytes } of sweep.layers) {
    const digest = digestOf(bytes)
    const partial = partials.find((name) => name.startsWith(digest.replace(':', '-')) && !name.endsWith('.lock'))
    const whole = await fileSize(join(folder, 'blobs', 'sha256', digestHex(digest)))
    sizes.set(digest, whole ?? (partial === undefined ? 0 : ((await fileSize(join(folder, 'ingest', partial))) ?? 0)))
  }
  return sizes
}

function assertOnlyTheRest({ registry, layers }: StoreSweep, there: ReadonlyMap<string, number>, at: string): void {
  for (const { title, bytes } of layers.filter(({ title: name }) => name.startsWith('components/'))) {
    const digest = digestOf(bytes)
    const asked = registry.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(digest))
    const have = there.get(digest) ?? 0
    const from = asked.map(({ headers }) => Number(/^bytes=(\d+)-/.exec(headers.range ?? 'bytes=0-')?.[1]))
    assert.deepEqual(from, have === bytes.length ? [] : [have], `${at}: ${title}, of which ${have} bytes were there`)
  }
}

async function assertWhole(folder: string, { manifest }: StoreSweep, at: string): Promise<void> {
  await assertNoStoreLeftovers(folder, at)
  assert.deepEqual(await readdir(join(folder, 'users')), [], at)
  await using store = await createContentStore({ folder })
  assert.equal((await store.packages.get(manifest))?.complete, true, at)
  assert.deepEqual((await store.check({ signal })).findings, [], at)
}
