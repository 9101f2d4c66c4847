import type { Share, StoredPackage } from './records.ts'

/** Whose is what is older than owners. */
export const OLDER_OWNER = 'anonymous'

/** Which owners' pulls of a package count. */
export type CountsShare = (share: Pick<Share, 'name' | 'references'>) => boolean

/** What a package's shares make together. */
type Merged = Omit<Share, 'name'>

/** What each owner's pulls brought, the newest last. */
export function sharesOf(record: StoredPackage): readonly Share[] {
  if (record.owners) return record.owners
  const { references, components, storedAt, images, lacks, without, holders } = record
  return [{ name: OLDER_OWNER, references, components, storedAt, ...defined({ images, lacks, without, holders }) }]
}

/**
 * The package as these of its shares alone make it: it has what one of them brought, and stays where one of them does. Undefined
 * without any.
 */
export function packageOf(record: StoredPackage, shares: readonly Share[]): StoredPackage | undefined {
  if (shares.length === 0) return undefined
  if (shares.length === sharesOf(record).length) return record
  const { images: _, lacks: __, without: ___, holders: ____, owners: _____, ...same } = record
  const merged = mergeShares(shares)
  return { ...same, ...merged, ...ownersOf(shares), complete: record.complete && merged.lacks === undefined }
}

/** Not written where all is of whom it belonged to before there were owners. */
export function ownersOf(shares: readonly Share[]): Pick<StoredPackage, 'owners'> {
  return shares.every(({ name }) => name === OLDER_OWNER) ? {} : { owners: [...shares] }
}

/** Of several shares, or of one and what its owner pulled now. At least one. */
export function mergeShares(shares: readonly Merged[]): Merged {
  const all = <T>(values: (share: Merged) => readonly T[]) => [...new Set(shares.flatMap(values))]
  // A package that is whole since before its images were kept: those of a part would be too few.
  const unknown = shares.some(({ images, lacks }) => images === undefined && lacks === undefined)
  return {
    references: all(({ references }) => references),
    components: all(({ components }) => components),
    storedAt: shares.map(({ storedAt }) => storedAt).reduce((a, b) => (a > b ? a : b)),
    ...defined({
      images: unknown ? undefined : all(({ images = [] }) => images),
      lacks: inEach(shares.map(({ lacks = [] }) => lacks)),
      without: inEach(shares.map(({ without = [] }) => without)),
      holders: shares.some(({ holders }) => holders === undefined) ? undefined : all(({ holders = [] }) => holders),
    }),
  }
}

/** Undefined for none. */
function inEach([first = [], ...rest]: ReadonlyArray<readonly string[]>): string[] | undefined {
  const others = rest.map((values) => new Set(values))
  const found = first.filter((value) => others.every((values) => values.has(value)))
  return found.length === 0 ? undefined : found
}

function defined<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}
