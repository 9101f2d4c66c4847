import type { Descriptor } from '../content/descriptor.ts'
import { digestOf, type Digest } from '../content/digest.ts'
import { OCI_ARTIFACT_MANIFEST, ZARF_CONFIG } from '../content/media-types.ts'
import { bufferOpener } from '../content/streams.ts'
import type { ContentStore } from '../store/content-store.ts'
import { type IndexedPackage, packageFileName } from '../zarf/package.ts'
import { checkMetadata, configLayer, metadataLayers, readMetadata, withConfig } from '../zarf/pulled-package.ts'
import { totalBytes } from './plan.ts'
import { readStoredManifest, requireStored, type StoredManifest } from './stored-package.ts'

/**
 * A stored package as what a publish takes: its manifest is the one that was pulled, byte for byte, and its blobs are read where
 * they lie. Nothing of it is collected until it is disposed. Throws PACKAGE_NOT_STORED, PACKAGE_INCOMPLETE with the files that this
 * package's own pulls did not bring, STORE_CORRUPT, PACKAGE_* for one that is wrong.
 */
export async function openStoredForPublish(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<IndexedPackage> {
  const stored = await readStoredManifest(store, digest, signal)
  const { raw, record, layers } = stored
  const blobs = withConfig(layers, layers.layers)
  const manifest = { mediaType: raw.mediaType, digest, size: raw.bytes.length }
  const lease = await store.lease([...blobs, manifest])
  try {
    await requireStored(store, record, byName(stored))
    const contents = await contentsOf(store, stored, signal)
    return {
      kind: 'indexed',
      format: 'stored',
      fileName: packageFileName(contents.definition),
      sourceBytes: totalBytes(blobs),
      contents,
      open: (blob, options) =>
        blob.digest === contents.config.descriptor.digest
          ? bufferOpener(contents.config.bytes)(options)
          : store.open(blob, options),
      [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
    }
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** Which of the two kinds of manifest it was pulled as. */
export function storedKind({ contents }: IndexedPackage): 'image' | 'artifact' {
  return contents.manifest.mediaType === OCI_ARTIFACT_MANIFEST ? 'artifact' : 'image'
}

function byName({ layers: { byTitle, config } }: StoredManifest): ReadonlyMap<string, Descriptor> {
  return config ? new Map([...byTitle, ['the config', config]]) : byTitle
}

async function contentsOf(
  store: ContentStore,
  { raw, layers }: StoredManifest,
  signal: AbortSignal,
): Promise<IndexedPackage['contents']> {
  const metadata = metadataLayers(layers)
  const [definition, checksums] = await Promise.all([
    store.read(metadata.definition, { signal }),
    store.read(metadata.checksums, { signal }),
  ])
  const checked = await checkMetadata(layers, { definition, checksums }, signal)
  return {
    ...checked,
    files: [...layers.byTitle].map(([path, { digest, size }]) => ({ path, digest, size })),
    manifest: raw,
    config: await configOf(store, { layers, definition }, signal),
    layers: layers.layers,
  }
}

/** An artifact manifest has none: should an image manifest be asked for, it is the one that zarf makes. */
async function configOf(
  store: ContentStore,
  { layers, definition }: Pick<StoredManifest, 'layers'> & { definition: Buffer },
  signal: AbortSignal,
): Promise<IndexedPackage['contents']['config']> {
  const descriptor = configLayer(layers)
  if (descriptor) return { descriptor, bytes: await store.read(descriptor, { signal }) }
  const { definitionJson: bytes } = await readMetadata(layers, definition, signal)
  return { descriptor: { mediaType: ZARF_CONFIG, digest: digestOf(bytes), size: bytes.length }, bytes }
}
