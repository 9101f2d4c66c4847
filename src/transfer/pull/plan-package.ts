import { distinct } from '../../content/copy-graph.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { type PackageLayers, packageLayers, type PulledMetadata, withConfig } from '../../zarf/pulled-package.ts'
import { chooseFiles } from '../../zarf/select.ts'
import { totalBytes } from '../plan.ts'
import { checkArchitecture } from '../resolve.ts'
import { checkPackage } from '../signatures.ts'
import { packageArchive, titled } from '../stored-package.ts'
import type { FoundPull, PullPlan } from './prepare.ts'
import type { PullDependencies } from './request.ts'

/** Of a package: all of it, or what is asked for of it. */
export async function planPackage(
  { request, resolved, source }: FoundPull,
  { store, signal, onEvent }: PullDependencies,
): Promise<PullPlan> {
  const layers = packageLayers(resolved.manifest, resolved.where)
  const { verification } = request
  const read = (layer: Descriptor) => source.read(layer)
  const { metadata, signatures } = await checkPackage(layers, { read, verification, where: resolved.where, signal })
  const { name, version = null, flavor = null, architecture } = metadata.identity
  if (resolved.indexDigest === undefined) checkArchitecture(architecture, request)
  onEvent({ type: 'package', identity: metadata.identity })
  onEvent({ type: 'log', level: 'info', message: `pulling ${resolved.where}, ${resolved.raw.digest}` })
  const { files, components, images } = await select(request, { metadata, layers, read })
  await nextTurn()
  const blobs = withConfig(layers, files.values())
  const archive = packageArchive(store, {
    digest: resolved.raw.digest,
    definition: metadata.definition,
    files,
    whole: files.size === layers.byTitle.size,
  })
  return {
    signatures,
    blobs,
    archive,
    record: {
      size: totalBytes(withConfig(layers, layers.layers)),
      layers: layers.layers.length,
      signed: metadata.signed,
      components: [...components],
      images: [...images],
      leftOut: leftOut(layers, blobs),
    },
    identity: { name, version, flavor, architecture },
    told: { layers: files.size },
  }
}

interface Selected {
  /** By title. */
  readonly files: ReadonlyMap<string, Descriptor>
  readonly components: readonly string[]
  readonly images: readonly string[]
}

async function select(
  request: FoundPull['request'],
  {
    metadata,
    layers,
    read,
  }: { metadata: PulledMetadata; layers: PackageLayers; read: (layer: Descriptor) => Promise<Buffer> },
): Promise<Selected> {
  const { byTitle } = layers
  const { layers: chosen, ...names } = await chooseFiles(metadata.definition, request, { byTitle, read })
  return { files: titled(byTitle, chosen), ...names }
}

/** What the manifest names beside the selection. */
function leftOut(layers: PackageLayers, blobs: readonly Descriptor[]): Digest[] {
  const brought = new Set(blobs.map(({ digest }) => digest))
  return distinct(layers.layers).flatMap(({ digest }) => (brought.has(digest) ? [] : [digest]))
}
