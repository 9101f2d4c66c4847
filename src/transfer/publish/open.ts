import { closeSource, type OpenedSource } from '../../content/opened.ts'
import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { type IndexedBundle, type OpenedBundle, openBundle } from '../../uds/bundle-archive.ts'
import { isBundleArchive } from '../../uds/layout/bundle-files.ts'
import { isStoredBundle, openStoredBundleForPublish } from '../bundle/stored.ts'
import { openStoredForPublish, storedKind as packageKind } from '../stored-publish.ts'
import { type IndexedPackage, type OpenedPackage, openPackage, type PackageMemory } from '../../zarf/package.ts'

export interface OpenOptions {
  signal: AbortSignal
  memory?: PackageMemory
  maxWindowBytes?: number
}

/**
 * Opens a package, or a bundle where the name is one of a bundle's archive, as for uds. Throws what openPackage and openBundle
 * throw.
 */
export async function openArchive(source: OpenedSource, options: OpenOptions): Promise<OpenedPackage | OpenedBundle> {
  if (!isBundleArchive(source.fileName)) return await openPackage(source, options)
  const { memory: _, ...rest } = options
  return await openBundle(source, rest)
}

/** The same where it has to be a bundle. Throws PACKAGE_FORMAT_UNSUPPORTED for what has another name. */
export async function openBundleArchive(
  source: OpenedSource,
  options: Omit<OpenOptions, 'memory'>,
): Promise<OpenedBundle> {
  const { fileName } = source
  if (isBundleArchive(fileName)) return await openBundle(source, options)
  await closeSource(source)
  throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} has no name of a bundle`, {
    hint: 'uds calls a bundle uds-bundle-NAME-ARCHITECTURE-VERSION.tar.zst, and knows it by that name alone. layerd inspect looks at a Zarf package.',
    details: { path: fileName },
  })
}

/**
 * A stored package or bundle, as what a publish takes. Throws PACKAGE_NOT_STORED, PACKAGE_INCOMPLETE, STORE_CORRUPT,
 * PACKAGE_* for one that is wrong.
 */
export async function openStored(
  store: ContentStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<IndexedPackage | IndexedBundle> {
  if (await isStoredBundle(store, digest)) return await openStoredBundleForPublish(store, digest, signal)
  return await openStoredForPublish(store, digest, signal)
}

/** Which of the two kinds of manifest it was pulled as. */
export function storedKind(opened: IndexedPackage | IndexedBundle): 'image' | 'artifact' {
  return opened.kind === 'indexed-bundle' ? 'image' : packageKind(opened)
}
