import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import { type ImageManifest, MAX_MANIFEST_BYTES } from '../../content/manifest.ts'
import { ZARF_LAYER } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { DEFINITION } from '../../zarf/package.ts'
import { BUNDLE_DEFINITION, BUNDLE_SIGNATURE, checkDefinitionSize } from '../layout/bundle-files.ts'

/** What a bundle's root manifest names. */
export interface BundleLayers {
  readonly config: Descriptor
  /** uds-bundle.yaml */
  readonly definition: Descriptor
  /** uds-bundle.yaml.sig */
  readonly signature: Descriptor | undefined
  /** The manifests of its packages, which lie as blobs beside all else: layers without a title. */
  readonly packages: readonly Descriptor[]
  /** All of these, as the manifest has them. */
  readonly layers: readonly Descriptor[]
}

/** Real ones have some hundred. */
const MAX_CONFIG_BYTES = 64 * 1024

/** Read whole, and held while the bundle moves. */
const MAX_PACKAGE_MANIFESTS_BYTES = 64 * 1024 * 1024

/**
 * Throws PACKAGE_INVALID for a manifest that is no bundle's, MANIFEST_TOO_LARGE and PACKAGE_TOO_LARGE for what is too large to be
 * read. Source: zarf-packages.md 4.2; uds v0.35 docs/adr/0009-bundle-media-types.md.
 */
export function bundleLayers({ config, layers }: ImageManifest, where: string): BundleLayers {
  const titled = (title: string) => layers.filter((layer) => descriptorTitle(layer) === title)
  const [definition, another] = titled(BUNDLE_DEFINITION)
  const [signature, anotherSignature] = titled(BUNDLE_SIGNATURE)
  if (!config || !definition) throw invalid(`${where} does not hold ${config ? BUNDLE_DEFINITION : 'a config'}`)
  if (another ?? anotherSignature) throw invalid(`${where} holds ${BUNDLE_DEFINITION} or its signature twice`)
  // What a bundle's signature vouches for is not what zarf would deploy of it.
  if (titled(DEFINITION).length > 0)
    throw invalid(`${where} is a bundle and a package at once: it holds ${DEFINITION}, too`)
  checkDefinitionSize(definition.size)
  if (config.size > MAX_CONFIG_BYTES) throw invalid(`${where} has a config of ${config.size} bytes`)
  const packages = layers.filter((layer) => layer.mediaType === ZARF_LAYER && descriptorTitle(layer) === undefined)
  checkSizes(packages, where)
  return { config, definition, signature, packages, layers }
}

function checkSizes(packages: readonly Descriptor[], where: string): void {
  const large = packages.find(({ size }) => size > MAX_MANIFEST_BYTES)
  if (large) {
    const why = `the manifest ${large.digest} of a package of ${where} has ${large.size} bytes, more than ${MAX_MANIFEST_BYTES}`
    throw new AppError('MANIFEST_TOO_LARGE', why)
  }
  const bytes = packages.reduce((sum, { size }) => sum + size, 0)
  if (bytes <= MAX_PACKAGE_MANIFESTS_BYTES) return
  throw new AppError(
    'MANIFEST_TOO_LARGE',
    `the manifests of the ${packages.length} packages of ${where} have ${bytes} bytes, more than ${MAX_PACKAGE_MANIFESTS_BYTES}`,
  )
}

function invalid(message: string): AppError {
  return new AppError('PACKAGE_INVALID', message, {
    hint: 'The bundle was put together wrongly: make it again with uds create.',
  })
}
