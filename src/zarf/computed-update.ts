import type { RawManifest } from '../content/manifest.ts'
import { AppError } from '../lib/errors.ts'
import { type ArchiveSource, type ComputedArchive, computeTar } from './computed-archive.ts'
import { parseEntryPath } from './layout/entry-path.ts'
import { UPDATE_LIST } from './layout/metadata-files.ts'
import { updateBlobPath } from './update-parts.ts'
import { encodeUpdateList, type UpdatedPackage, type UpdateList } from './update/update-list.ts'

export type { UpdatedPackage, UpdateList } from './update/update-list.ts'

/** Of the bytes' arrangement; as in computed-archive.ts. */
const LAYOUT_VERSION = 1

export interface ComputedUpdateOptions {
  list: UpdateList
  /** Of the package that it makes. */
  manifest: RawManifest
  /** The base's flavor, for the file's name. */
  baseFlavor: string | null
  source: ArchiveSource
}

/**
 * An update as an archive: its list, the manifest, what vouches for the package, then the blobs that the base lacks, in a tar within
 * one zstd frame of raw blocks. The same two packages always give the same bytes. Source: docs/adr/0031.
 */
export function computeUpdate({ list, manifest, baseFlavor, source }: ComputedUpdateOptions): ComputedArchive {
  const { base, included } = list
  const entries = [
    { path: UPDATE_LIST, content: encodeUpdateList(list) },
    { path: updateBlobPath(manifest.digest), content: manifest.bytes },
    ...included.map((blob) => ({ path: updateBlobPath(blob.digest), content: blob })),
  ]
  const etag = `"${manifest.digest}-since-${base.digest}-${LAYOUT_VERSION}"`
  return computeTar({ fileName: updateFileName(list, baseFlavor), entries, etag, source })
}

/** `layerd-update-NAME-ARCHITECTURE-FROM-TO.tar.zst`, which no zarf takes for a package. Throws PACKAGE_INVALID. */
function updateFileName({ package: made, base, manifest }: UpdateList, baseFlavor: string | null): string {
  const from = labelOf({ version: base.version, flavor: baseFlavor }, base.digest)
  const to = labelOf(made, manifest.digest)
  const name = `layerd-update-${made.name}-${made.architecture}-${from}-${to}.tar.zst`
  if (!name.includes('/') && parseEntryPath(name) === name) return name
  throw new AppError('PACKAGE_INVALID', 'the package has a name, version or architecture that no file can be named by')
}

/** Without a version its digest tells it from others, as far as a file name needs. */
function labelOf({ version, flavor }: Pick<UpdatedPackage, 'version' | 'flavor'>, digest: string): string {
  const label = version ?? digest.replace(/^[^:]*:/, '').slice(0, 12)
  return flavor === null ? label : `${label}-${flavor}`
}
