import type { CatalogueRecords } from '../jobs/catalogue/catalogue.ts'
import { parseTold } from '../jobs/catalogue/catalogue-content.ts'
import type { CatalogueKind, CataloguePackage, CatalogueTag } from '../jobs/model/catalogue.ts'
import type { Page, PageOf } from '../jobs/model/requests.ts'
import { AppError } from '../lib/errors.ts'
import { createBreathing } from '../lib/loop/breathe.ts'
import { compareTags, versionOf } from './facts/packages-of.ts'
import { isNewer, type Newer } from './versions.ts'

/** What is looked for; what is left out does not matter. */
export interface PackageFilter {
  readonly name?: string | undefined
  readonly kind?: CatalogueKind | undefined
  readonly architecture?: string | undefined
  readonly flavor?: string | undefined
  readonly newer?: Newer | undefined
}

export interface PackageQuery extends PackageFilter {
  /** Words that all have to stand in repository, name, kind or description, in lower case. */
  readonly words: readonly string[]
  /** registryId. */
  readonly registry?: string | undefined
}

export interface FoundPackage extends CataloguePackage {
  readonly host: string
  readonly repository: string
}

/** Who looks: what they may not see is not there. */
export interface Sight {
  registry(host: string): boolean
  place(place: { registry: string; repository: string }): boolean
}

/** Repositories that one answer looks at: with more there is a next page, be this one full or not. */
const MOST_SCANNED = 20_000
const CHUNK = 500

interface Place {
  readonly host: string
  readonly repository: string
  /** Of the package in it; undefined: all of it was looked at. */
  readonly key?: string
}

/**
 * Packages by registry, repository and name. A page may be short of its size, or empty, and have a next one. Throws
 * REQUEST_INVALID, QUEUE_UNAVAILABLE.
 */
export async function findPackages(
  records: Pick<CatalogueRecords, 'sources' | 'content'>,
  { query, page, sight }: { query: PackageQuery; page: Page; sight: Sight },
): Promise<PageOf<FoundPackage>> {
  const from = page.token === undefined ? undefined : placeIn(page.token)
  const items: FoundPackage[] = []
  let scanned = 0
  for await (const { host, last, names, found } of scan(records, { query, sight, from })) {
    for (const one of found) {
      const before = items.at(-1)
      if (items.length === page.size && before) return { items, nextPageToken: tokenOf(placeOf(before)) }
      items.push(one)
    }
    scanned += names
    if (scanned >= MOST_SCANNED) return { items, nextPageToken: tokenOf({ host, repository: last }) }
  }
  return { items }
}

interface Scan {
  readonly query: PackageQuery
  readonly sight: Sight
  readonly from: Place | undefined
}

interface Scanned {
  readonly host: string
  /** The last repository of this part. */
  readonly last: string
  /** How many of them. */
  readonly names: number
  readonly found: readonly FoundPackage[]
}

/** All that is wanted and may be seen, from a place on, some repositories at a time. */
async function* scan(
  { sources, content }: Pick<CatalogueRecords, 'sources' | 'content'>,
  { query, sight, from }: Scan,
): AsyncGenerator<Scanned> {
  const hosts = (await sources.list()).map(({ host }) => host)
  const first = from?.host ?? ''
  for (const host of hosts.filter((one) => one >= first && (query.registry ?? one) === one && sight.registry(one))) {
    const begun = from?.host === host ? from : undefined
    let last = begun?.repository ?? ''
    let names: readonly string[] = begun?.key === undefined ? [] : [last]
    do {
      if (names.length > 0) {
        const found = await foundIn(content, { host, names, begun, query, sight })
        yield { host, last, names: names.length, found }
      }
      names = await content.names(host, last, CHUNK)
      last = names.at(-1) ?? last
    } while (names.length > 0)
  }
}

