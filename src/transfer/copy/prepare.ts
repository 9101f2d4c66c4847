import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import {
  checkNotItself,
  copiedRepository,
  formatReference,
  manifestName,
  parseTag,
  type Reference,
} from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { keepsOthers } from '../../oci/manifests/index-manifest.ts'
import { inspectTag } from '../../oci/manifests/tag-index.ts'
import type { Repository } from '../../oci/registry.ts'
import { failing } from '../dry-run.ts'
import { verifyPackages } from '../bundle/verify-manifests.ts'
import type { OnEvent } from '../events.ts'
import { createMounts, type Mounts } from '../mounts.ts'
import { type PackageSource, packageSource } from '../package-source.ts'
import { announceBlobs } from '../plan.ts'
import { notFound } from '../resolve.ts'
import { sharedRepository } from '../shared-push.ts'
import { createSigning, type Signing } from '../signing.ts'
import { blobsOf } from './blobs.ts'
import { chooseEnding, type Ending } from './ending.ts'
import { identityOf } from './identity.ts'
import { findRelated, type Related } from './related.ts'
import type { CopyDependencies, CopyRequest } from './request.ts'
import { signPackages } from './signed.ts'
import { tagsToCopy } from './tags.ts'
import { createManifestTree, type ManifestTree } from './tree.ts'

/** What is copied, once it is known; the destination has been proved. */
export interface PreparedCopy {
  readonly request: CopyRequest
  readonly source: Repository
  readonly destination: Repository
  readonly tree: Pick<ManifestTree, 'all'>
  readonly related: Related
  readonly tagged: readonly TaggedEnding[]
  /** Of several: tags that need nothing. */
  readonly tagsThere: number
  readonly blobs: readonly Descriptor[]
  readonly mounts: Mounts
  /** Blobs that signing made, which the source does not have. */
  readonly made: ReadonlyMap<Digest, Buffer>
  /** What the packages were signed with. */
  readonly signing: Signing | undefined
}

export interface TaggedEnding {
  /** At the destination. */
  readonly tag: string
  readonly ending: Ending
}

interface Ends {
  request: CopyRequest
  source: Repository
  destination: Repository
}

/** Everything that can be known to fail without moving a blob fails here; then the plan is told. */
export async function prepare(request: CopyRequest, dependencies: CopyDependencies): Promise<PreparedCopy> {
  const { registry, repository } = request.source
  const source = await dependencies.repository(registry, repository)
  const { destination: place } = request
  const opened = await dependencies.repository(place.registry, copiedRepository(place, request.source))
  const destination = dependencies.claims ? sharedRepository(opened, dependencies.claims) : opened
  await destination.preparePush({ signal: dependencies.signal })
  try {
    return await plan({ request, source, destination }, dependencies)
  } catch (error) {
    await destination.releasePush()
    throw error
  }
}

async function plan(ends: Ends, dependencies: CopyDependencies): Promise<PreparedCopy> {
  const { request, source, destination } = ends
  const { signal, onEvent, places, check = failing } = dependencies
  const tree = createManifestTree({ source, where: formatReference(request.source), signal })
  const reader = packageSource(source, signal)
  const named = request.tags && (await tagsToCopy(ends, request.tags, signal))
  const references = named ? named.missing.map((tag) => ({ ...request.source, tag })) : [request.source]
  const tagged: TaggedEnding[] = []
  const wholes: Digest[] = []
  for (const reference of references) {
    const one = await read(ends, { reference, tree, reader, signal })
    const signs = request.sign !== undefined
    wholes.push(...((await check(() => wholeIndex(one, destination, { signal, onEvent, signs }))) ?? []))
    tagged.push(one)
    tell(one, { reference, destination, onEvent })
  }
  const where = formatReference(request.source)
  const [first] = tagged
  const identity = first && !named && (await identityOf(tree, first.ending.architectures, { reader, where, signal }))
  if (identity) onEvent({ type: 'package', identity })
  const { verification, bundledVerificationFor } = request
  await verifyPackages(tree.all, { verification, bundledVerificationFor, reader, where, onEvent, signal })
  const found = await related({ tree, tagged, wholes }, ends, { reader, where, onEvent, signal })
  const blobs = await blobsOf(found.tree, { source, reader, onEvent, signal })
  const sure = destination.registry === source.registry ? source.repository : undefined
  const mounts = createMounts({ repository: destination, places, sure })
  announceBlobs(blobs, onEvent)
  mounts.lookUp(blobs.map(({ digest }) => digest).filter((digest) => !found.made.has(digest)))
  return { ...ends, ...found, tagsThere: named?.there ?? 0, blobs, mounts }
}

