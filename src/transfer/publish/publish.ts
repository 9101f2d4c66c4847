import type { BlobPlaces } from '../../content/blob-places.ts'
import type { TransferClaims } from '../../content/claims.ts'
import { copyBlob, copyBlobs } from '../../content/copy-graph.ts'
import { titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { type Destination, formatReference, repositoryFor } from '../../content/reference.ts'
import { bufferOpener } from '../../content/streams.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { inspectTag } from '../../oci/manifests/index-manifest.ts'
import type { Repository } from '../../oci/registry.ts'
import { packageTag } from '../../zarf/package-reference.ts'
import {
  checksumMismatch,
  type IndexedPackage,
  type OpenedPackage,
  type PackageContents,
  type PackageIdentity,
  type StreamedPackage,
} from '../../zarf/package.ts'
import { moveArchive } from './archive-pass.ts'
import { commit, type Ownership } from '../commit.ts'
import type { OnEvent } from '../events.ts'
import { sharedRepository } from '../shared-push.ts'
import { createMounts, type Mounts } from '../mounts.ts'
import { announce, announcePlan, checkManifestSize, leastManifestBytes, packageBlobs, totalBytes } from '../plan.ts'

export interface PublishRequest {
  package: OpenedPackage
  destination: Destination
  /** Replaces `version[-flavor]` as a whole. */
  tag?: string
  /** The package's name where the file name does not tell it; zarf.yaml still decides. */
  name?: string
  /** Read a compressed archive once before sending, so that the plan is known. */
  scan: boolean
  /** Blobs at once. */
  concurrency: number
}

export interface PublishDependencies extends Ownership {
  repository(registry: string, repository: string): Promise<Repository>
  /** Shares the transfers of large blobs with other runs. Default: each run sends for itself. */
  claims?: TransferClaims
  /** Where other repositories hold what this one lacks. Default: nothing is mounted. */
  places?: BlobPlaces
  onEvent: OnEvent
  signal: AbortSignal
}

export interface PublishOutcome {
  /** oci://HOST/NS/NAME:TAG */
  reference: string
  /** The package's manifest. */
  digest: Digest
  /** The index under the tag. */
  indexDigest: Digest
  architecture: string
  layers: number
  /** Layers and config. */
  bytes: number
}

/**
 * Publishes a package: checks the destination, moves what it lacks, then makes it visible. Layers and manifest are byte
 * for byte those of `zarf package publish`. Rejects with the first error after everything has stopped; nothing is tagged
 * then. Throws PACKAGE_*, REGISTRY_*, TAG_*, MANIFEST_TOO_LARGE, JOB_FENCED, JOB_CANCELED.
 */
export async function publish(request: PublishRequest, dependencies: PublishDependencies): Promise<PublishOutcome> {
  dependencies.onEvent({ type: 'phase', phase: 'planning' })
  return request.package.kind === 'indexed'
    ? publishIndexed(request.package, request, dependencies)
    : publishStreamed(request.package, request, dependencies)
}

async function publishIndexed(
  source: IndexedPackage,
  request: PublishRequest,
  dependencies: PublishDependencies,
): Promise<PublishOutcome> {
  const { contents } = source
  const target = await openTarget(contents.identity, request, dependencies)
  checkManifestSize(contents.manifest.bytes.length, contents.files.length)
  announcePlan(contents, dependencies.onEvent)
  const mounts = mountsOf(target, dependencies)
  mounts.lookUp(contents.layers.map(({ digest }) => digest))
  const move = async (again: boolean): Promise<void> => {
    // The largest first: the end of the job is then many short tails instead of one long one.
    const layers = contents.layers.toSorted((a, b) => b.size - a.size)
    await copyBlobs(layers, source, target.repository, {
      concurrency: request.concurrency,
      signal: dependencies.signal,
      onEvent: dependencies.onEvent,
      ...(again ? {} : { mountFrom: (layer) => mounts.candidates(layer) }),
      verify: (layer) => checksumMismatch(titleOrDigest(layer), layer.digest),
    })
  }
  return complete(contents, target, { move, mounts, dependencies })
}

async function publishStreamed(
  archive: StreamedPackage,
  request: PublishRequest,
  dependencies: PublishDependencies,
  wrongRepository?: Repository,
): Promise<PublishOutcome> {
  const { signal, onEvent } = dependencies
  const declared = await archive.declared({ signal })
  checkManifestSize(leastManifestBytes(declared), declared.size)
  let contents = archive.known ?? (usableGuess(archive, request) ? undefined : await scan(archive, dependencies))
  const identity = contents?.identity ?? guessed(archive, request)
  const target = await openTarget(identity, request, dependencies)
  if (contents) announcePlan(contents, onEvent)
  const announced = contents !== undefined
  const mounts = mountsOf(target, dependencies, wrongRepository)
  mounts.lookUp([...declared.values()])
  const move = async (again: boolean): Promise<void> => {
    onEvent({ type: 'phase', phase: 'transferring' })
    const met = await moveArchive(archive, {
      repository: target.repository,
      declared,
      concurrency: request.concurrency,
      announced,
      mountFrom: async (blob) => (again ? [] : mounts.candidates(blob)),
      signal,
      onEvent,
    })
    contents = archive.conclude(met)
  }
  await releasing(target, () => move(false))
  const found = contents ?? archive.conclude([])
  if (found.identity.name !== identity.name) {
    const message = `zarf.yaml names the package ${found.identity.name}, not ${identity.name}: going on under its own name`
    onEvent({ type: 'log', level: 'warn', message })
    return publishStreamed(archive, request, dependencies, target.repository)
  }
  if (!announced) {
    announce(found.config.descriptor, onEvent)
    const blobs = packageBlobs(found)
    onEvent({ type: 'plan', layers: blobs.length, bytes: totalBytes(blobs) })
  }
  const tag = packageTag(found.identity, request.tag)
  return complete(found, { ...target, tag }, { move, moved: true, mounts, dependencies })
}

interface Target {
  repository: Repository
  tag: string
}

function mountsOf({ repository }: Target, { places }: PublishDependencies, sure?: Repository): Mounts {
  return createMounts({ repository, places, sure: sure?.repository })
}

/** Everything that can be known to fail without moving a byte fails here. */
async function openTarget(
  identity: PackageIdentity,
  request: PublishRequest,
  dependencies: PublishDependencies,
): Promise<Target> {
  const { signal, onEvent } = dependencies
  const tag = packageTag(identity, request.tag)
  const name = repositoryFor(request.destination, identity.name)
  const opened = await dependencies.repository(request.destination.registry, name)
  const repository = dependencies.claims ? sharedRepository(opened, dependencies.claims) : opened
  await repository.preparePush({ signal })
  try {
    await inspectTag({ repository, tag, signal })
  } catch (error) {
    await repository.releasePush()
    throw error
  }
  onEvent({ type: 'log', level: 'info', message: `publishing to ${formatReference({ ...repository, tag })}` })
  return { repository, tag }
}

/** Moves the rest, commits, and heals once: a registry that lost blobs after it claimed to have them names them now. */
async function complete(
  contents: PackageContents,
  target: Target,
  options: {
    move: (again: boolean) => Promise<void>
    moved?: boolean
    mounts: Mounts
    dependencies: PublishDependencies
  },
): Promise<PublishOutcome> {
  const { dependencies } = options
  const { signal, onEvent } = dependencies
  const moveAll = async (again: boolean): Promise<void> => {
    if (again || !options.moved) {
      onEvent({ type: 'phase', phase: 'transferring' })
      await options.move(again)
    }
    const { descriptor, bytes } = contents.config
    await copyBlob(descriptor, bufferOpener(bytes), target.repository, { signal, onEvent })
  }
  await releasing(target, () => moveAll(false))
  const committed = await commit(contents, target, dependencies).catch(async (error: unknown) => {
    if (!isMissingBlob(error)) throw error
    onEvent({
      type: 'log',
      level: 'warn',
      message: 'the registry misses blobs that it had: looking at all of them again',
    })
    await releasing(target, () => moveAll(true))
    return commit(contents, target, dependencies)
  })
  const blobs = packageBlobs(contents)
  await options.mounts.learn(blobs)
  return {
    reference: formatReference(committed.reference),
    digest: contents.manifest.digest,
    indexDigest: committed.indexDigest,
    architecture: contents.identity.architecture,
    layers: contents.layers.length,
    bytes: totalBytes(blobs),
  }
}

/** Gives up the upload session of the preparation when nothing used it, whatever happened. */
async function releasing(target: Target, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } finally {
    await target.repository.releasePush()
  }
}

