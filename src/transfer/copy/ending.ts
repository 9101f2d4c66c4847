import { type ImageManifest, parseManifest, type RawManifest } from '../../content/manifest.ts'
import type { IndexEntry } from '../../oci/manifests/index-manifest.ts'
import { packageTag } from '../../zarf/package-reference.ts'
import { DEFINITION, type PackageIdentity } from '../../zarf/package.ts'
import { isBundle, isPackage, metadataLayer, packageLayers, readMetadata } from '../../zarf/pulled-package.ts'
import type { PackageSource } from '../package-source.ts'
import { architectureOf, checkArchitectures, chooseEntries, isPackageIndex, rawEntries } from './choice.ts'
import type { CopyRequest } from './request.ts'
import { isManifest, type ManifestTree, type ReadManifest } from './tree.ts'

/** What is to lie under the tag at the end. */
export type Ending = {
  /** What is copied: the index, or the manifest. */
  readonly raw: RawManifest
  /** Some of the source's index alone. */
  readonly subset: boolean
  readonly architectures: readonly string[]
  /** What a package says that its version is. */
  readonly version: string | undefined
} & (
  | { readonly kind: 'put' }
  /** Entries by architecture, into the index that is there; `fresh`: the index itself where that has no others. */
  | { readonly kind: 'merge'; readonly entries: readonly IndexEntry[]; readonly fresh: RawManifest | undefined }
)

interface EndingOptions {
  request: CopyRequest
  tree: ManifestTree
  reader: PackageSource
  where: string
  signal: AbortSignal
}

const MAX_BUNDLE_CONFIG_BYTES = 64 * 1024

/**
 * Reads all that is to be copied into the tree, and decides how it ends: indexes of packages are merged by architecture, a
 * package that is named by its digest becomes an entry of one, and everything else is put as it is.
 */
export async function chooseEnding(raw: RawManifest, options: EndingOptions): Promise<Ending> {
  const { request, tree, where } = options
  const index = parseManifest(raw, where)
  if (index.kind === 'manifest') return await ofManifest(await tree.take(raw), options)
  const choice = chooseEntries({ raw, index }, request.architectures, where)
  const manifests: ReadManifest[] = []
  for (const entry of choice.entries.filter(isManifest)) manifests.push(await tree.add(entry))
  const subset = !choice.whole
  const version = request.tag ?? request.source.tag ?? (await versionOf(manifests, options))
  const architectures = [...new Set(choice.entries.map(architectureOf).filter((name) => name !== ''))]
  const common = { raw: choice.raw, subset, architectures, version }
  if (!isPackageIndex(index)) return { kind: 'put', ...common }
  const asWritten = rawEntries(choice.raw)
  const entries = choice.entries.map((descriptor, at) => ({
    descriptor,
    architecture: architectureOf(descriptor),
    raw: asWritten[at],
  }))
  return { kind: 'merge', ...common, entries, fresh: choice.raw }
}

/** Under a tag a manifest stays what it is (packages of zarf before v0.32 lie so). */
async function ofManifest({ raw, parsed }: ReadManifest, options: EndingOptions): Promise<Ending> {
  const found = await describe(parsed as ImageManifest, options)
  const { request, where } = options
  checkArchitectures(found?.architecture, request.architectures, where)
  const architectures = found ? [found.architecture] : []
  const common = { raw, subset: false, architectures, version: found?.version }
  if (!found || request.source.digest === undefined) return { kind: 'put', ...common }
  const { architecture } = found
  const descriptor = { mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length }
  return { kind: 'merge', ...common, entries: [{ descriptor, architecture }], fresh: undefined }
}

async function versionOf(manifests: readonly ReadManifest[], options: EndingOptions): Promise<string | undefined> {
  for (const { parsed } of manifests) {
    const found = parsed.kind === 'manifest' ? await describe(parsed, options) : undefined
    if (found) return found.version
  }
  return undefined
}

/** What a package or a bundle says of itself; undefined for what is neither. */
async function describe(
  manifest: ImageManifest,
  { reader, where, signal }: EndingOptions,
): Promise<{ architecture: string; version: string | undefined } | undefined> {
  if (isBundle(manifest)) {
    const architecture = await bundleArchitecture(manifest, reader)
    return architecture === undefined ? undefined : { architecture, version: undefined }
  }
  if (!isPackage(manifest)) return undefined
  const layers = packageLayers(manifest, where)
  const { identity } = await readMetadata(layers, await reader.read(metadataLayer(layers, DEFINITION)), signal)
  return { architecture: identity.architecture, version: versionTag(identity) }
}

async function bundleArchitecture({ config }: ImageManifest, reader: PackageSource): Promise<string | undefined> {
  if (!config || config.size > MAX_BUNDLE_CONFIG_BYTES) return undefined
  return architectureIn((await reader.read(config)).toString('utf8'))
}

function architectureIn(text: string): string | undefined {
  try {
    const { architecture } = JSON.parse(text) as { architecture?: unknown }
    return typeof architecture === 'string' && architecture !== '' ? architecture : undefined
  } catch {
    return undefined
  }
}

function versionTag(identity: PackageIdentity): string | undefined {
  try {
    return packageTag(identity)
  } catch {
    return undefined
  }
}
