import type { Digest } from '../content/digest.ts'
import { contentsOf, missingBlobs } from './index/contents.ts'
import type { Share, StoredPackage } from './index/records.ts'
import { type CountsShare, mergeShares, OLDER_OWNER, ownersOf, packageOf, sharesOf } from './index/shares.ts'
import { collectWith, type Parts } from './parts.ts'

/** What a caller knows of a package; whether it is complete the store finds out itself. */
export interface PackageToStore extends Omit<StoredPackage, 'complete' | 'storedAt' | 'holders' | 'lacks' | 'owners'> {
  /** What its manifest names and this pull did not bring: others may have brought it, but not for this package. Default: none. */
  leftOut?: readonly Digest[]
  /** The package is here for this holder alone, until `release`. Default: it stays until it is deleted. */
  holder?: string
  /** Who pulled it. Default: whoever it belonged to before there were owners. */
  owner?: string
}

export async function putPackage(
  { layout, records, clock }: Parts,
  { holder, leftOut = [], owner = OLDER_OWNER, images = [], without, ...record }: PackageToStore,
): Promise<StoredPackage> {
  const known = await records.get(record.digest)
  const shares = known ? sharesOf(known) : []
  const { references, components } = record
  const pulled = {
    references,
    components,
    images,
    storedAt: new Date(clock.now()).toISOString(),
    ...(leftOut.length === 0 ? {} : { lacks: [...leftOut] }),
    ...(without === undefined ? {} : { without }),
    ...(holder === undefined ? {} : { holders: [holder] }),
  }
  const own = shares.filter(({ name }) => name === owner)
  const others = shares.filter(({ name }) => name !== owner)
  const all = [...others, { name: owner, ...mergeShares([...own, pulled]) }]
  const merged = { ...record, ...mergeShares(all), ...ownersOf(all) }
  const contents = await contentsOf(layout, merged)
  const isThere = contents !== undefined && (await missingBlobs(layout, contents)).length === 0
  const stored: StoredPackage = { ...merged, complete: merged.lacks === undefined && isThere }
  await records.put(stored)
  await records.writeIndex()
  return stored
}

/** ContentStore's. */
export async function getPackage(
  { records }: Pick<Parts, 'records'>,
  digest: Digest,
  counts: CountsShare,
): Promise<StoredPackage | undefined> {
  const known = await records.get(digest)
  return known && packageOf(known, sharesOf(known).filter(counts))
}

/** ContentStore's. */
export async function listPackages({ records }: Pick<Parts, 'records'>, counts: CountsShare): Promise<StoredPackage[]> {
  const all = await records.list()
  return all.flatMap((record) => packageOf(record, sharesOf(record).filter(counts)) ?? [])
}

/** ContentStore's. */
export async function deletePackage(parts: Parts, digest: Digest, counts: CountsShare): Promise<boolean> {
  const known = await parts.records.get(digest)
  if (!known) return false
  const shares = sharesOf(known)
  const left = shares.filter((share) => !counts(share))
  if (left.length < shares.length) await keepShares(parts, known, left)
  return left.length < shares.length
}

/** What the others brought goes as a package would. True when the package went. */
async function keepShares(parts: Parts, known: StoredPackage, shares: readonly Share[]): Promise<boolean> {
  const { layout, records } = parts
  const left = packageOf(known, shares)
  if (left === undefined) {
    await forget(parts, known)
    return true
  }
  const contents = (await contentsOf(layout, known)) ?? []
  await records.put(left)
  await records.writeIndex()
  await collectWith(parts, { graceMs: 0, only: new Set(contents.map((blob) => blob.digest)) })
  return false
}

/**
 * The index goes first, so that whoever dies in between leaves none that names what is gone. On a full disk it can be
 * written only once blobs are.
 */
async function forget(parts: Parts, known: StoredPackage): Promise<void> {
  const { layout, records } = parts
  const { digest } = known
  const contents = (await contentsOf(layout, known)) ?? []
  const indexed = await records.writeIndex(digest).then(
    () => true,
    () => false,
  )
  await records.remove(digest)
  await collectWith(parts, { graceMs: 0, only: new Set([digest, ...contents.map((blob) => blob.digest)]) })
  if (!indexed) await records.writeIndex()
}

/** ContentStore's. */
export async function releasePackage(
  parts: Parts,
  digest: Digest,
  { holder, counts }: { holder: string; counts: CountsShare },
): Promise<boolean> {
  const known = await parts.records.get(digest)
  if (!known) return false
  const shares = sharesOf(known)
  const isHeld = (share: Share) => share.holders?.includes(holder) === true && counts(share)
  if (!shares.some(isHeld)) return false
  const left = shares.flatMap((share) => {
    if (!isHeld(share)) return [share]
    const holders = share.holders?.filter((one) => one !== holder) ?? []
    return holders.length === 0 ? [] : [{ ...share, holders }]
  })
  if (left.length < shares.length) return await keepShares(parts, known, left)
  await parts.records.put({ ...known, ...mergeShares(left), ...ownersOf(left) })
  await parts.records.writeIndex()
  return false
}

/** ContentStore's. */
export async function expirePackages(parts: Parts, ms: number): Promise<number> {
  const before = parts.clock.now() - ms
  const isOld = ({ holders, storedAt }: Share) => holders !== undefined && Date.parse(storedAt) < before
  let gone = 0
  for (const record of await parts.records.list()) {
    const shares = sharesOf(record)
    const left = shares.filter((share) => !isOld(share))
    if (left.length === shares.length) continue
    await keepShares(parts, record, left)
    gone += 1
  }
  return gone
}
