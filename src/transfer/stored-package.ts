import { type Descriptor, titleOrDigest } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { ByteStream } from '../content/endpoints.ts'
import { type ImageManifest, parseManifest, type RawManifest, rawManifest } from '../content/manifest.ts'
import { AppError } from '../lib/errors.ts'
import type { ContentStore, StoredPackage } from '../store/content-store.ts'
import { type ComputedArchive, computeArchive } from '../zarf/computed-archive.ts'
import { packageFileName } from '../zarf/package.ts'
import {
  metadataLayer,
  metadataLayers,
  type PackageLayers,
  packageLayers,
  type PulledMetadata,
  type ReadMetadata,
  readMetadata,
} from '../zarf/pulled-package.ts'
import { chooseFiles, componentImages, isPartial, type PackageChoice } from '../zarf/select.ts'

export type { PackageChoice } from '../zarf/select.ts'

/** A package in the content store, as files and as an archive. */
export interface OpenedStoredPackage extends ReadMetadata {
  readonly record: StoredPackage
  readonly layers: PackageLayers
  readonly images: readonly string[]
  /** A small file's bytes, such as zarf.yaml or checksums.txt. Throws PACKAGE_INVALID when the package has no such file. */
  file(title: string): Promise<Buffer>
  /**
   * The archive, of a part of it where one is chosen (as by a pull). Each stream holds a lease. Throws PACKAGE_INCOMPLETE
   * with the files that are not stored, COMPONENTS_INVALID, IMAGES_INVALID.
   */
  archive(choice?: PackageChoice): Promise<ComputedArchive>
}

/** A stored package's record, and its manifest as it was pulled. */
export interface StoredManifest {
  readonly record: StoredPackage
  readonly raw: RawManifest
  readonly layers: PackageLayers
}

/** Throws PACKAGE_NOT_STORED, STORE_CORRUPT. */
export async function readStoredManifest(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<StoredManifest> {
  const { manifest, ...stored } = await readStoredRoot(store, digest, signal)
  return { ...stored, layers: packageLayers(manifest, `${digest} in the store`) }
}

/** Of a package, or of a bundle. Throws PACKAGE_NOT_STORED, STORE_CORRUPT. */
export async function readStoredRoot(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<Pick<StoredManifest, 'record' | 'raw'> & { readonly manifest: ImageManifest }> {
  const record = await store.packages.get(digest)
  if (!record) {
    throw new AppError('PACKAGE_NOT_STORED', `the store does not hold the package ${digest}`, {
      details: { digest },
      hint: 'GET /v1/packages (layerd packages) lists what it holds; a pull job brings more.',
    })
  }
  const { manifestMediaType: mediaType, manifestSize: size } = record
  const raw = rawManifest(mediaType, await store.read({ mediaType, digest, size }, { signal }))
  const manifest = parseManifest(raw, `${digest} in the store`)
  if (manifest.kind !== 'manifest') throw new AppError('STORE_CORRUPT', `${digest} in the store is not a package`)
  return { record, raw, manifest }
}

/** Throws PACKAGE_NOT_STORED, STORE_CORRUPT. */
export async function openStoredPackage(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<OpenedStoredPackage> {
  const { record, layers } = await readStoredManifest(store, digest, signal)
  const read = (layer: Descriptor) => store.read(layer, { signal })
  const metadata = await readMetadata(layers, await read(metadataLayers(layers).definition), signal)
  return {
    ...metadata,
    record,
    layers,
    images: componentImages(metadata.definition.components ?? []),
    file: async (title) => read(metadataLayer(layers, title)),
    archive: (choice = {}) => storedArchive(store, { record, layers, metadata, signal }, choice),
  }
}

interface Stored {
  record: StoredPackage
  layers: PackageLayers
  metadata: PulledMetadata
  signal: AbortSignal
}

async function storedArchive(
  store: ContentStore,
  { record, layers, metadata, signal }: Stored,
  choice: PackageChoice,
): Promise<ComputedArchive> {
  const { definition } = metadata
  const { byTitle } = layers
  const read = async (layer: Descriptor) => {
    await requireStored(store, record, titled(byTitle, [layer]))
    return store.read(layer, { signal })
  }
  const files = isPartial(choice)
    ? titled(byTitle, (await chooseFiles(definition, choice, { byTitle, read })).layers)
    : byTitle
  await requireStored(store, record, files)
  const archive = packageArchive(store, {
    digest: record.digest,
    definition,
    files,
    whole: files.size === byTitle.size,
  })
  return { ...archive, open: (range) => leased(store, [...files.values()], archive.open(range)) }
}

/** Nothing of what is being served is collected, whoever deletes the package meanwhile. */
export async function* leased(store: ContentStore, blobs: readonly Descriptor[], stream: ByteStream): ByteStream {
  await using _lease = await store.lease(blobs)
  yield* stream
}

/** The archive of files that are stored. */
export function packageArchive(
  store: ContentStore,
  options: Pick<PulledMetadata, 'definition'> & {
    digest: Digest
    files: ReadonlyMap<string, Descriptor>
    whole: boolean
  },
): ComputedArchive {
  const { definition, ...rest } = options
  return computeArchive({ ...rest, fileName: packageFileName(definition), source: store })
}

export function titled(
  byTitle: ReadonlyMap<string, Descriptor>,
  chosen: readonly Descriptor[],
): ReadonlyMap<string, Descriptor> {
  const wanted = new Set(chosen)
  return new Map([...byTitle].filter(([, layer]) => wanted.has(layer)))
}

/** For requireStored, of some of a package's blobs. */
export function blobsByTitle(blobs: readonly Descriptor[]): ReadonlyMap<string, Descriptor> {
  return new Map(blobs.map((blob) => [titleOrDigest(blob), blob]))
}

/** Throws PACKAGE_INCOMPLETE with the files that are not stored. */
export async function requireWhole(store: ContentStore, { record, layers }: OpenedStoredPackage): Promise<void> {
  await requireStored(store, record, layers.byTitle)
}

/** What others have brought is not this package's. Throws PACKAGE_INCOMPLETE with the titles of what is missing. */
export async function requireStored(
  store: ContentStore,
  { lacks }: StoredPackage,
  files: ReadonlyMap<string, Descriptor>,
): Promise<void> {
  const others = new Set<string>(lacks)
  const absent = new Set(await store.missing([...files.values()]))
  const missing = [...files]
    .filter(([, layer]) => absent.has(layer) || others.has(layer.digest))
    .map(([title]) => title)
  if (missing.length === 0) return
  throw new AppError(
    'PACKAGE_INCOMPLETE',
    `${missing.length} of the ${files.size} files are not stored for this package`,
    {
      details: { missing },
      hint: 'Pull the whole package, or ask for the components and images that were pulled.',
    },
  )
}
