import type { BlobPlaces } from '../../content/blob-places.ts'
import { copyBlobs, distinct } from '../../content/copy-graph.ts'
import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { VerifyOptions } from '../../content/endpoints.ts'
import type { OpenedTarget } from '../../content/opened.ts'
import { formatReference, manifestName, type Reference } from '../../content/reference.ts'
import { bufferOpener } from '../../content/streams.ts'
import { AppError, toAppError, withContext } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ContentStore } from '../../store/content-store.ts'
import type { ComputedArchive } from '../../zarf/computed-archive.ts'
import {
  checkMetadata,
  metadataLayers,
  type PackageLayers,
  packageLayers,
  type PulledMetadata,
} from '../../zarf/pulled-package.ts'
import { selectComponents, selectLayers } from '../../zarf/select.ts'
import type { Ownership } from '../commit.ts'
import type { OnEvent } from '../events.ts'
import { named } from '../inspect.ts'
import { createMounts } from '../mounts.ts'
import { type PackageSource, packageSource } from '../package-source.ts'
import { announceBlobs, totalBytes } from '../plan.ts'
import { checkArchitecture, type ResolvedPackage, resolvePackage } from '../resolve.ts'
import { packageArchive, titled } from '../stored-package.ts'

export interface PullRequest {
  reference: Reference
  /** Default: the daemon's own, unless the tag has one only. */
  architecture?: string
  /**
   * These components, what is required and what these need; globs, `-name` takes away; an empty list means required and
   * default ones. Default: the whole package.
   */
  components?: readonly string[]
  /** What gets the archive under zarf's name. Default: the package goes into the store. */
  target?: OpenedTarget
  /** Replace a file that exists. */
  overwrite: boolean
  /** Blobs at once. */
  concurrency: number
}

export interface PullDependencies extends Pick<Ownership, 'checkOwnership'> {
  repository(registry: string, repository: string): Promise<Repository>
  store: ContentStore
  /** Told where the blobs are, for later publishes to the same registry. */
  places?: BlobPlaces
  onEvent: OnEvent
  signal: AbortSignal
}

export interface PullOutcome {
  /** oci://HOST/NS/NAME:TAG */
  reference: string
  /** The package's manifest. */
  digest: Digest
  architecture: string
  name: string
  version: string | null
  flavor: string | null
  /** Where the archive lies, for a target; else undefined and the package is in the store. */
  path: string | undefined
  /** Of the selection. */
  layers: number
  /** Layers and config, each digest once. */
  bytes: number
}

/** What is pulled, once it is known. */
interface Plan {
  readonly repository: Repository
  readonly source: PackageSource
  readonly resolved: ResolvedPackage
  readonly metadata: PulledMetadata
  readonly layers: PackageLayers
  /** By title. */
  readonly files: ReadonlyMap<string, Descriptor>
  readonly components: readonly string[]
  /** Layers and config, each digest once. */
  readonly blobs: readonly Descriptor[]
}

/**
 * Pulls a package. What can be known to fail without moving its layers fails first: reference, architecture, the manifest
 * against checksums.txt, the selection, the target, the room. Then layers come in parallel, each verified, and the package
 * is recorded, or its archive gets its name, when every one is there. Rejects with the first error after everything has
 * stopped; what has arrived stays for a retry. Throws MANIFEST_*, ARCHITECTURE_NOT_FOUND, COMPONENTS_INVALID, PACKAGE_*,
 * DIGEST_MISMATCH, SIZE_MISMATCH, STORE_*, REGISTRY_*, JOB_FENCED, JOB_CANCELED.
 */
export async function pull(request: PullRequest, dependencies: PullDependencies): Promise<PullOutcome> {
  try {
    return await pullPackage(request, dependencies)
  } catch (error) {
    throw withPlace(error, request.reference)
  }
}

/** What is wrong with the package says where it came from; what is wrong on this side does not. */
function withPlace(thrown: unknown, reference: Reference): AppError {
  const error = toAppError(thrown)
  const ours = error.side === 'destination' || /^(?:STORE|JOB|QUEUE)_|^INTERNAL$/.test(error.code)
  const { registry, repository } = reference
  return ours
    ? error
    : withContext(error, { side: 'source', upstream: { registry, repository, reference: manifestName(reference) } })
}

