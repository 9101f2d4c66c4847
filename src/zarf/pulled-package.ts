import { distinct } from '../content/copy-graph.ts'
import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import { type Digest, digestHex } from '../content/digest.ts'
import type { ImageManifest } from '../content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, ZARF_LAYER } from '../content/media-types.ts'
import { AppError } from '../lib/errors.ts'
import { nextTurn } from '../lib/loop/breathe.ts'
import { parseChecksums } from './layout/checksums.ts'
import {
  checkAggregate,
  duplicateFile,
  identityOf,
  isSigned,
  missingFile,
  unlistedFile,
  unlistedRule,
} from './contents/contents.ts'
import type { DefinitionOutline } from './definition/outline.ts'
import { readDefinition } from './definition/read-definition.ts'
import { parseEntryPath } from './layout/entry-path.ts'
import { SIGSTORE_BUNDLE, CHECKSUMS, checkMetadataSize, DEFINITION, LEGACY_SIGNATURE } from './layout/metadata-files.ts'
import type { PackageIdentity } from './contents/types.ts'

/** A package in OCI form: what its manifest says, before any layer was read. */
export interface PackageLayers {
  /** Absent in an artifact manifest alone: zarf v0.25 and v0.26 published these, where a registry took them. */
  readonly config: Descriptor | undefined
  readonly layers: readonly Descriptor[]
  readonly byTitle: ReadonlyMap<string, Descriptor>
}

/** What a package's two metadata layers say. */
export interface PulledMetadata {
  readonly definition: DefinitionOutline
  readonly identity: PackageIdentity
  readonly signed: boolean
}

/** zarf.yaml as JSON, too, the way zarf's config blob has it. */
export interface ReadMetadata extends PulledMetadata {
  readonly definitionJson: Buffer
}

const BUNDLE_DEFINITION = 'uds-bundle.yaml'

/**
 * A package's layers by title. Throws PACKAGE_FORMAT_UNSUPPORTED for a bundle and for what is no package,
 * PACKAGE_UNSAFE_PATH, PACKAGE_INVALID, each naming the title. Source: zarf v0.84 layout/oci.go; OCI image-spec v1.1.1
 * manifest.md.
 */
export function packageLayers(manifest: ImageManifest, where: string): PackageLayers {
  const titles = manifest.layers.map(descriptorTitle)
  if (isBundle(manifest)) throw notForBundles(where)
  const { config } = manifest
  const configless = !config && manifest.mediaType !== OCI_ARTIFACT_MANIFEST
  if (configless || !titles.includes(DEFINITION)) throw noPackage(manifest, where)
  const byTitle = new Map<string, Descriptor>()
  const sizes = new Map<Digest, number>(config ? [[config.digest, config.size]] : [])
  for (const [index, layer] of manifest.layers.entries()) {
    const title = titles[index]
    if (title === undefined) throw invalid(`layer ${index + 1} of ${where} (${layer.digest}) has no title`)
    // A "./" in front is taken off from an archive's entries; as a title it would be another name for the same file.
    if (parseEntryPath(title) !== title) throw invalid(`the title "${title}" in ${where} is not a plain path`)
    if (byTitle.has(title)) throw duplicateFile(title)
    byTitle.set(title, layer)
    const size = sizes.get(layer.digest) ?? layer.size
    if (size !== layer.size) throw invalid(`${where} gives ${title} both ${size} and ${layer.size} bytes`)
    sizes.set(layer.digest, layer.size)
  }
  if (!byTitle.has(CHECKSUMS)) throw withoutChecksums(where)
  return { config, layers: manifest.layers, byTitle }
}

/** Whether this is a UDS bundle's manifest. Source: zarf-packages.md 4.2; uds v0.35 pkg/legacy. */
export function isBundle({ config, layers }: ImageManifest): boolean {
  return config?.mediaType === ZARF_LAYER || layers.some((layer) => descriptorTitle(layer) === BUNDLE_DEFINITION)
}

/** Whether it is one at all: what is not is an image, a bundle, or somebody else's. */
export function isPackage(manifest: ImageManifest): boolean {
  return !isBundle(manifest) && manifest.layers.some((layer) => descriptorTitle(layer) === DEFINITION)
}

/** What a copy of these files needs: their blobs and the config's, each digest once. */
export function withConfig({ config }: PackageLayers, files: Iterable<Descriptor>): Descriptor[] {
  return distinct(config ? [...files, config] : [...files])
}

