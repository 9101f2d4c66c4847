import { readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, isDigest } from '../../content/digest.ts'
import { systemClock } from '../../lib/clock.ts'
import type { StoreLocks } from '../locks/locks.ts'
import { fileSize } from '../files/file-size.ts'
import { namedDigest, type StoreLayout } from '../files/layout.ts'
import { isJournal, partialBytes, partialOf, removePartial } from '../ingest/range-journal.ts'
import type { StoredPackage } from '../index/records.ts'

export interface GcOptions {
  /**
   * What nobody refers to is kept this long after its last write, because a job that was killed comes back for it.
   * Default 24 h; 0 collects everything at once.
   */
  graceMs?: number
  /** Kept whoever refers to them. */
  keep?: ReadonlySet<Digest>
  /** Look at these alone. */
  only?: ReadonlySet<Digest>
  /** Counts what would go, and leaves it. For this nobody need hold the store's lock. */
  countOnly?: boolean
}

export interface GcReport {
  readonly removedBlobs: number
  readonly removedIngests: number
  readonly freedBytes: number
}

export const GC_GRACE_MS = 24 * 3600 * 1000

export interface GcDependencies {
  layout: StoreLayout
  locks: Pick<StoreLocks, 'leased' | 'isIngesting'>
  packages: readonly StoredPackage[]
  /** All that a package's manifest names; undefined when the manifest is damaged. */
  contentsOf: (record: StoredPackage) => Promise<readonly Descriptor[] | undefined>
}

/**
 * Mark and sweep: what a stored package or a running lease refers to stays, the rest goes. The caller holds the store's
 * lock, so no lease comes in between.
 */
export async function collect(dependencies: GcDependencies, options: GcOptions = {}): Promise<GcReport> {
  const { countOnly = false } = options
  const kept = await mark(dependencies, options)
  if (!kept) return { removedBlobs: 0, removedIngests: 0, freedBytes: 0 }
  const writtenBefore = systemClock.now() - (options.graceMs ?? GC_GRACE_MS)
  const blobs = await sweepBlobs(dependencies.layout, { kept, writtenBefore, countOnly, only: options.only })
  const ingests = options.only
    ? { removed: 0, freedBytes: 0 }
    : await sweepIngests(dependencies, { kept, writtenBefore, countOnly })
  if (!countOnly) await sweepOrigins(dependencies.layout, kept, options.only)
  return {
    removedBlobs: blobs.removed,
    removedIngests: ingests.removed,
    freedBytes: blobs.freedBytes + ingests.freedBytes,
  }
}

/** Undefined when a manifest can't be read: what it named is not known then, and nothing may go. */
async function mark(
  { locks, packages, contentsOf }: GcDependencies,
  { keep = new Set(), countOnly = false }: GcOptions,
): Promise<ReadonlySet<Digest> | undefined> {
  const kept = new Set<Digest>([...keep, ...(await locks.leased({ sweep: !countOnly })).keys()])
  for (const record of packages) {
    const contents = await contentsOf(record)
    if (!contents) return undefined
    kept.add(record.digest)
    for (const { digest } of contents) kept.add(digest)
  }
  return kept
}

interface Sweep {
  kept: ReadonlySet<Digest>
  writtenBefore: number
  countOnly: boolean
}

async function sweepBlobs(layout: StoreLayout, sweep: Sweep & { only: ReadonlySet<Digest> | undefined }) {
  const total = { removed: 0, freedBytes: 0 }
  for (const folder of layout.blobFolders) {
    for (const name of await readdir(folder)) {
      const digest = `${basename(folder)}:${name}`
      if (!isDigest(digest) || sweep.kept.has(digest) || (sweep.only && !sweep.only.has(digest))) continue
      await removeOld(join(folder, name), sweep, total)
    }
  }
  return total
}

async function sweepIngests({ layout, locks }: GcDependencies, sweep: Sweep) {
  const total = { removed: 0, freedBytes: 0 }
  for (const name of await readdir(layout.ingests)) {
    const digest = namedDigest(name)
    if (name.endsWith('.lock') || digest === undefined) continue
    const path = join(layout.ingests, name)
    const partial = isJournal(name) ? partialOf(path) : path
    if (await locks.isIngesting(basename(partial))) continue
    if (partial !== path) {
      // It goes with its file; alone it is of no use to anybody.
      if ((await fileSize(partial)) === undefined) await removeOld(path, sweep, total)
      continue
    }
    // Once the blob is there nobody goes on with it.
    if (sweep.kept.has(digest) && (await fileSize(layout.blob(digest))) === undefined) continue
    await removeOld(path, sweep, total, PARTIAL)
  }
  return total
}

/** They go with their blob. Who is bringing one has leased it. */
async function sweepOrigins(
  layout: StoreLayout,
  kept: ReadonlySet<Digest>,
  only: ReadonlySet<Digest> | undefined,
): Promise<void> {
  const names = only ? [...only].map((digest) => basename(layout.origins(digest))) : await readdir(layout.originFolder)
  const partials = new Set((await readdir(layout.ingests)).map(namedDigest))
  for (const name of names) {
    const path = join(layout.originFolder, name)
    const digest = namedDigest(name)
    if (digest === undefined)
      await removeOld(path, { writtenBefore: systemClock.now() - GC_GRACE_MS, countOnly: false })
    else if (!kept.has(digest) && !partials.has(digest) && (await fileSize(layout.blob(digest))) === undefined) {
      await rm(path, { force: true })
    }
  }
}

interface FileKind {
  /** What it takes. */
  bytes: (path: string) => Promise<number | undefined>
  remove: (path: string) => Promise<void>
}

const WHOLE: FileKind = { bytes: fileSize, remove: (path) => rm(path, { force: true }) }
const PARTIAL: FileKind = { bytes: partialBytes, remove: removePartial }

async function removeOld(
  path: string,
  { writtenBefore, countOnly }: Pick<Sweep, 'writtenBefore' | 'countOnly'>,
  total = { removed: 0, freedBytes: 0 },
  kind = WHOLE,
): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (!found || found.mtimeMs > writtenBefore) return
  const bytes = (await kind.bytes(path)) ?? 0
  if (!countOnly) await kind.remove(path)
  total.removed += 1
  total.freedBytes += bytes
}
