import { type Descriptor, descriptorTitle, TITLE_ANNOTATION } from '../../content/descriptor.ts'
import { type Digest, isDigest } from '../../content/digest.ts'
import { type ImageManifest, parseManifest, type RawManifest, rawManifest } from '../../content/manifest.ts'
import { OCI_MANIFEST } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { createBreathing, nextTurn } from '../../lib/loop/breathe.ts'
import { type PackageLayers, packageLayers } from '../../zarf/pulled-package.ts'
import type { PackageIdentity } from '../../zarf/package.ts'
import { type BundleLayers, bundleLayers } from './bundle-manifest.ts'
import type { BundleOutline, BundlePackageOutline } from '../definition/bundle-outline.ts'
import { readBundleDefinition } from '../definition/read-bundle-definition.ts'
import { BUNDLE_DEFINITION } from '../layout/bundle-files.ts'

export type {
  BundleOutline,
  BundlePackageOutline,
  ChartOverrides,
  JsonValue,
} from '../definition/bundle-outline.ts'
export {
  BUNDLE_DEFINITION,
  BUNDLE_SIGNATURE,
  bundleFileName,
  isBundleArchive,
} from '../layout/bundle-files.ts'

/** One package of a bundle. */
export interface BundlePackage {
  readonly outline: BundlePackageOutline
  /** Its manifest, a blob of the bundle's repository. */
  readonly manifest: Descriptor
  /** What that names, of which the bundle may leave out components (left-out.ts). */
  readonly layers: PackageLayers
}

/** A UDS bundle, once its small files were read. */
export interface Bundle {
  readonly identity: PackageIdentity
  readonly outline: BundleOutline
  /** uds-bundle.yaml as it is. */
  readonly definition: Buffer
  readonly raw: RawManifest
  readonly layers: BundleLayers
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer }
  readonly packages: readonly BundlePackage[]
  /**
   * Every blob that it or its packages' manifests name, once each, titled `package/path`. Which of them there are is another
   * question.
   */
  readonly blobs: readonly Descriptor[]
}

/** Reads one blob whole; how large it may be was checked. */
export type ReadBlob = (blob: Descriptor) => Promise<Buffer>

/** Layers of all packages together. Real bundles have some thousand; a manifest of 4 MiB names at most 20,000. */
const MAX_BLOBS = 50_000

/**
 * Reads what a bundle is: uds-bundle.yaml and the manifests of its packages. `where` names it in errors. Throws PACKAGE_INVALID
 * naming the package, PACKAGE_*, MANIFEST_*. Source: zarf-packages.md 4.
 */
export async function readBundle(
  raw: RawManifest,
  { read, where, signal }: { read: ReadBlob; where: string; signal: AbortSignal },
): Promise<Bundle> {
  const manifest = parseManifest(raw, where)
  if (manifest.kind === 'index') throw invalid(`${where} is an index, where a bundle's manifest is expected`)
  const layers = bundleLayers(manifest, where)
  const definition = await read(layers.definition)
  const outline = await readBundleDefinition(definition, signal)
  const packages: BundlePackage[] = []
  const known = new Map<Digest, PackageLayers>()
  let named = layers.layers.length
  for (const each of outline.packages) {
    const found = await readPackage(each, { layers, read, where, known })
    packages.push(found)
    named += found.layers.layers.length
    if (named > MAX_BLOBS) throw tooMany(where)
    await nextTurn()
  }
  const config = { descriptor: layers.config, bytes: await read(layers.config) }
  return {
    identity: identityOf(outline),
    outline,
    definition,
    raw,
    layers,
    config,
    packages,
    blobs: await allBlobs(manifest, { layers, packages }, where),
  }
}

/** Whose bundle it is, from its uds-bundle.yaml alone. Throws as readBundle. */
export async function readBundleIdentity(
  manifest: ImageManifest,
  { read, where, signal }: { read: ReadBlob; where: string; signal: AbortSignal },
): Promise<PackageIdentity> {
  return identityOf(await readBundleDefinition(await read(bundleLayers(manifest, where).definition), signal))
}

function identityOf({ name, version, architecture }: BundleOutline): PackageIdentity {
  return { name, version: version ?? undefined, flavor: undefined, architecture }
}

interface ReadPackageOptions {
  layers: BundleLayers
  read: ReadBlob
  where: string
  /** A manifest that several packages are pinned to is read and held once, as its size counts once. */
  known: Map<Digest, PackageLayers>
}

async function readPackage(
  outline: BundlePackageOutline,
  { layers, read, where, known }: ReadPackageOptions,
): Promise<BundlePackage> {
  const digest = pinnedDigest(outline)
  const manifest = layers.packages.find((layer) => layer.digest === digest)
  const name = `the package ${outline.name.slice(0, 100)} of ${where}`
  if (!manifest)
    throw invalid(`${BUNDLE_DEFINITION} pins ${name} to ${digest}, which the bundle's manifest does not name`)
  const found = known.get(digest) ?? packageLayers(parsePackage(await read(manifest), name), name)
  known.set(digest, found)
  return { outline, manifest, layers: found }
}

/** Of `tag@sha256:...`, as uds writes it when it makes a bundle. */
function pinnedDigest({ name, ref }: Pick<BundlePackageOutline, 'name' | 'ref'>): Digest {
  const digest = ref.slice(ref.indexOf('@') + 1)
  if (isDigest(digest)) return digest
  throw invalid(
    `${BUNDLE_DEFINITION} does not say by digest which package ${name.slice(0, 100)} is ("${ref.slice(0, 160)}")`,
  )
}

function parsePackage(bytes: Buffer, name: string): ImageManifest {
  const parsed = parseManifest(rawManifest(OCI_MANIFEST, bytes), `the manifest of ${name}`)
  if (parsed.kind === 'manifest') return parsed
  throw invalid(`the manifest of ${name} is an index`)
}

/** Others chose how many there are. */
async function allBlobs(
  manifest: ImageManifest,
  { layers, packages }: Pick<Bundle, 'layers' | 'packages'>,
  where: string,
): Promise<readonly Descriptor[]> {
  const blobs = new Map<Digest, Descriptor>()
  const add = ({ annotations, ...blob }: Descriptor, title: string): void => {
    const { digest, size } = blob
    const known = blobs.get(digest)
    if (!known) blobs.set(digest, { ...blob, annotations: { ...annotations, [TITLE_ANNOTATION]: title } })
    else if (known.size !== size) throw invalid(`${where} gives ${digest} both ${known.size} and ${size} bytes`)
  }
  const breathe = createBreathing()
  const names = new Map(packages.map(({ outline, manifest: { digest } }) => [digest, `${outline.name}/manifest.json`]))
  add(layers.config, 'config')
  for (const layer of manifest.layers) {
    await breathe()
    add(layer, descriptorTitle(layer) ?? names.get(layer.digest) ?? 'layer')
  }
  for (const { outline, layers: inner } of packages) {
    if (inner.config) add(inner.config, `${outline.name}/config`)
    for (const [title, layer] of inner.byTitle) {
      await breathe()
      add(layer, `${outline.name}/${title}`)
    }
  }
  return [...blobs.values()]
}

function tooMany(where: string): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `${where} names more than ${MAX_BLOBS} layers`, {
    details: { limit: MAX_BLOBS },
  })
}

function invalid(message: string): AppError {
  return new AppError('PACKAGE_INVALID', message, {
    hint: 'The bundle was put together wrongly: make it again with uds create.',
  })
}