type Found = Pick<PreparedCopy, 'tree' | 'related' | 'tagged' | 'made' | 'signing'>

/** What goes along; or the packages as they are signed, for which nothing of that holds. */
async function related(
  { tree, tagged, wholes }: { tree: ManifestTree; tagged: readonly TaggedEnding[]; wholes: readonly Digest[] },
  { request, source }: Ends,
  options: { reader: PackageSource; where: string } & Pick<CopyDependencies, 'onEvent' | 'signal'>,
): Promise<Found> {
  const { onEvent, signal } = options
  const signing = request.sign && createSigning(request.sign, options)
  if (!signing) {
    const subjects = [...tree.all.map(({ raw }) => raw.digest), ...wholes]
    return {
      tree,
      tagged,
      related: await findRelated(subjects, { source, tree, onEvent, signal }),
      made: new Map(),
      signing,
    }
  }
  const message =
    'signatures, attestations and the like that refer to the packages as they came are not copied: they do not hold for the signed ones'
  onEvent({ type: 'log', level: 'info', message })
  const signed = await signPackages({ tree, tagged }, { ...options, signing })
  return { ...signed, related: { referrers: [], tags: [] }, signing }
}

async function read(
  { request, source }: Ends,
  { reference, ...options }: { reference: Reference; tree: ManifestTree; reader: PackageSource; signal: AbortSignal },
): Promise<TaggedEnding> {
  const where = formatReference(reference)
  const raw = await source.getManifest(manifestName(reference), { signal: options.signal })
  if (!raw) throw notFound(where, reference)
  const ending = await chooseEnding(raw, { ...options, request: { ...request, source: reference }, where })
  const tag = tagOf(request.tag ?? reference.tag ?? ending.version, where)
  // Signed again it becomes another one where it lies.
  if (!request.sign) checkNotItself(reference, request.destination, tag)
  return { tag, ending }
}

function tagOf(found: string | undefined, where: string): string {
  if (found !== undefined) return parseTag(found)
  throw new AppError('TAG_INVALID', `${where} has no tag, and what it is says no version`, {
    hint: 'Choose one with "options.tag".',
    details: { pointer: '/options/tag' },
  })
}

function tell(
  { tag, ending }: TaggedEnding,
  { reference, destination, onEvent }: { reference: Reference; destination: Repository; onEvent: OnEvent },
): void {
  const { registry, repository } = destination
  const to = formatReference({ registry, repository, tag })
  const message = `copying ${formatReference(reference)} (${ending.raw.digest}) to ${to}`
  onEvent({ type: 'log', level: 'info', message })
}

/**
 * The digest of an index that the copy will have as it is, beside its manifests: what refers to it holds only there. Throws
 * TAG_NOT_INDEX.
 */
async function wholeIndex(
  { tag, ending }: TaggedEnding,
  destination: Repository,
  { signal, onEvent, signs }: Pick<CopyDependencies, 'signal' | 'onEvent'> & { signs: boolean },
): Promise<readonly Digest[]> {
  const { kind, subset, raw } = ending
  const there = kind === 'merge' ? await inspectTag({ repository: destination, tag, signal }) : undefined
  if (signs) return []
  if (subset) {
    const message = `some architectures of the index alone are copied: it becomes another (${raw.digest}), and signatures of the whole one do not hold for it`
    onEvent({ type: 'warning', code: 'INDEX_SUBSET', message })
    return []
  }
  if (kind === 'put') return [raw.digest]
  const isWhole = there?.kind !== 'index' || !keepsOthers(there.index, ending.entries)
  return isWhole && ending.fresh ? [raw.digest] : []
}