async function foundIn(
  content: CatalogueRecords['content'],
  {
    host,
    names,
    begun,
    query,
    sight,
  }: Omit<Scan, 'from'> & { host: string; names: readonly string[]; begun: Place | undefined },
): Promise<readonly FoundPackage[]> {
  const breathe = createBreathing()
  const seen = names.filter((repository) => sight.place({ registry: host, repository }))
  const texts = await content.told(host, seen)
  const found: FoundPackage[] = []
  for (const [at, repository] of seen.entries()) {
    const after = repository === begun?.repository ? begun.key : undefined
    const wanted = matching(texts[at] ?? '', query)
    found.push(
      ...wanted.filter((one) => after === undefined || keyOf(one) > after).map((one) => ({ ...one, host, repository })),
    )
    await breathe()
  }
  return found
}

/** Those of a repository that are wanted; with `newer`, each with its newer versions alone. */
function matching(text: string, query: PackageQuery): readonly CataloguePackage[] {
  const { words, packages } = parseTold(text)
  if (!query.words.every((word) => words.includes(word))) return []
  return packages().flatMap((one) => {
    const isWanted =
      (query.name === undefined || one.name === query.name) &&
      (query.kind === undefined || one.kind === query.kind) &&
      (query.architecture === undefined || one.architectures.includes(query.architecture)) &&
      (query.flavor === undefined || one.flavors.includes(query.flavor))
    if (!isWanted) return []
    const { newer } = query
    if (newer === undefined) return [one]
    const versions = one.versions.filter((version) => isNewer(version, newer))
    return versions.length === 0 ? [] : [{ ...one, versions }]
  })
}

/** Tags of a repository, the highest version first. Throws REQUEST_INVALID, QUEUE_UNAVAILABLE. */
export async function findVersions(
  { content }: Pick<CatalogueRecords, 'content'>,
  { place, filter, page }: { place: { host: string; repository: string }; filter: PackageFilter; page: Page },
): Promise<PageOf<CatalogueTag> & { known: boolean }> {
  const tags = await content.tags(place.host, place.repository)
  const after = page.token === undefined ? undefined : tagIn(page.token)
  const { name, kind, architecture, flavor, newer } = filter
  const rest = tags
    .filter(
      (one) =>
        (name === undefined || one.name === name) &&
        (kind === undefined || one.kind === kind) &&
        (flavor === undefined || one.flavor === flavor) &&
        (architecture === undefined || one.architectures.some((each) => each.architecture === architecture)) &&
        (newer === undefined || isNewer(versionOf(one), newer)) &&
        (after === undefined || compareTags(after, one) < 0),
    )
    .toSorted(compareTags)
  const items = rest.slice(0, page.size)
  const last = items.at(-1)
  const more = last !== undefined && rest.length > items.length
  return { known: tags.length > 0, items, ...(more ? { nextPageToken: packed([last.tag, last.version]) } : {}) }
}

function keyOf({ name, kind }: CataloguePackage): string {
  return `${name}\n${kind}`
}

function placeOf(found: FoundPackage): Place {
  return { host: found.host, repository: found.repository, key: keyOf(found) }
}

function tokenOf({ host, repository, key }: Place): string {
  return packed(key === undefined ? [host, repository] : [host, repository, key])
}

function packed(words: ReadonlyArray<string | null>): string {
  return Buffer.from(JSON.stringify(words)).toString('base64url')
}

function placeIn(token: string): Place {
  const [host, repository, key] = unpacked(token)
  if (typeof host !== 'string' || typeof repository !== 'string') throw noToken()
  return { host, repository, ...(typeof key === 'string' ? { key } : {}) }
}

function tagIn(token: string): CatalogueTag {
  const [tag, version = null] = unpacked(token)
  if (typeof tag !== 'string' || (version !== null && typeof version !== 'string')) throw noToken()
  return { tag, version } as CatalogueTag
}

function unpacked(token: string): readonly unknown[] {
  try {
    const words: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    if (Array.isArray(words)) return words
  } catch {
    // As any other text that is none.
  }
  throw noToken()
}

function noToken(): AppError {
  return new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}