/** The layers without which nothing of a package can be judged. Throws PACKAGE_TOO_LARGE: they are read whole. */
export function metadataLayers(layers: PackageLayers): { definition: Descriptor; checksums: Descriptor } {
  return { definition: metadataLayer(layers, DEFINITION), checksums: metadataLayer(layers, CHECKSUMS) }
}

/** What a package's signatures lie in; how large each is nobody has checked. zarf-packages.md 1.6. */
export function signatureLayers({ byTitle }: PackageLayers): {
  bundle: Descriptor | undefined
  base64: Descriptor | undefined
} {
  return { bundle: byTitle.get(SIGSTORE_BUNDLE), base64: byTitle.get(LEGACY_SIGNATURE) }
}

/** The config, to be read whole. Throws PACKAGE_TOO_LARGE. */
export function configLayer({ config }: PackageLayers): Descriptor | undefined {
  if (config) checkMetadataSize({ path: 'the config', size: config.size })
  return config
}

/** One small file's layer, to be read whole. Throws PACKAGE_INVALID when absent, PACKAGE_TOO_LARGE. */
export function metadataLayer({ byTitle }: PackageLayers, title: string): Descriptor {
  const layer = byTitle.get(title)
  if (!layer) throw missingFile(title)
  checkMetadataSize({ path: title, size: layer.size })
  return layer
}

/**
 * Checks that zarf.yaml vouches for checksums.txt, and that for exactly the manifest's other layers, digest by digest: so a
 * package whose every layer has its manifest's digest is whole. Throws PACKAGE_INVALID, PACKAGE_CHECKSUM_MISMATCH naming
 * the layer. Source: zarf v0.84 layout/package.go validatePackageIntegrity.
 */
export async function checkMetadata(
  { byTitle }: PackageLayers,
  bytes: { definition: Buffer; checksums: Buffer },
  signal: AbortSignal,
): Promise<PulledMetadata> {
  const { definitionJson: _, ...metadata } = await readMetadata({ byTitle }, bytes.definition, signal)
  checkAggregate(metadata.definition, bytes.checksums)
  await nextTurn()
  const declared = parseChecksums(bytes.checksums)
  for (const [path, digest] of declared) {
    const layer = byTitle.get(path)
    if (!layer) throw missingFile(path)
    if (layer.digest !== digest) throw otherContent(path, digest, layer.digest)
  }
  const mayBeUnlisted = unlistedRule(metadata.definition, byTitle)
  for (const title of byTitle.keys()) {
    if (!declared.has(title) && !mayBeUnlisted(title)) throw unlistedFile(title)
  }
  return metadata
}

/** The same from zarf.yaml alone, for a look at a package that nobody keeps. */
export async function readMetadata(
  { byTitle }: Pick<PackageLayers, 'byTitle'>,
  definitionBytes: Buffer,
  signal: AbortSignal,
): Promise<ReadMetadata> {
  const { outline, config } = await readDefinition(definitionBytes, signal)
  return {
    definition: outline,
    identity: identityOf(outline),
    signed: isSigned(outline, byTitle),
    definitionJson: config,
  }
}

function otherContent(path: string, expected: Digest, found: Digest): AppError {
  return new AppError(
    'PACKAGE_CHECKSUM_MISMATCH',
    `the manifest gives ${path} the digest ${digestHex(found)}; ${CHECKSUMS} says ${digestHex(expected)}`,
    { details: { path, expected, found }, hint: 'The package was put together wrongly: publish it again.' },
  )
}

function notForBundles(where: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${where} is a UDS bundle, not a Zarf package`, {
    hint: 'layerd bundle (GET /v1/bundles?ref=) tells what it is of; it is published, pulled, copied and verified whole. To look into one of its packages, name that in its own repository.',
  })
}

function noPackage(manifest: ImageManifest, where: string): AppError {
  const type = manifest.artifactType ?? manifest.config?.mediaType ?? manifest.mediaType
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${where} is not a Zarf package: it has no ${DEFINITION}`, {
    details: { mediaType: type.slice(0, 200) },
    hint: 'Name the reference that zarf package publish printed.',
  })
}

function withoutChecksums(where: string): AppError {
  return new AppError('PACKAGE_INVALID', `${where} does not hold ${CHECKSUMS}, which every package has`, {
    details: { path: CHECKSUMS },
    hint: 'Packages of zarf v0.25.0 and before have none, and zarf itself no longer reads them: create the package again.',
  })
}

function invalid(message: string): AppError {
  return new AppError('PACKAGE_INVALID', message, { hint: 'The package was put together wrongly: publish it again.' })
}
