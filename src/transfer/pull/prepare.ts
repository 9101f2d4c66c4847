import type { Descriptor } from '../../content/descriptor.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import type { ComputedArchive } from '../../zarf/computed-archive.ts'
import { type PackageLayers, packageLayers, type PulledMetadata, withConfig } from '../../zarf/pulled-package.ts'
import { chooseFiles } from '../../zarf/select.ts'
import { type PackageSource, packageSource } from '../package-source.ts'
import { announceBlobs } from '../plan.ts'
import { checkArchitecture, type ResolvedPackage, resolvePackage } from '../resolve.ts'
import { checkPackage, type PackageSignature } from '../signatures.ts'
import { packageArchive, titled } from '../stored-package.ts'
import type { PullDependencies, PullRequest } from './request.ts'

/** What is pulled, once it is known. */
export interface PreparedPull {
  readonly request: PullRequest
  readonly repository: Repository
  readonly source: PackageSource
  readonly resolved: ResolvedPackage
  readonly metadata: PulledMetadata
  readonly signatures: readonly PackageSignature[]
  readonly layers: PackageLayers
  /** By title. */
  readonly files: ReadonlyMap<string, Descriptor>
  readonly components: readonly string[]
  readonly images: readonly string[]
  /** Layers and config, each digest once. */
  readonly blobs: readonly Descriptor[]
  /** The package as a file. */
  readonly archive: ComputedArchive
}

/** Everything that can be known to fail without moving a layer fails here; then the plan is told. */
export async function prepare(request: PullRequest, dependencies: PullDependencies): Promise<PreparedPull> {
  const prepared = await makePlan(request, dependencies)
  const { archive, blobs } = prepared
  await nextTurn()
  const { target, overwrite } = request
  await target?.prepare({ name: archive.fileName, size: archive.size, overwrite })
  announceBlobs(blobs, dependencies.onEvent)
  return prepared
}

/** What is to be pulled, before anything was done for it. */
export async function makePlan(request: PullRequest, dependencies: PullDependencies): Promise<PreparedPull> {
  const { store, signal, onEvent } = dependencies
  const { registry, repository: name } = request.reference
  const repository = await dependencies.repository(registry, name)
  const resolved = await resolvePackage(repository, request, signal)
  const layers = packageLayers(resolved.manifest, resolved.where)
  const source = packageSource(repository, signal)
  const { verification } = request
  const read = (layer: Descriptor) => source.read(layer)
  const { metadata, signatures } = await checkPackage(layers, { read, verification, where: resolved.where, signal })
  if (resolved.indexDigest === undefined) checkArchitecture(metadata.identity.architecture, request)
  onEvent({ type: 'log', level: 'info', message: `pulling ${resolved.where}, ${resolved.raw.digest}` })
  const selection = await select(request, { metadata, layers, source })
  await nextTurn()
  const blobs = withConfig(layers, selection.files.values())
  const archive = packageArchive(store, {
    digest: resolved.raw.digest,
    definition: metadata.definition,
    files: selection.files,
    whole: selection.files.size === layers.byTitle.size,
  })
  return { request, repository, source, resolved, metadata, signatures, layers, ...selection, blobs, archive }
}

async function select(
  request: PullRequest,
  { metadata, layers, source }: Pick<PreparedPull, 'metadata' | 'layers' | 'source'>,
): Promise<Pick<PreparedPull, 'files' | 'components' | 'images'>> {
  const { byTitle } = layers
  const read = (layer: Descriptor) => source.read(layer)
  const { layers: chosen, ...names } = await chooseFiles(metadata.definition, request, { byTitle, read })
  return { files: titled(byTitle, chosen), ...names }
}
