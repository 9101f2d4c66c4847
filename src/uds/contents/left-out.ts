import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { DEFINITION } from '../../zarf/package.ts'
import { metadataLayer, readMetadata } from '../../zarf/pulled-package.ts'
import type { ComponentOutline, DefinitionOutline } from '../../zarf/definition/outline.ts'
import { componentImages, selectComponents, selectLayers } from '../../zarf/select.ts'
import type { Bundle, BundlePackage, ReadBlob } from './bundle.ts'

/** Files that zarf learnt to write late: a uds from before leaves them out of a bundle, and packages deploy without. */
const MAY_LACK: ReadonlySet<string> = new Set(['values.yaml', 'values.schema.json', 'documentation.tar'])

/**
 * Of a bundle's packages `uds create` copies what the chosen components need, and keeps their manifests whole; so what these name
 * may be absent. Checks that nothing is absent that the bundle should have:
 *
 * - of every package zarf.yaml, checksums.txt, signatures and SBOMs, where its manifest names them;
 * - the tars of its chosen components, and their images through all nested manifests, with `images/index.json` and
 *   `images/oci-layout` where there are any images;
 * - chosen are: of a package from a registry (`repository`) those that are required, and those that `optionalComponents` names;
 *   of one from a file (`path`) those that zarf would deploy with these, so default ones too.
 *
 * Everything else may be absent: other components and images, the package's config, which nobody reads, and files that an
 * older uds did not know (MAY_LACK, and any that neither knows). Throws PACKAGE_INVALID naming package and file.
 * Source: uds v0.35 pkg/legacy/utils/boci/oci.go FindPkgLayers, FindBundledPkgLayers; bundler/fetcher/local.go.
 */
export async function checkLeftOut(
  bundle: Pick<Bundle, 'layers' | 'packages'>,
  absent: ReadonlySet<Digest>,
  { read, where, signal }: { read: ReadBlob; where: string; signal: AbortSignal },
): Promise<void> {
  if (absent.size === 0) return
  const { config, layers } = bundle.layers
  const own = [config, ...layers].find(({ digest }) => absent.has(digest))
  if (own) throw lacks(where, { path: titleOrDigest(own), blob: own })
  for (const each of bundle.packages) {
    if (each.layers.layers.some(({ digest }) => absent.has(digest))) {
      await checkPackage(each, absent, { read, where, signal })
    }
  }
}

async function checkPackage(
  found: BundlePackage,
  absent: ReadonlySet<Digest>,
  { read, where, signal }: { read: ReadBlob; where: string; signal: AbortSignal },
): Promise<void> {
  const { layers, outline } = found
  const { byTitle } = layers
  const demanded = (layer: Descriptor): Descriptor => {
    if (absent.has(layer.digest)) throw lacks(where, { name: outline.name, path: titleOrDigest(layer), blob: layer })
    return layer
  }
  const readThere: ReadBlob = async (layer) => await read(demanded(layer))
  const bytes = await readThere(metadataLayer(layers, DEFINITION))
  const { definition } = await readMetadata(layers, bytes, signal)
  const components = await chosenComponents(found, definition)
  const chosen = { components, images: componentImages(components) }
  const needed = await selectLayers(definition, chosen, { byTitle, read: readThere })
  for (const layer of needed) if (!MAY_LACK.has(titleOrDigest(layer))) demanded(layer)
}

/**
 * The components of a package that its bundle should have. Throws PACKAGE_INVALID for optionalComponents that zarf would not
 * take.
 */
export async function chosenComponents(
  { outline }: Pick<BundlePackage, 'outline'>,
  definition: DefinitionOutline,
): Promise<readonly ComponentOutline[]> {
  const { name, path, optionalComponents } = outline
  if (path === null) {
    const named = new Set(optionalComponents)
    return (definition.components ?? []).filter((each) => each.required === true || named.has(each.name ?? ''))
  }
  try {
    return await selectComponents(definition, optionalComponents)
  } catch (error) {
    if (!isAppError(error) || error.code !== 'COMPONENTS_INVALID') throw error
    throw new AppError('PACKAGE_INVALID', `optionalComponents of the package ${name}: ${error.message}`, {
      details: { package: name },
      cause: error,
    })
  }
}

function lacks(where: string, { name, path, blob }: { name?: string; path: string; blob: Descriptor }): AppError {
  const of = name === undefined ? '' : ` of its package ${name.slice(0, 100)}`
  return new AppError('PACKAGE_INVALID', `${where} lacks ${path}${of} (${blob.digest})`, {
    hint: 'It belongs to what the bundle says that it has: get the bundle again, or make it again with uds create.',
    details: { path, digest: blob.digest, ...(name === undefined ? {} : { package: name }) },
  })
}
