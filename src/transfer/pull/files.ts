import { filePaths } from '../../artifact/titles.ts'
import { distinct } from '../../content/copy-graph.ts'
import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { EMPTY_JSON } from '../../content/media-types.ts'
import type { FolderFile, OpenedFolderTarget } from '../../content/opened.ts'
import { formatReference } from '../../content/reference.ts'
import type { ByteStream } from '../../content/endpoints.ts'
import { chartNames } from './chart-names.ts'
import { verifyPackages } from '../bundle/verify-manifests.ts'
import { createDryRun, lookingOnly, tellDone, type TransferPlan } from '../dry-run.ts'
import { createMounts } from '../mounts.ts'
import { packageSource } from '../package-source.ts'
import { announceBlobs, totalBytes } from '../plan.ts'
import { named, resolvePackage } from '../resolve.ts'
import { holding, type MovablePull, move, unlessDamaged } from './move.ts'
import type { PullDependencies, PullRequest } from './request.ts'
import { withPlace } from './with-place.ts'

export interface PullFilesRequest
  extends Pick<
    PullRequest,
    'reference' | 'architecture' | 'overwrite' | 'concurrency' | 'verification' | 'bundledVerificationFor'
  > {
  folder: OpenedFolderTarget
}

export interface PulledFiles {
  /** oci://HOST/NS/NAME:TAG */
  reference: string
  digest: Digest
  /** Its artifactType, else its config's media type. Empty: it says none. */
  artifactType: string
  architecture: string
  /** Of the folder. */
  path: string
  /** Files. */
  layers: number
  bytes: number
}

interface PreparedFiles extends MovablePull {
  readonly request: PullFilesRequest
  readonly raw: RawManifest
  readonly artifactType: string
  readonly files: ReadonlyArray<FolderFile & { readonly layer: Descriptor }>
}

/**
 * Pulls the layers of a manifest, of whatever kind, into a folder: each is a file by its title, else by its digest; of an index
 * those of one of its manifests. Nothing is there under its name before all are known to be whole. Throws MANIFEST_*,
 * ARCHITECTURE_NOT_FOUND, PACKAGE_UNSAFE_PATH, ARTIFACT_INVALID, PACKAGE_EXISTS, SIGNATURE_*, DIGEST_MISMATCH, SIZE_MISMATCH,
 * STORE_*, REGISTRY_*, JOB_FENCED, JOB_CANCELED.
 */
export async function pullFiles(request: PullFilesRequest, dependencies: PullDependencies): Promise<PulledFiles> {
  try {
    return await pull(request, dependencies)
  } catch (error) {
    throw withPlace(error, request.reference)
  }
}

async function pull(request: PullFilesRequest, dependencies: PullDependencies): Promise<PulledFiles> {
  const { store, places, onEvent, signal } = dependencies
  const { folder, overwrite } = request
  onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(request, dependencies)
  const { blobs, repository } = prepared
  await folder.prepare(prepared.files, { overwrite })
  announceBlobs(blobs, onEvent)
  const path = await holding({ blobs, besideBytes: folder.bytesBesideStore }, dependencies, async () => {
    await move(prepared, dependencies)
    const files = prepared.files.map(({ layer, ...file }) => ({ ...file, open: opened(layer, dependencies) }))
    return await unlessDamaged(prepared, dependencies, () => folder.write(files, { overwrite, signal }))
  })
  await createMounts({ repository, places }).learn(blobs)
  // The files are what was asked for: blobs that no stored package shares are not kept beside them.
  await store.gc({ graceMs: 0, only: new Set(blobs.map(({ digest }) => digest)) })
  return { ...outcomeOf(prepared), path }
}

/** What `pullFiles` would do; nothing is written, nor is room kept or made. */
export async function planFiles(
  request: PullFilesRequest,
  dependencies: PullDependencies,
): Promise<Omit<PulledFiles, 'path'> & { plan: TransferPlan }> {
  const dryRun = createDryRun()
  const looking = lookingOnly(dependencies)
  const { store, signal } = looking
  const { folder, overwrite } = request
  looking.onEvent({ type: 'phase', phase: 'planning' })
  const prepared = await prepare(dryRun.tolerating(request), looking)
  const { blobs, repository } = prepared
  const looked = await dryRun.check(() => folder.look(prepared.files, { overwrite }))
  await dryRun.check(() => store.checkRoom(blobs, { besideBytes: looked?.bytesBesideStore ?? 0 }))
  const weighed = await dryRun.weigh(blobs, { sink: store.lookFrom(repository), signal })
  tellDone(dependencies.onEvent)
  const fits = !weighed.problems.some(({ code }) => code === 'STORE_FULL')
  return { ...outcomeOf(prepared), plan: { ...weighed, fits } }
}

async function prepare(request: PullFilesRequest, dependencies: PullDependencies): Promise<PreparedFiles> {
  const { signal, onEvent } = dependencies
  const { verification, bundledVerificationFor } = request
  const { registry, repository: name } = request.reference
  const repository = await dependencies.repository(registry, name)
  const { raw, manifest, where } = await resolvePackage(repository, { ...request, anything: true }, signal)
  const source = packageSource(repository, signal)
  const checks = { verification, bundledVerificationFor, reader: source, where, onEvent, signal }
  await verifyPackages([{ raw, parsed: manifest }], checks)
  const layers = manifest.layers.filter((layer) => !isNothing(layer))
  const untitled = (await chartNames(manifest, { request, where, read: (blob) => source.read(blob) })) ?? byDigest
  const files = [...filePaths(layers, untitled)].map(([path, layer]) => ({ path, size: layer.size, layer }))
  onEvent({ type: 'log', level: 'info', message: `pulling the files of ${where}, ${raw.digest}` })
  const artifactType = manifest.artifactType ?? manifest.config?.mediaType ?? ''
  return { request, repository, source, raw, artifactType, files, blobs: distinct(layers) }
}

/** An artifact without files has this in their place. */
function isNothing(layer: Descriptor): boolean {
  return layer.mediaType === EMPTY_JSON && descriptorTitle(layer) === undefined
}

function byDigest({ digest }: Descriptor): string {
  return digest.replace(':', '-')
}

function opened(layer: Descriptor, { store }: PullDependencies): (options: { signal: AbortSignal }) => ByteStream {
  return async function* read({ signal }) {
    yield* await store.open(layer, { signal })
  }
}

function outcomeOf({ request, raw, artifactType, files, blobs }: PreparedFiles): Omit<PulledFiles, 'path'> {
  return {
    reference: formatReference(named(request.reference)),
    digest: raw.digest,
    artifactType,
    architecture: request.architecture ?? '',
    layers: files.length,
    bytes: totalBytes(blobs),
  }
}
