import { lstat, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Descriptor, TITLE_ANNOTATION } from '../../content/descriptor.ts'
import { OCI_MANIFEST } from '../../content/media-types.ts'
import { type Digest, digestHex, isDigest } from '../../content/digest.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import { contentsOf, missingBlobs, readBlob } from '../index/contents.ts'
import { damageOf } from './damage.ts'
import { fileSize } from '../files/file-size.ts'
import { GC_GRACE_MS } from './gc.ts'
import type { StoreLocks } from '../locks/locks.ts'
import { namedDigest, type StoreLayout } from '../files/layout.ts'
import { isJournal, partialOf, removePartial } from '../ingest/range-journal.ts'
import type { PackageRecords, StoredPackage } from '../index/records.ts'

export interface CheckOptions {
  /** Mend what can be mended from what is whole. Default false. */
  repair?: boolean
  signal: AbortSignal
  /** Told before each blob is read; `bytes` are those of the blobs before it. */
  onBlob?: (progress: { digest: Digest; index: number; count: number; bytes: number }) => void
}

export type StoreFindingKind =
  /** A blob whose bytes are not those of its name, or can't be read; mended by dropping it. */
  | 'blob-damaged'
  /** A file among the blobs that is none; dropped. */
  | 'file-stray'
  /** A record that can't be read; mended from index.json, else dropped. */
  | 'record-broken'
  /** index.json names a package without a record; mended from there. */
  | 'record-missing'
  /** A package whose manifest is gone: what it needs is not known; forgotten. */
  | 'package-lost'
  /** A package called complete that lacks blobs; marked incomplete, so that pulling it again completes it. */
  | 'package-incomplete'
  /** A partial blob that nobody waits for; dropped. */
  | 'ingest-orphaned'
  /** index.json is not what the records make it; written again. */
  | 'index-stale'

export interface StoreFinding {
  readonly kind: StoreFindingKind
  /** Inside the store's folder. */
  readonly path: string
  /** In plain words, what it means included. */
  readonly message: string
  /** What is damaged or gone, by the titles that the packages give it. */
  readonly blobs: ReadonlyArray<{ digest: Digest; titles: readonly string[] }>
  /** Stored packages that are not whole because of it, and stay so until they are pulled again. */
  readonly packages: readonly AffectedPackage[]
  readonly repaired: boolean
}

export type AffectedPackage = Pick<
  StoredPackage,
  'digest' | 'name' | 'version' | 'flavor' | 'architecture' | 'references'
>

export interface CheckReport {
  readonly blobs: number
  readonly bytes: number
  readonly packages: number
  readonly findings: readonly StoreFinding[]
}

interface Check {
  layout: StoreLayout
  locks: StoreLocks
  records: PackageRecords
  options: CheckOptions
  findings: StoreFinding[]
}

/** What the caller does between its own work and others': `locked` runs a task alone, as changes of records are. */
interface CheckParts {
  layout: StoreLayout
  locks: StoreLocks
  records: PackageRecords
  locked: <T>(task: () => Promise<T>) => Promise<T>
}

/** Each step finds one kind of damage; later ones build on what earlier ones mended. Nothing whole is ever changed. */
export async function checkStore(
  { layout, locks, records, locked }: CheckParts,
  options: CheckOptions,
): Promise<CheckReport> {
  const check: Check = { layout, locks, records, options, findings: [] }
  const hashed = await hashBlobs(check)
  await locked(async () => {
    await checkRecords(check)
    await checkPackages(check)
    await checkIngests(check)
    await checkIndex(check)
  })
  return { ...hashed, packages: (await records.list()).length, findings: check.findings }
}

async function hashBlobs(check: Check): Promise<{ blobs: number; bytes: number }> {
  const { layout, options } = check
  const files: string[] = []
  for (const folder of layout.blobFolders) {
    for (const name of (await readdir(folder)).toSorted()) files.push(join(folder, name))
  }
  const total = { blobs: 0, bytes: 0 }
  const needed = await neededBlobs(check)
  for (const [index, path] of files.entries()) {
    throwIfAborted(options.signal)
    const digest = `${basename(join(path, '..'))}:${basename(path)}`
    if (!isDigest(digest)) {
      await found(check, { kind: 'file-stray', path, message: 'is no blob' }, () => rm(path, { recursive: true }))
      continue
    }
    options.onBlob?.({ digest, index, count: files.length, bytes: total.bytes })
    const size = await fileSize(path)
    // Collected since the folder was read: beside a running daemon that is no damage.
    if (size === undefined) continue
    total.blobs += 1
    total.bytes += size
    const message = await damageOf(path, digest, { size, signal: options.signal })
    if (message === undefined) continue
    const { titles = [], packages = [] } = needed.get(digest) ?? {}
    await found(check, { kind: 'blob-damaged', path, message, blobs: [{ digest, titles }], packages }, () => rm(path))
  }
  return total
}

interface Need {
  titles: string[]
  packages: StoredPackage[]
}

/** Which packages need a blob, and what they call it; of packages whose manifest is whole. */
async function neededBlobs({ layout, records }: Check): Promise<Map<Digest, Need>> {
  const needs = new Map<Digest, Need>()
  const add = (digest: Digest, title: string, record: StoredPackage) => {
    const need = needs.get(digest) ?? { titles: [], packages: [] }
    if (!need.titles.includes(title)) need.titles.push(title)
    if (!need.packages.includes(record)) need.packages.push(record)
    needs.set(digest, need)
  }
  for (const record of await records.list()) {
    add(record.digest, 'manifest', record)
    for (const blob of (await contentsOf(layout, record)) ?? []) add(blob.digest, titleOf(blob), record)
  }
  return needs
}

