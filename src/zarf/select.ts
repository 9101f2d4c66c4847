import { distinct } from '../content/copy-graph.ts'
import { type Descriptor, titleOrDigest } from '../content/descriptor.ts'
import { digestHex } from '../content/digest.ts'
import { parseManifest, rawManifest, successors } from '../content/manifest.ts'
import { isIndexMediaType, isManifestMediaType, OCI_INDEX } from '../content/media-types.ts'
import { AppError } from '../lib/errors.ts'
import { createBreathing } from '../lib/loop/breathe.ts'
import type { ComponentOutline, DefinitionOutline } from './definition/outline.ts'
import { missingFile } from './contents/contents.ts'
import { parseImageReference } from './selection/image-reference.ts'

export { pickComponents, selectComponents } from './selection/components.ts'

const ALWAYS = [
  'zarf.yaml',
  'checksums.txt',
  'zarf.yaml.sig',
  'zarf.bundle.sig',
  'values.yaml',
  'values.schema.json',
  'sboms.tar',
] as const
const IMAGE_INDEX = 'images/index.json'
const IMAGE_LAYOUT = 'images/oci-layout'
const BASE_NAME = 'org.opencontainers.image.base.name'

/** Images of components, archives' images included, each once. */
export function componentImages(components: readonly ComponentOutline[]): string[] {
  const images = components.flatMap(({ images = [], imageArchives = [] }) => [
    ...images,
    ...imageArchives.flatMap((archive) => archive.images ?? []),
  ])
  return [...new Set(images)]
}

/**
 * The layers that the chosen components need: metadata, their tars, their images' blobs through all nested manifests,
 * SBOMs and documentation. `read` gives a small layer's bytes. Throws PACKAGE_INVALID naming what is missing.
 * Source: zarf v0.84 src/pkg/zoci/pull.go AssembleLayers.
 */
export async function selectLayers(
  definition: DefinitionOutline,
  components: readonly ComponentOutline[],
  source: LayerSource,
): Promise<Descriptor[]> {
  const titles = new Set<string>(ALWAYS)
  for (const { name } of components) titles.add(`components/${name}.tar`)
  if (definition.documentation && definition.documentation.size > 0) titles.add('documentation.tar')
  const images = componentImages(components)
  if (images.length > 0) for (const title of await imageTitles(images, source)) titles.add(title)
  // In the manifest's own order. What the package does not have (a component without files, SBOMs) is not missing.
  return [...source.byTitle].flatMap(([title, layer]) => (titles.has(title) ? [layer] : []))
}

/** Where the layers of a package are read; each small. */
export interface LayerSource {
  byTitle: ReadonlyMap<string, Descriptor>
  read: (layer: Descriptor) => Promise<Buffer>
}

async function imageTitles(images: readonly string[], source: LayerSource): Promise<Set<string>> {
  const held = await openImages(source)
  return new Set([IMAGE_INDEX, IMAGE_LAYOUT, ...(await held.titlesOf(images))])
}

/** The images of a package. */
export interface PackageImages {
  /** The layers that are their manifests. */
  readonly manifests: readonly Descriptor[]
  /** The titles of all blobs of these images, as zarf.yaml names them, through all nested manifests. */
  titlesOf(images: readonly string[]): Promise<Set<string>>
}

/** Reads images/index.json. Throws PACKAGE_INVALID naming what is missing, MANIFEST_*. */
export async function openImages(source: LayerSource): Promise<PackageImages> {
  const byName = new Map<string, Descriptor>()
  for (const entry of await parseLayer(layerOf(source, IMAGE_INDEX), OCI_INDEX, source)) {
    const base = entry.annotations?.[BASE_NAME]
    if (base !== undefined && !byName.has(base)) byName.set(base, entry)
  }
  const manifests = distinct([...byName.values()]).flatMap((entry) => source.byTitle.get(imageBlob(entry)) ?? [])
  return {
    manifests,
    async titlesOf(images) {
      const titles = new Set<string>()
      const breathe = createBreathing()
      for (const image of images) {
        await breathe()
        const { full, withoutDockerHub } = parseImageReference(image)
        const entry = byName.get(full) ?? byName.get(withoutDockerHub ?? full)
        if (!entry) throw new AppError('PACKAGE_INVALID', `${IMAGE_INDEX} does not have the image ${full}`)
        await addImage(entry, source, titles)
      }
      return titles
    },
  }
}

function imageBlob({ digest }: Descriptor): string {
  return `images/blobs/sha256/${digestHex(digest)}`
}

async function addImage(blob: Descriptor, source: LayerSource, titles: Set<string>): Promise<void> {
  const title = imageBlob(blob)
  const layer = layerOf(source, title)
  if (titles.has(title)) return
  titles.add(title)
  if (!isIndexMediaType(blob.mediaType) && !isManifestMediaType(blob.mediaType)) return
  for (const child of await parseLayer(layer, blob.mediaType, source)) await addImage(child, source, titles)
}

async function parseLayer(layer: Descriptor, mediaType: string, source: LayerSource): Promise<readonly Descriptor[]> {
  const where = titleOrDigest(layer)
  return successors(parseManifest(rawManifest(mediaType, await source.read(layer)), where))
}

function layerOf({ byTitle }: LayerSource, title: string): Descriptor {
  const layer = byTitle.get(title)
  if (!layer) throw missingFile(title)
  return layer
}
