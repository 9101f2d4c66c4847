import type { Descriptor } from '../../content/descriptor.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { checkNotItself, copiedRepository, formatReference, manifestName, parseTag } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { inspectTag } from '../../oci/manifests/tag-index.ts'
import type { Repository } from '../../oci/registry.ts'
import { createMounts, type Mounts } from '../mounts.ts'
import { packageSource } from '../package-source.ts'
import { announceBlobs } from '../plan.ts'
import { notFound } from '../resolve.ts'
import { sharedRepository } from '../shared-push.ts'
import { blobsOf } from './blobs.ts'
import { chooseEnding, type Ending } from './ending.ts'
import { findRelated, type Related } from './related.ts'
import type { CopyDependencies, CopyRequest } from './request.ts'
import { createManifestTree, type ManifestTree } from './tree.ts'

/** What is copied, once it is known; the destination has been proved. */
export interface PreparedCopy {
  readonly request: CopyRequest
  readonly source: Repository
  readonly destination: Repository
  readonly tag: string
  readonly tree: ManifestTree
  readonly related: Related
  readonly ending: Ending
  readonly blobs: readonly Descriptor[]
  readonly mounts: Mounts
}

/** Everything that can be known to fail without moving a blob fails here; then the plan is told. */
export async function prepare(request: CopyRequest, dependencies: CopyDependencies): Promise<PreparedCopy> {
  const { signal, onEvent, places } = dependencies
  const { registry, repository: name } = request.source
  const source = await dependencies.repository(registry, name)
  const where = formatReference(request.source)
  const raw = await source.getManifest(manifestName(request.source), { signal })
  if (!raw) throw notFound(where, request.source)
  const tree = createManifestTree({ source, where, signal })
  const reader = packageSource(source, signal)
  const ending = await chooseEnding(raw, { request, tree, reader, where, signal })
  const tag = tagOf(request, ending)
  const destination = await openDestination({ request, tag }, dependencies)
  try {
    const added = await wholeEnding({ ending, destination, tag }, dependencies)
    const subjects = [...tree.all.map((read) => read.raw.digest), ...added]
    const related = await findRelated(subjects, { source, tree, onEvent, signal })
    const blobs = await blobsOf(tree, { source, reader, onEvent, signal })
    const sure = destination.registry === source.registry ? source.repository : undefined
    const mounts = createMounts({ repository: destination, places, sure })
    announceBlobs(blobs, onEvent)
    mounts.lookUp(blobs.map(({ digest }) => digest))
    const to = formatReference({ registry: destination.registry, repository: destination.repository, tag })
    onEvent({ type: 'log', level: 'info', message: `copying ${where} (${ending.raw.digest}) to ${to}` })
    return { request, source, destination, tag, tree, related, ending, blobs, mounts }
  } catch (error) {
    await destination.releasePush()
    throw error
  }
}

function tagOf({ tag, source }: CopyRequest, { version }: Ending): string {
  const found = tag ?? source.tag ?? version
  if (found !== undefined) return parseTag(found)
  throw new AppError('TAG_INVALID', `${formatReference(source)} has no tag, and what it is says no version`, {
    hint: 'Choose one with "options.tag".',
    details: { pointer: '/options/tag' },
  })
}

async function openDestination(
  { request, tag }: { request: CopyRequest; tag: string },
  dependencies: CopyDependencies,
): Promise<Repository> {
  const { source, destination } = request
  checkNotItself(source, destination, tag)
  const name = copiedRepository(destination, source)
  const opened = await dependencies.repository(destination.registry, name)
  const repository = dependencies.claims ? sharedRepository(opened, dependencies.claims) : opened
  await repository.preparePush({ signal: dependencies.signal })
  return repository
}

/**
 * Digests of indexes that the copy will have as they are, beside the manifests: what refers to one holds only there. Throws
 * TAG_NOT_INDEX.
 */
async function wholeEnding(
  { ending, destination, tag }: { ending: Ending; destination: Repository; tag: string },
  { signal, onEvent }: CopyDependencies,
): Promise<readonly RawManifest['digest'][]> {
  if (ending.kind === 'put') {
    if (ending.subset) tellSubset(ending.raw, onEvent)
    return ending.subset ? [] : [ending.raw.digest]
  }
  const there = await inspectTag({ repository: destination, tag, signal })
  if (ending.subset) tellSubset(ending.raw, onEvent)
  const stays = !ending.subset && (there.kind === 'absent' || there.raw.digest === ending.raw.digest)
  return stays && ending.fresh ? [ending.raw.digest] : []
}

function tellSubset({ digest }: RawManifest, onEvent: CopyDependencies['onEvent']): void {
  const message = `some architectures of the index alone are copied: it becomes another (${digest}), and signatures of the whole one do not hold for it`
  onEvent({ type: 'warning', code: 'INDEX_SUBSET', message })
}
