import type { Digest } from '../content/digest.ts'
import { contentsOf, missingBlobs } from './index/contents.ts'
import type { StoredPackage } from './index/records.ts'
import { collectWith, type Parts } from './parts.ts'

/** What a caller knows of a package; whether it is complete the store finds out itself. */
export interface PackageToStore extends Omit<StoredPackage, 'complete' | 'storedAt' | 'holders' | 'lacks'> {
  /** What its manifest names and this pull did not bring: others may have brought it, but not for this package. Default: none. */
  leftOut?: readonly Digest[]
  /** The package is here for this holder alone, until `release`. Default: it stays until it is deleted. */
  holder?: string
}

export async function putPackage(
  { layout, records, clock }: Parts,
  { holder, leftOut = [], images = [], ...record }: PackageToStore,
): Promise<StoredPackage> {
  const known = await records.get(record.digest)
  const contents = await contentsOf(layout, record)
  const lacked = new Set<string>(known?.lacks)
  const lacks = known ? leftOut.filter((digest) => lacked.has(digest)) : leftOut
  const stored: StoredPackage = {
    ...record,
    references: [...new Set([...(known?.references ?? []), ...record.references])],
    components: [...new Set([...(known?.components ?? []), ...record.components])],
    ...imagesOf(known, images),
    complete: lacks.length === 0 && contents !== undefined && (await missingBlobs(layout, contents)).length === 0,
    storedAt: new Date(clock.now()).toISOString(),
    ...holdersOf(known, holder),
    ...(lacks.length === 0 ? {} : { lacks: [...lacks] }),
  }
  await records.put(stored)
  await records.writeIndex()
  return stored
}

/**
 * The index goes first, so that whoever dies in between leaves none that names what is gone. On a full disk it can be
 * written only once blobs are.
 */
export async function deletePackage(parts: Parts, digest: Digest): Promise<boolean> {
  const { layout, records } = parts
  const known = await records.get(digest)
  if (!known) return false
  const contents = (await contentsOf(layout, known)) ?? []
  const indexed = await records.writeIndex(digest).then(
    () => true,
    () => false,
  )
  await records.remove(digest)
  await collectWith(parts, { graceMs: 0, only: new Set([digest, ...contents.map((blob) => blob.digest)]) })
  if (!indexed) await records.writeIndex()
  return true
}

/** Of a package that is whole since before they were kept, those of a part would be too few. */
function imagesOf(known: StoredPackage | undefined, images: readonly string[]): Pick<StoredPackage, 'images'> {
  if (known?.complete && known.images === undefined) return {}
  return { images: [...new Set([...(known?.images ?? []), ...images])] }
}

/** What was kept stays so, whoever comes; a package that is to stay has no holders. */
function holdersOf(known: StoredPackage | undefined, holder: string | undefined): Pick<StoredPackage, 'holders'> {
  if (holder === undefined || (known && known.holders === undefined)) return {}
  return { holders: [...new Set([...(known?.holders ?? []), holder])] }
}

/** ContentStore's. */
export async function releasePackage(parts: Parts, digest: Digest, holder: string): Promise<boolean> {
  const known = await parts.records.get(digest)
  if (!known?.holders?.includes(holder)) return false
  const holders = known.holders.filter((one) => one !== holder)
  if (holders.length === 0) return await deletePackage(parts, digest)
  await parts.records.put({ ...known, holders })
  await parts.records.writeIndex()
  return false
}

/** ContentStore's. */
export async function expirePackages(parts: Parts, ms: number): Promise<number> {
  const before = parts.clock.now() - ms
  const old = (await parts.records.list()).filter(
    ({ holders, storedAt }) => holders !== undefined && Date.parse(storedAt) < before,
  )
  for (const { digest } of old) await deletePackage(parts, digest)
  return old.length
}