/** oci-client.md M8: eventual consistency, or a HEAD that answered for another repository. */
function isMissingBlob(error: unknown): boolean {
  if (!isAppError(error)) return false
  const code = error.upstream?.ociCode
  return code === 'MANIFEST_BLOB_UNKNOWN' || code === 'BLOB_UNKNOWN'
}

/** A file name is good enough to begin with when it gives a repository and a tag; zarf.yaml decides at the end. */
function usableGuess(archive: StreamedPackage, request: PublishRequest): boolean {
  if (request.scan) return false
  if (request.name !== undefined && request.tag !== undefined) return true
  if (!archive.guess) return false
  try {
    packageTag(archive.guess, request.tag)
    return true
  } catch {
    return false
  }
}

function guessed(archive: StreamedPackage, request: PublishRequest): PackageIdentity {
  const guess = archive.guess ?? { name: '', version: undefined, flavor: undefined, architecture: '' }
  return request.name === undefined ? guess : { ...guess, name: request.name }
}

async function scan(archive: StreamedPackage, { signal, onEvent }: PublishDependencies): Promise<PackageContents> {
  if (signal.aborted) throw new AppError('JOB_CANCELED', 'the work was stopped', { cause: signal.reason })
  return archive.scan({
    signal,
    onRead: (bytesRead) => onEvent({ type: 'source', bytesRead, bytesTotal: archive.sourceBytes }),
  })
}
