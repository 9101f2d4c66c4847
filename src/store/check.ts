import { readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Digest, digestHex, hasherFor, isDigest } from '../content/digest.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { openBlobFile, streamBlob } from './blob-file.ts'
import { contentsOf, missingBlobs } from './contents.ts'
import { readLeases } from './lease.ts'
import type { StoreLayout } from './layout.ts'
import { ownershipOf } from './owned-file.ts'
import type { PackageRecords, StoredPackage } from './records.ts'

export interface CheckOptions {
  /** Mend what can be mended from what is whole. Default false. */
  repair?: boolean
  signal: AbortSignal
  /** Told before each blob is read. */
  onBlob?: (progress: { digest: Digest; index: number; count: number }) => void
}

export type StoreFindingKind =
  /** A blob whose bytes are not those of its name; mended by dropping it. */
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
  readonly repaired: boolean
}

export interface CheckReport {
  readonly blobs: number
  readonly bytes: number
  readonly packages: number
  readonly findings: readonly StoreFinding[]
}

interface Check {
  layout: StoreLayout
  records: PackageRecords
  options: CheckOptions
  findings: StoreFinding[]
}

/** Each step finds one kind of damage; later ones build on what earlier ones mended. Nothing whole is ever changed. */
export async function checkStore(
  layout: StoreLayout,
  records: PackageRecords,
  options: CheckOptions,
): Promise<CheckReport> {
  const check: Check = { layout, records, options, findings: [] }
  const hashed = await hashBlobs(check)
  await checkRecords(check)
  await checkPackages(check)
  await checkIngests(check)
  await checkIndex(check)
  return { ...hashed, packages: (await records.list()).length, findings: check.findings }
}

async function hashBlobs(check: Check): Promise<{ blobs: number; bytes: number }> {
  const { layout, options } = check
  const files: string[] = []
  for (const folder of layout.blobFolders) {
    for (const name of (await readdir(folder)).toSorted()) files.push(join(folder, name))
  }
  let bytes = 0
  for (const [index, path] of files.entries()) {
    throwIfAborted(options.signal)
    const digest = `${basename(join(path, '..'))}:${basename(path)}`
    if (!isDigest(digest)) {
      await found(check, { kind: 'file-stray', path, message: 'is no blob' }, () => rm(path, { recursive: true }))
      continue
    }
    options.onBlob?.({ digest, index, count: files.length })
    const { size } = await stat(path)
    bytes += size
    const actual = await hashFile(path, digest, { size, signal: options.signal })
    if (actual === digestHex(digest)) continue
    const message = `has the digest ${actual}, so its bytes are damaged`
    await found(check, { kind: 'blob-damaged', path, message }, () => rm(path))
  }
  return { blobs: files.length, bytes }
}

async function hashFile(path: string, digest: Digest, { size, signal }: { size: number; signal: AbortSignal }) {
  const hasher = hasherFor(digest)
  const file = await openBlobFile(path, digest)
  for await (const chunk of streamBlob(file, { start: 0, end: size, signal })) hasher.update(chunk)
  return hasher.digest('hex')
}

async function checkRecords(check: Check): Promise<void> {
  const { layout, records } = check
  const indexed = new Map((await records.indexed()).map((record) => [`${digestHex(record.digest)}.json`, record]))
  for (const file of await records.broken()) {
    const copy = indexed.get(file)
    const message = copy
      ? 'cannot be read; index.json has its content'
      : 'cannot be read: the package must be pulled again'
    const path = join(layout.packages, file)
    await found(check, { kind: 'record-broken', path, message }, () => (copy ? records.put(copy) : rm(path)))
  }
  const known = new Set((await readdir(layout.packages)).filter((name) => name.endsWith('.json')))
  for (const [file, record] of indexed) {
    if (known.has(file)) continue
    const message = `is missing; index.json has the content (${title(record)})`
    const path = join(layout.packages, file)
    await found(check, { kind: 'record-missing', path, message }, () => records.put(record))
  }
}

async function checkPackages(check: Check): Promise<void> {
  const { layout, records } = check
  for (const record of await records.list()) {
    const path = layout.record(record.digest)
    const contents = await contentsOf(layout, record)
    if (!contents) {
      const message = `names ${title(record)}, whose manifest is not there: it must be pulled again`
      await found(check, { kind: 'package-lost', path, message }, () => records.remove(record.digest))
      continue
    }
    if (!record.complete) continue
    const missing = await missingBlobs(layout, contents)
    if (missing.length === 0) continue
    const message = `names ${title(record)} complete, but ${missing.length} of its blobs are not there: pull it again`
    await found(check, { kind: 'package-incomplete', path, message }, () => records.put({ ...record, complete: false }))
  }
}

async function checkIngests(check: Check): Promise<void> {
  const { layout } = check
  const leased = (await readLeases(layout)).sizes
  for (const name of await readdir(layout.ingests)) {
    const path = join(layout.ingests, name)
    const digest = name.replace('-', ':')
    if (isDigest(digest) && leased.has(digest)) continue
    const lock = name.endsWith('.lock') ? path : `${path}.lock`
    if ((await ownershipOf(lock)).state === 'held') continue
    const message = 'is left of a transfer that nobody goes on with'
    await found(check, { kind: 'ingest-orphaned', path, message }, () => rm(path, { force: true }))
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
  finding: Pick<StoreFinding, 'kind' | 'path' | 'message'>,
  mend: () => Promise<unknown>,
): Promise<void> {
  const repaired = check.options.repair === true
  if (repaired) await mend()
  check.findings.push({ ...finding, path: finding.path.slice(check.layout.folder.length + 1), repaired })
}

function title(record: StoredPackage): string {
  return [record.name, record.version, record.flavor, record.architecture].filter((part) => part).join(' ')
}
