import { blobName, type Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore, StoredPackage } from '../../store/content-store.ts'
import type { IndexedBundle } from '../../uds/bundle-archive.ts'
import { computeBundle } from '../../uds/computed-bundle.ts'
import { type Bundle, readBundle } from '../../uds/contents/bundle.ts'
import type { ComputedArchive } from '../../zarf/computed-archive.ts'
import { isPartial } from '../../zarf/select.ts'
import { totalBytes } from '../plan.ts'
import { leased, openStoredPackage, type PackageChoice, readStoredRoot, requireStored } from '../stored-package.ts'

/** A bundle in the content store. */
export interface OpenedStoredBundle {
  readonly record: StoredPackage
  readonly bundle: Bundle
  /** What it has, each once: all that its packages' manifests name, but what it leaves out. */
  readonly blobs: readonly Descriptor[]
  /** Each stream holds a lease. Throws PACKAGE_INCOMPLETE. */
  archive(): Promise<ComputedArchive>
  /** Throws PACKAGE_INCOMPLETE with what is not stored. */
  requireWhole(): Promise<void>
}

/** Throws PACKAGE_NOT_STORED, STORE_CORRUPT, PACKAGE_* for one that is wrong. */
export async function openStoredBundle(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<OpenedStoredBundle> {
  const { record, raw } = await readStoredRoot(store, digest, signal)
  const read = (blob: Descriptor) => store.read(blob, { signal })
  const bundle = await readBundle(raw, { read, where: `${digest} in the store`, signal })
  const without = new Set<string>(record.without)
  const blobs = bundle.blobs.filter((blob) => !without.has(blob.digest))
  const requireWhole = () => requireStored(store, record, new Map(blobs.map((blob) => [blobName(blob), blob])))
  return {
    record,
    bundle,
    blobs,
    requireWhole,
    async archive() {
      await requireWhole()
      const there = new Set(blobs.map((blob) => blob.digest))
      const archive = computeBundle(bundle, { there, source: store })
      return { ...archive, open: (range) => leased(store, blobs, archive.open(range)) }
    },
  }
}

/** As openStoredForPublish, of a bundle. Throws PACKAGE_INCOMPLETE. */
export async function openStoredBundleForPublish(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<IndexedBundle> {
  const stored = await openStoredBundle(store, digest, signal)
  const { bundle, blobs } = stored
  const manifest = { mediaType: bundle.raw.mediaType, digest, size: bundle.raw.bytes.length }
  const lease = await store.lease([...blobs, manifest])
  try {
    await stored.requireWhole()
    const there = new Set(blobs.map((blob) => blob.digest))
    return {
      kind: 'indexed-bundle',
      fileName: `${digest} in the store`,
      sourceBytes: totalBytes(blobs),
      bundle,
      has: (blob) => there.has(blob),
      open: (blob, options) => store.open(blob, options),
      readBlob: (blob) => store.read(blob, { signal }),
      [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
    }
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** The archive of whichever it is; a choice of a package alone. Throws as openStoredPackage's, COMPONENTS_INVALID. */
export async function openStoredArchive(
  store: ContentStore,
  digest: Digest,
  { choice, signal }: { choice: PackageChoice; signal: AbortSignal },
): Promise<ComputedArchive> {
  if (!(await isStoredBundle(store, digest))) {
    return await (await openStoredPackage(store, digest, signal)).archive(choice)
  }
  refuseChoice(choice, `${digest} in the store`)
  return await (await openStoredBundle(store, digest, signal)).archive()
}

export async function isStoredBundle(store: ContentStore, digest: Digest): Promise<boolean> {
  return (await store.packages.get(digest))?.kind === 'bundle'
}

/** A bundle is pulled and served whole: throws COMPONENTS_INVALID where a part is asked for. */
export function refuseChoice(choice: PackageChoice, where: string): void {
  if (!isPartial(choice)) return
  throw new AppError('COMPONENTS_INVALID', `${where} is a UDS bundle, which is taken whole`, {
    hint: 'Leave "components", "images" and "metadataOnly" out; which components of its packages it has was chosen when it was made.',
  })
}
