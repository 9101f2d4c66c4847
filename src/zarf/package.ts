import { closeSource, type OpenedSource } from '../content/opened.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { AppError } from '../lib/errors.ts'
import { openDirectory } from './sources/directory.ts'
import { openStreamedPackage } from './sources/streamed-package.ts'
import { openTarPackage } from './sources/tar-package.ts'
import type { OpenedPackage, PackageMemory } from './contents/types.ts'

export { checksumMismatch } from './layout/checksums.ts'
export { SIGSTORE_BUNDLE, DEFINITION, LEGACY_SIGNATURE } from './layout/metadata-files.ts'
export { buildArtifactManifest, buildRelatedManifest, type ManifestRelations } from './contents/manifest.ts'
export { type MadeFiles, madeFiles, REPLACED, signedContents } from './contents/signed-contents.ts'
export { type SignedDefinition, signedDefinition } from './definition/read-definition.ts'
export { openSigned, type SignFiles } from './sources/signed-package.ts'
export { findSourceFault } from './sources/first-fault.ts'
export { guessFromFileName, packageFileName } from './contents/file-name.ts'
export type { ComponentOutline } from './definition/outline.ts'
export type {
  DefinitionOutline,
  IndexedPackage,
  OpenedPackage,
  PackageContents,
  PackageEntry,
  PackageFile,
  PackageFormat,
  PackageIdentity,
  PackageMemory,
  PackagePass,
  StreamedPackage,
} from './contents/types.ts'

interface OpenPackageOptions {
  memory?: PackageMemory
  maxWindowBytes?: number
}

/**
 * Opens a package for reading: a `.tar.zst`, a `.tar`, or an unpacked directory; the extension alone decides, as for zarf.
 * Of a `.tar` and a directory the whole structure is checked; a `.tar.zst` is checked as it is read. The source belongs to
 * the package from here on and is closed with it, also when this throws. `memory`: where what is learnt of it is kept for others;
 * `maxWindowBytes`: how much of a window its compression may ask for, default 128 MiB.
 * Throws PACKAGE_UNREADABLE, PACKAGE_FORMAT_UNSUPPORTED, PACKAGE_INVALID, PACKAGE_UNSAFE_PATH, PACKAGE_TRUNCATED,
 * PACKAGE_CHANGED, PACKAGE_TOO_LARGE, PACKAGE_CHECKSUM_MISMATCH.
 */
export async function openPackage(
  source: OpenedSource,
  { signal, ...options }: OpenPackageOptions & { signal: AbortSignal },
): Promise<OpenedPackage> {
  try {
    throwIfAborted(signal)
    return await openByName(source, signal, options)
  } catch (error) {
    await closeSource(source)
    throw error
  }
}

async function openByName(
  source: OpenedSource,
  signal: AbortSignal,
  options: OpenPackageOptions,
): Promise<OpenedPackage> {
  const { fileName } = source
  if ('folder' in source) return openDirectory(source.folder, fileName, signal)
  const { sequential = false } = source
  if (fileName.endsWith('.tar.zst'))
    return openStreamedPackage(source.file, fileName, { ...options, ...(sequential ? { maxReaders: 1 } : {}) })
  if (fileName.endsWith('.tar') && sequential)
    return openStreamedPackage(source.file, fileName, { ...options, maxReaders: 1 })
  if (fileName.endsWith('.tar')) return openTarPackage(source.file, fileName, signal)
  throw unsupported(fileName, /\.part[0-9]{3}$/.test(fileName) ? 'is one part of a split package' : undefined)
}

function unsupported(fileName: string, why = 'does not end in .tar.zst or .tar'): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} ${why}`, {
    hint: 'A package is a .tar.zst, a .tar, or the folder that one of these was unpacked to; of a split one name part000.',
    details: { path: fileName },
  })
}
