import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Digest, digestHex, digestOf } from '../../../src/content/digest.ts'
import type { Range } from '../../../src/content/ranges.ts'
import { fileSize } from '../../../src/store/files/file-size.ts'
import { createContentStore } from '../../../src/store/content-store.ts'
import { writtenRanges } from '../../../src/store/ingest/range-journal.ts'
import { mergeRanges } from '../../../src/store/ingest/range-plan.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { startFaultProxy } from '../network/fault-proxy.ts'
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
  /** What the registry is called. */
  readonly host: string
  /** How a pull goes, or what comes after it. */
  readonly besides: 'delete' | 'ranges'
}

/** The `nth` change that matches, counted from 1. */
export interface KillPoint {
  readonly match: RegExp
  readonly nth: number
}

/** A registry with a package. With `ranges` its large layer comes over several connections, which are slow. */
export async function startStoreSweep(t: Cleanup, { ranges = false } = {}): Promise<StoreSweep> {
  const registry = await startMemoryRegistry()
  defer(t, () => registry.close())
  const layers = packageFiles({
    'components/one.tar': someBytes((ranges ? 12 : 3) * MIB + 7, 1),
    'components/two.tar': someBytes(40_000, 2),
  })
  const manifest = putPackage(registry, TARGET, layers) as Digest
  const host = ranges ? (await startFaultProxy(t, registry.host, { bytesPerSecond: 4 * MIB })).host : registry.host
  return { registry, layers, manifest, host, besides: ranges ? 'ranges' : 'delete' }
}

/** How many changes of files a pull makes together with the deletion of what it pulled. */
export async function countChanges(t: Cleanup, sweep: StoreSweep): Promise<number> {
  const { code, output } = await runChild(t, sweep, { folder: await tempDir(t, 'store'), next: [sweep.besides] })
  assert.equal(code, 0, output)
  return Number(/changes (\d+)/.exec(output)?.[1])
}

/**
 * Kills a pull, or the deletion after it, before its k-th change or one that matches. Returns what that change would
 * have been, undefined when it was not met.
 */
export async function killStoreAt(
  t: Cleanup,
  sweep: StoreSweep,
  point: number | KillPoint,
): Promise<string | undefined> {
  const folder = await tempDir(t, 'store')
  const killed = await runChild(t, sweep, { folder, next: [sweep.besides], point })
  // How many changes there are varies by a few: concurrent downloads meet the disk as they come.
  if (killed.signal !== 'SIGKILL') {
    assert.equal(killed.code, 0, killed.output)
    return undefined
  }
  const at = `${typeof point === 'number' ? point : `${point.nth} of ${point.match}`}: ${/killed before .*/.exec(killed.stdout)?.[0].replaceAll(folder, '')}`
  await assertNothingHalfDone(folder, at)
  const there = await rangesThere(folder, sweep)
  sweep.registry.requests.length = 0
  const { code, output } = await runChild(t, sweep, { folder, next: sweep.besides === 'ranges' ? ['ranges'] : [] })
  assert.equal(code, 0, `${at}: ${output}`)
  assertOnlyTheRest(sweep, there, at)
  await assertWhole(folder, sweep, at)
  return at
}

interface ChildRun {
  folder: string
  next: readonly string[]
  point?: number | KillPoint
}

function runChild(t: Cleanup, { host }: StoreSweep, { folder, next, point }: ChildRun) {
  const reference = `oci://${host}/${TARGET.repository}:${TARGET.tag}`
  const { nth, match } = typeof point === 'object' ? point : { nth: point, match: undefined }
  const env = { LAYERD_KILL_AT: nth?.toString(), LAYERD_KILL_BEFORE: match?.source }
  return runProcess(t, process.execPath, ['--import', KILLER, CHILD, folder, reference, ...next], { env })
}

/** The index may lag behind the records by the last one: what it names is whole all the same. */
async function assertNothingHalfDone(folder: string, at: string): Promise<void> {
  await using store = await createContentStore({ folder })
  const { findings } = await store.check({ signal })
  const wrong = findings.filter(({ kind }) => kind !== 'index-stale')
  assert.deepEqual(wrong, [], `${at}: ${wrong.map(({ kind, path }) => `${kind} ${path}`).join()}`)
}

/** What is there of each layer, in the store or on its way into it. */
async function rangesThere(folder: string, sweep: StoreSweep): Promise<Map<string, readonly Range[]>> {
  const partials = await readdir(join(folder, 'ingest'))
  const there = new Map<string, readonly Range[]>()
  for (const { bytes } of sweep.layers) {
    const digest = digestOf(bytes)
    const partial = partials.find(
      (name) => name.startsWith(digest.replace(':', '-')) && !/\.(?:lock|ranges)$/.test(name),
    )
    const whole = (await fileSize(join(folder, 'blobs', 'sha256', digestHex(digest)))) !== undefined
    const written = partial === undefined ? [] : ((await writtenRanges(join(folder, 'ingest', partial))) ?? [])
    there.set(digest, whole ? [{ start: 0, end: bytes.length }] : written)
  }
  return there
}

/** Nothing of what is there was asked for, and all of the rest. */
function assertOnlyTheRest(
  { registry, layers }: StoreSweep,
  ranges: ReadonlyMap<string, readonly Range[]>,
  at: string,
): void {
  for (const { title, bytes } of layers.filter(({ title: name }) => name.startsWith('components/'))) {
    const digest = digestOf(bytes)
    const there = ranges.get(digest) ?? []
    const asked = registry.requests
      .filter(({ method, path }) => method === 'GET' && path.endsWith(digest))
      .map(({ headers }) => {
        const [, start = 0, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
        return { start: Number(start), end: last ? Number(last) + 1 : bytes.length }
      })
    const twice = asked.filter((range) => there.some(({ start, end }) => start < range.end && range.start < end))
    assert.deepEqual(twice, [], `${at}: ${title}, of which ${JSON.stringify(there)} was there`)
    assert.deepEqual(mergeRanges([...there, ...asked]), [{ start: 0, end: bytes.length }], `${at}: ${title}`)
  }
}

async function assertWhole(folder: string, { manifest }: StoreSweep, at: string): Promise<void> {
  await assertNoStoreLeftovers(folder, at)
  assert.deepEqual(await readdir(join(folder, 'users')), [], at)
  await using store = await createContentStore({ folder })
  assert.equal((await store.packages.get(manifest))?.complete, true, at)
  assert.deepEqual((await store.check({ signal })).findings, [], at)
}
