import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import { type ImageManifest, MAX_MANIFEST_BYTES } from '../content/manifest.ts'
import { ZARF_LAYER } from '../content/media-types.ts'
import { AppError } from '../lib/errors.ts'

/**
 * The manifests of a bundle's packages, which lie in its repository as blobs: layers without a title. Throws
 * MANIFEST_TOO_LARGE for one that is too large to be read.
 */
export function packageManifests({ layers }: ImageManifest, where: string): readonly Descriptor[] {
  const inner = layers.filter((layer) => layer.mediaType === ZARF_LAYER && descriptorTitle(layer) === undefined)
  const large = inner.find(({ size }) => size > MAX_MANIFEST_BYTES)
  if (!large) return inner
  throw new AppError(
    'MANIFEST_TOO_LARGE',
    `the manifest ${large.digest} of a package of ${where} has ${large.size} bytes, more than ${MAX_MANIFEST_BYTES}`,
  )
}