async function checkRecords(check: Check): Promise<void> {
  const { layout, records } = check
  const indexed = new Map((await records.indexed()).map((record) => [`${digestHex(record.digest)}.json`, record]))
  for (const file of await records.broken()) {
    const copy = indexed.get(file)
    const message = copy
      ? `cannot be read; index.json has its content (${packageTitle(copy)})`
      : 'cannot be read, and index.json has no copy'
    const path = join(layout.packages, file)
    const packages = copy ? [] : await unrecorded(layout, `sha256:${basename(file, '.json')}`)
    await found(check, { kind: 'record-broken', path, message, packages }, () => (copy ? records.put(copy) : rm(path)))
  }
  const known = new Set((await readdir(layout.packages)).filter((name) => name.endsWith('.json')))
  for (const [file, record] of indexed) {
    if (known.has(file)) continue
    const message = `is missing; index.json has the content (${packageTitle(record)})`
    const path = join(layout.packages, file)
    await found(check, { kind: 'record-missing', path, message }, () => records.put(record))
  }
}

/** What is known of a package without its record: its digest, and the name if its manifest is whole. */
async function unrecorded(layout: StoreLayout, digest: string): Promise<AffectedPackage[]> {
  if (!isDigest(digest)) return []
  const size = (await fileSize(layout.blob(digest))) ?? 0
  const manifest = { mediaType: OCI_MANIFEST, digest, size }
  const bytes = await readBlob(layout, manifest, new AbortController().signal).catch(() => undefined)
  const { annotations } = bytes ? (JSON.parse(bytes.toString()) as Pick<Descriptor, 'annotations'>) : {}
  const name = annotations?.[TITLE_ANNOTATION] ?? 'a package of unknown name'
  return [{ digest, name, version: null, flavor: null, architecture: '', references: [] }]
}

async function checkPackages(check: Check): Promise<void> {
  const { layout, records } = check
  for (const record of await records.list()) {
    const path = layout.record(record.digest)
    const contents = await contentsOf(layout, record)
    const packages = [record]
    if (!contents) {
      const message = `names ${packageTitle(record)}, whose manifest is not there`
      const blobs = [{ digest: record.digest, titles: ['manifest'] }]
      await found(check, { kind: 'package-lost', path, message, blobs, packages }, () => records.remove(record.digest))
      continue
    }
    if (!record.complete) continue
    const missing = await missingBlobs(layout, contents)
    if (missing.length === 0) continue
    const message = `names ${packageTitle(record)} complete, but ${missing.length} of its blobs are not there`
    const blobs = missing.map((blob) => ({ digest: blob.digest, titles: [titleOf(blob)] }))
    await found(check, { kind: 'package-incomplete', path, message, blobs, packages }, () =>
      records.put({ ...record, complete: false }),
    )
  }
}

async function checkIngests(check: Check): Promise<void> {
  const { layout, locks } = check
  const leased = await locks.leased()
  for (const name of await readdir(layout.ingests)) {
    const path = join(layout.ingests, name)
    const partial = isJournal(name) ? partialOf(path) : path
    // It goes with its file.
    if (partial !== path && (await fileSize(partial)) !== undefined) continue
    const digest = namedDigest(name)
    if (digest !== undefined && leased.has(digest)) continue
    if (await locks.isIngesting(basename(partial, '.lock'))) continue
    // A job that waits for its next run, or for the daemon's next start, goes on from it.
    const { mtimeMs } = await lstat(path)
    if (mtimeMs > systemClock.now() - GC_GRACE_MS) continue
    const message = 'is left of a transfer that nobody goes on with'
    await found(check, { kind: 'ingest-orphaned', path, message }, () => removePartial(path))
  }
}

async function checkIndex(check: Check): Promise<void> {
  const { layout, records, options, findings } = check
  // Before a repair the index is what records are mended from, not what is wrong.
  const source = findings.some(({ kind }) => kind === 'record-broken' || kind === 'record-missing')
  if ((source && options.repair !== true) || (await records.indexIsCurrent())) return
  const message = 'is not what the stored packages make it'
  await found(check, { kind: 'index-stale', path: layout.index, message }, () => records.writeIndex())
}

async function found(
  check: Check,
  finding: Pick<StoreFinding, 'kind' | 'path' | 'message'> & Partial<Pick<StoreFinding, 'blobs' | 'packages'>>,
  mend: () => Promise<unknown>,
): Promise<void> {
  const repaired = check.options.repair === true
  if (repaired) await mend()
  const path = finding.path.slice(check.layout.folder.length + 1)
  check.findings.push({ blobs: [], packages: [], ...finding, path, repaired })
}

function titleOf({ annotations, mediaType }: Descriptor): string {
  return annotations?.[TITLE_ANNOTATION] ?? mediaType
}

/** As people name it: nemo 1.2.0 amd64. */
export function packageTitle(record: Omit<AffectedPackage, 'digest' | 'references'>): string {
  return [record.name, record.version, record.flavor, record.architecture].filter((part) => part).join(' ')
}
