import type { Digest } from '../../content/digest.ts'
import { parseManifest } from '../../content/manifest.ts'
import { formatReference, isTag, type Reference } from '../../content/reference.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import { isBundle, isPackage, metadataLayers, packageLayers, readMetadata } from '../../zarf/pulled-package.ts'
import { packageSource } from '../package-source.ts'
import { architectureOf, fetchEntry, mostLikely, packageEntries } from '../resolve.ts'
import { createShelf, type RemoteDependencies } from './remote.ts'

export interface RepositoryRequest {
  reference: Reference
  /** How many tags are looked into, 0 to 50; each costs an index, a manifest and a zarf.yaml. */
  pageSize: number
  /** InspectedRepository.nextPageToken. Throws REQUEST_INVALID. */
  pageToken?: string | undefined
}

export interface InspectedTag {
  readonly tag: string
  /** `other`: an image, say. */
  readonly kind: 'package' | 'bundle' | 'other'
  /** What lies under the tag. */
  readonly digest: Digest
  readonly name: string | null
  readonly version: string | null
  readonly flavor: string | null
  readonly architectures: readonly string[]
}

/** What a repository holds. */
export interface InspectedRepository {
  /** oci://HOST/NS/NAME */
  readonly reference: string
  /** All, in the registry's order. */
  readonly tags: readonly string[]
  /** Those of a page, the highest first, and what they are. */
  readonly packages: readonly InspectedTag[]
  /** Tags of the page that could not be looked into, and why. */
  readonly problems: readonly { tag: string; code: string; detail: string }[]
  /** Of this page's packages, each once. */
  readonly versions: readonly string[]
  readonly flavors: readonly string[]
  readonly architectures: readonly string[]
  /** Where there are more tags. */
  readonly nextPageToken?: string
}

const AT_ONCE = 6
const NUMERIC = new Intl.Collator('en', { numeric: true })

/**
 * All tags of a repository, and of a page of them what they are. A tag that cannot be looked into keeps the others from nothing.
 * Throws what listing tags throws, REQUEST_INVALID.
 */
export async function inspectRepository(
  { reference, pageSize, pageToken }: RepositoryRequest,
  { origin, plainHttp, cache, signal }: Omit<RemoteDependencies, 'repository'>,
): Promise<InspectedRepository> {
  const after = pageToken === undefined ? undefined : tagOf(pageToken)
  const tags = await origin.tags({ signal })
  const rest = pageSize === 0 ? [] : await highestAfter(tags, after)
  const page = rest.slice(0, pageSize)
  const found = new Map<string, InspectedTag>()
  const problems = new Map<string, AppError>()
  const shelf = createShelf({ cache, origin, plainHttp, mayRecall: async () => true })
  await forEachConcurrent(page, { limit: AT_ONCE, signal }, async (tag, stop) => {
    try {
      found.set(tag, await lookAt(tag, { origin, shelf, signal: stop, reference }))
    } catch (error) {
      stop.throwIfAborted()
      if (!isAppError(error)) throw error
      problems.set(tag, error)
    }
  })
  const packages = page.flatMap((tag) => found.get(tag) ?? [])
  const last = page.at(-1)
  return {
    reference: formatReference(reference),
    tags,
    packages,
    problems: page.flatMap((tag) => problemOf(tag, problems.get(tag))),
    versions: distinct(packages.map(({ version }) => version)),
    flavors: distinct(packages.map(({ flavor }) => flavor)),
    architectures: distinct(packages.flatMap(({ architectures }) => architectures)),
    ...(last !== undefined && rest.length > page.length ? { nextPageToken: tokenOf(last) } : {}),
  }
}

/** 1.10 before 1.9; what is equal so by its letters. */
function compareTags(a: string, b: string): number {
  return NUMERIC.compare(b, a) || (a < b ? 1 : -1)
}

async function highestAfter(tags: readonly string[], after: string | undefined): Promise<string[]> {
  await nextTurn()
  const rest = after === undefined ? [...tags] : tags.filter((tag) => compareTags(tag, after) > 0 && tag !== after)
  await nextTurn()
  return rest.toSorted(compareTags)
}

interface Look {
  origin: Repository
  shelf: ReturnType<typeof createShelf>
  reference: Reference
  signal: AbortSignal
}

type TagFacts = Omit<InspectedTag, 'tag'>

/** A HEAD tells whether it was looked into before, by whatever tag. */
async function lookAt(tag: string, look: Look): Promise<InspectedTag> {
  const { origin, shelf, signal } = look
  const { digest } = (await origin.headManifest(tag, { signal })) ?? {}
  const facts =
    digest === undefined
      ? await readManifest(tag, tag, look)
      : await shelf.facts(digest, () => readManifest(tag, digest, look), factsBytes)
  return { tag, ...facts }
}

function factsBytes({ name, architectures }: TagFacts): number {
  return 512 + (name?.length ?? 0) + architectures.reduce((sum, each) => sum + each.length, 0) * 2
}

/** By digest what was under the tag a moment ago, whatever is there now. */
async function readManifest(tag: string, name: string, look: Look): Promise<TagFacts> {
  const { origin, shelf, reference, signal } = look
  const where = formatReference({ ...reference, tag })
  const raw = await origin.getManifest(name, { signal })
  if (!raw) throw new AppError('MANIFEST_NOT_FOUND', `there is no ${where} any more`)
  const parsed = parseManifest(raw, where)
  await nextTurn()
  const nothing = { digest: raw.digest, kind: 'other', name: null, version: null, flavor: null } as const
  const entries = parsed.kind === 'index' ? packageEntries(parsed) : []
  const architectures = entries.map(architectureOf)
  const entry = mostLikely(entries)
  if (parsed.kind === 'index' && !entry) return { ...nothing, architectures }
  const { manifest } = entry ? await fetchEntry(origin, entry, { where, signal }) : { manifest: parsed }
  if (manifest.kind === 'index') return { ...nothing, architectures }
  if (isBundle(manifest)) return { ...nothing, kind: 'bundle', architectures }
  if (!isPackage(manifest)) return { ...nothing, architectures }
  const layers = packageLayers(manifest, where)
  const { definition } = metadataLayers(layers)
  const bytes = await shelf.buffer(definition, () => packageSource(origin, signal).read(definition))
  const { identity } = await readMetadata(layers, bytes, signal)
  return {
    kind: 'package',
    digest: raw.digest,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    architectures: entries.length > 0 ? architectures : [identity.architecture],
  }
}

function problemOf(tag: string, error: AppError | undefined): { tag: string; code: string; detail: string }[] {
  return error ? [{ tag, code: error.code, detail: error.message }] : []
}

function distinct(texts: readonly (string | null)[]): string[] {
  return [...new Set(texts.filter((text) => text !== null))]
}

function tokenOf(tag: string): string {
  return Buffer.from(tag).toString('base64url')
}

function tagOf(token: string): string {
  const tag = Buffer.from(token, 'base64url').toString()
  if (isTag(tag)) return tag
  throw new AppError('REQUEST_INVALID', 'the page token is not one that this list gave out', {
    hint: 'Pass nextPageToken of the page before as it is, or none for the first page.',
  })
}