async function pullPackage(request: PullRequest, dependencies: PullDependencies): Promise<PullOutcome> {
  const { store, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const plan = await makePlan(request, dependencies)
  const archive = packageArchive(store, {
    digest: plan.resolved.raw.digest,
    definition: plan.metadata.definition,
    files: plan.files,
    whole: plan.files.size === plan.layers.byTitle.size,
  })
  const { target, overwrite } = request
  await target?.prepare({ name: archive.fileName, size: archive.size, overwrite })
  announceBlobs(plan.blobs, onEvent)
  const path = await holding(plan, dependencies, async () => {
    const bring = async () => {
      onEvent({ type: 'phase', phase: 'transferring' })
      await move(plan, request, dependencies)
      onEvent({ type: 'phase', phase: 'committing' })
      await dependencies.checkOwnership()
    }
    await bring()
    if (target) return await savePulled({ archive, target, overwrite }, bring, dependencies)
    await record(plan, request, dependencies)
    return undefined
  })
  await createMounts({ repository: plan.repository, places: dependencies.places }).learn(plan.blobs)
  // The file is what was asked for: blobs that no stored package shares are not kept beside it.
  if (target) await store.gc({ graceMs: 0, only: new Set(plan.blobs.map(({ digest }) => digest)) })
  return outcome(plan, request, path)
}

/**
 * Blobs that were in the store and turn out damaged when the archive is written have been taken away: they are brought
 * anew, each once.
 */
async function savePulled(
  { archive, target, overwrite }: { archive: ComputedArchive; target: OpenedTarget; overwrite: boolean },
  again: () => Promise<void>,
  { onEvent, signal }: PullDependencies,
): Promise<string> {
  const damaged = new Set<unknown>()
  for (;;) {
    try {
      return await target.write({ name: archive.fileName, overwrite }, (options) => archive.open(options), signal)
    } catch (thrown) {
      const error = toAppError(thrown)
      const name = error.details?.['name']
      if (error.code !== 'STORE_CORRUPT' || name === undefined || damaged.has(name)) throw error
      damaged.add(name)
      onEvent({ type: 'log', level: 'warn', message: `${error.message}; it is pulled anew` })
      await again()
    }
  }
}

async function makePlan(request: PullRequest, dependencies: PullDependencies): Promise<Plan> {
  const { signal, onEvent } = dependencies
  const { registry, repository: name } = request.reference
  const repository = await dependencies.repository(registry, name)
  const resolved = await resolvePackage(repository, request, signal)
  const layers = packageLayers(resolved.manifest, resolved.where)
  const source = packageSource(repository, signal)
  const { definition, checksums } = metadataLayers(layers)
  const [definitionBytes, checksumBytes] = await Promise.all([source.read(definition), source.read(checksums)])
  const metadata = checkMetadata(layers, { definition: definitionBytes, checksums: checksumBytes })
  if (resolved.indexDigest === undefined) checkArchitecture(metadata.identity.architecture, request)
  onEvent({ type: 'log', level: 'info', message: `pulling ${resolved.where}, ${resolved.raw.digest}` })
  const selection = await select(request, { metadata, layers, source })
  const blobs = distinct([...selection.files.values(), layers.config])
  return { repository, source, resolved, metadata, layers, ...selection, blobs }
}

async function select(
  request: PullRequest,
  { metadata, layers, source }: Pick<Plan, 'metadata' | 'layers' | 'source'>,
): Promise<Pick<Plan, 'files' | 'components'>> {
  const { definition } = metadata
  const { byTitle } = layers
  if (request.components === undefined) {
    return { files: byTitle, components: (definition.components ?? []).map(({ name = '' }) => name) }
  }
  const chosen = selectComponents(definition, request.components)
  const read = (layer: Descriptor) => source.read(layer)
  const files = titled(byTitle, await selectLayers(definition, chosen, { byTitle, read }))
  return { files, components: chosen.map(({ name = '' }) => name) }
}

/** Holds the blobs, and room for those to come, while `task` runs. */
async function holding<T>(plan: Plan, { store }: PullDependencies, task: () => Promise<T>): Promise<T> {
  await using _lease = await store.lease([...plan.blobs, manifestOf(plan)])
  return await task()
}

async function move(plan: Plan, request: PullRequest, { store, signal, onEvent }: PullDependencies): Promise<void> {
  // The largest first: the end of the job is then many short tails instead of one long one.
  const blobs = plan.blobs.toSorted((a, b) => b.size - a.size)
  await copyBlobs(blobs, plan.source, store.from(plan.repository.registry), {
    concurrency: request.concurrency,
    signal,
    onEvent,
    verify: (blob) => wrongBytes(blob, plan.repository),
  })
}

async function record(plan: Plan, { reference }: PullRequest, { store, signal }: PullDependencies): Promise<void> {
  const { identity, signed } = plan.metadata
  const manifest = manifestOf(plan)
  await store.push(manifest, bufferOpener(plan.resolved.raw.bytes), { signal })
  await store.packages.put({
    digest: manifest.digest,
    manifestMediaType: manifest.mediaType,
    manifestSize: manifest.size,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    architecture: identity.architecture,
    references: [formatReference(named(reference))],
    size: totalBytes(distinct([...plan.layers.layers, plan.layers.config])),
    layers: plan.layers.layers.length,
    signed,
    components: [...plan.components],
  })
}

function manifestOf({ resolved }: Plan): Descriptor {
  const { raw, manifest } = resolved
  return { mediaType: manifest.mediaType, digest: raw.digest, size: raw.bytes.length }
}

function wrongBytes(blob: Descriptor, { registry, repository }: Repository): VerifyOptions {
  const name = descriptorTitle(blob) ?? 'the config'
  return {
    name,
    mismatch: (found) =>
      new AppError('DIGEST_MISMATCH', `${registry} served other bytes for ${name}: they have the digest ${found}`, {
        side: 'source',
        upstream: { registry, repository, digest: blob.digest },
        details: { title: name, expected: blob.digest, found },
        hint: "The registry's storage is damaged, or something in between changes answers: publish the package again.",
      }),
  }
}

function outcome(plan: Plan, request: PullRequest, path: string | undefined): PullOutcome {
  const { identity } = plan.metadata
  return {
    reference: formatReference(named(request.reference)),
    digest: plan.resolved.raw.digest,
    architecture: identity.architecture,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    path,
    layers: plan.files.size,
    bytes: totalBytes(plan.blobs),
  }
}
