import { distinct } from '../content/copy-graph.ts'
import { type Descriptor, titleOrDigest } from '../content/descriptor.ts'
import { digestHex } from '../content/digest.ts'
import { MAX_MANIFEST_BYTES, parseManifest, rawManifest, successors } from '../content/manifest.ts'
import { isIndexMediaType, isManifestMediaType, OCI_INDEX } from '../content/media-types.ts'
import { AppError } from '../lib/errors.ts'
import { createBreathing } from '../lib/loop/breathe.ts'
import type { ComponentOutline, DefinitionOutline } from './definition/outline.ts'
import { missingFile } from './contents/contents.ts'
import { selectComponents } from './selection/components.ts'
import { parseImageReference } from './selection/image-reference.ts'
import { selectImages } from './selection/images.ts'

export { noComponent, pickComponents, selectComponents } from './selection/components.ts'
export { type ImagePlace, imagePlace } from './selection/image-place.ts'
export { selectImages } from './selection/images.ts'

/** What describes a package and vouches for it. Source: zarf v0.84 src/pkg/zoci/pull.go PackageAlwaysPull. */
const METADATA = [
  'zarf.yaml',
  'checksums.txt',
  'zarf.yaml.sig',
  'zarf.bundle.sig',
  'values.yaml',
  'values.schema.json',
] as const
const SBOMS = 'sboms.tar'
const DOCUMENTATION = 'documentation.tar'
const IMAGE_INDEX = 'images/index.json'
const IMAGE_LAYOUT = 'images/oci-layout'
const BASE_NAME = 'org.opencontainers.image.base.name'

/** Which part of a package is wanted; without a field all of it. */
export interface PackageChoice {
  /**
   * These components, what is required and what these need (selectComponents); an empty list means required and default
   * ones.
   */
  readonly components?: readonly string[]
  /** These images alone (selectImages), of the chosen components where some are chosen, else without any component. */
  readonly images?: readonly string[]
  /** What describes the package and vouches for it, and nothing else: not with the two above. */
  readonly metadataOnly?: boolean
}

/** What a choice comes to. */
export interface ChosenFiles {
  readonly layers: readonly Descriptor[]
  /** Names of the components that are in with their files, and of images, as zarf.yaml has them. */
  readonly components: readonly string[]
  readonly images: readonly string[]
}

/** Whether it says anything. */
export function isPartial({ components, images, metadataOnly = false }: PackageChoice): boolean {
  return components !== undefined || images !== undefined || metadataOnly
}

/** What of a package is meant. Throws COMPONENTS_INVALID, IMAGES_INVALID, and what selectLayers throws. */
export async function chooseFiles(
  definition: DefinitionOutline,
  choice: PackageChoice,
  source: LayerSource,
): Promise<ChosenFiles> {
  const all = definition.components ?? []
  const { components, images, metadataOnly } = choice
  if (!isPartial(choice)) {
    return { layers: [...source.byTitle.values()], components: namesOf(all), images: componentImages(all) }
  }
  if (metadataOnly) return { layers: layersOf(source, new Set(METADATA)), components: [], images: [] }
  const chosen = components && (await selectComponents(definition, components))
  const theirs = componentImages(chosen ?? all)
  const some = images ? await selectImages(theirs, images) : theirs
  return {
    layers: await selectLayers(definition, { components: chosen, images: some }, source),
    components: namesOf(chosen ?? []),
    images: some,
  }
}

function namesOf(components: readonly ComponentOutline[]): string[] {
  return components.map(({ name = '' }) => name)
}

/** Images of components, archives' images included, each once. */
export function componentImages(components: readonly ComponentOutline[]): string[] {
  const images = components.flatMap(({ images = [], imageArchives = [] }) => [
    ...images,
    ...imageArchives.flatMap((archive) => archive.images ?? []),
  ])
  return [...new Set(images)]
}

/**
 * The layers that are needed: metadata; of components their tars, SBOMs and documentation; of images their blobs through all
 * nested manifests. Throws PACKAGE_INVALID naming what is missing. Source: zarf v0.84 src/pkg/zoci/pull.go AssembleLayers.
 */
export async function selectLayers(
  definition: DefinitionOutline,
  chosen: { components: readonly ComponentOutline[] | undefined; images: readonly string[] },
  source: LayerSource,
): Promise<Descriptor[]> {
  const { components, images } = chosen
  const titles = new Set<string>(METADATA)
  if (components) titles.add(SBOMS)
  for (const { name } of components ?? []) titles.add(`components/${name}.tar`)
  if (components && definition.documentation && definition.documentation.size > 0) titles.add(DOCUMENTATION)
  if (images.length > 0) for (const title of await imageTitles(images, source)) titles.add(title)
  return layersOf(source, titles)
}

/** In the manifest's own order. What the package does not have (a component without files, SBOMs) is not missing. */
function layersOf({ byTitle }: LayerSource, titles: ReadonlySet<string>): Descriptor[] {
  return [...byTitle].flatMap(([title, layer]) => (titles.has(title) ? [layer] : []))
}

/** Where the layers of a package are read: `read` is asked for manifests alone, whose sizes were checked. */
export interface LayerSource {
  readonly byTitle: ReadonlyMap<string, Descriptor>
  readonly read: (layer: Descriptor) => Promise<Buffer>
}

/** Manifests of all images that are looked into together: real ones have some KiB each, and readers may hold them. */
const MAX_IMAGE_MANIFESTS_BYTES = 64 * 1024 * 1024

async function imageTitles(images: readonly string[], source: LayerSource): Promise<Set<string>> {
  const held = await openImages(source)
  return new Set([IMAGE_INDEX, IMAGE_LAYOUT, ...(await held.titlesOf(images))])
}

/** The images of a package. */
export interface PackageImages {
  /** The layers that are their manifests. */
  readonly manifests: readonly Descriptor[]
  /** What an image is, as the index of images has it: a manifest, or an index of several. Throws PACKAGE_INVALID for one that is not there. */
  entryOf(image: string): Descriptor
  /** The titles of all blobs of these images, as zarf.yaml names them, through all nested manifests. */
  titlesOf(images: readonly string[]): Promise<Set<string>>
}

/** Reads images/index.json. Throws PACKAGE_INVALID naming what is missing, MANIFEST_*, PACKAGE_TOO_LARGE beyond 64 MiB of manifests. */
export async function openImages(source: LayerSource): Promise<PackageImages> {
  const walk = createWalk(source)
  const byName = new Map<string, Descriptor>()
  for (const entry of await walk.read(layerOf(source, IMAGE_INDEX), OCI_INDEX)) {
    const base = entry.annotations?.[BASE_NAME]
    if (base !== undefined && !byName.has(base)) byName.set(base, entry)
  }
  const manifests = distinct([...byName.values()]).flatMap((entry) => source.byTitle.get(imageBlob(entry)) ?? [])
  const entryOf = (image: string): Descriptor => {
    const { full, withoutDockerHub } = parseImageReference(image)
    const entry = byName.get(full) ?? byName.get(withoutDockerHub ?? full)
    if (!entry) throw new AppError('PACKAGE_INVALID', `${IMAGE_INDEX} does not have the image ${full}`)
    return entry
  }
  return {
    manifests,
    entryOf,
    async titlesOf(images) {
      const titles = new Set<string>()
      for (const image of images) {
        await walk.breathe()
        await addImage(entryOf(image), walk, titles)
      }
      return titles
    },
  }
}

/** The layer that is a blob of an image. Throws PACKAGE_INVALID where the package lacks it. */
export function imageLayer(blob: Pick<Descriptor, 'digest'>, byTitle: LayerSource['byTitle']): Descriptor {
  return layerOf({ byTitle }, imageBlob(blob))
}

/** Its title. */
export function imageBlob({ digest }: Pick<Descriptor, 'digest'>): string {
  return `images/blobs/sha256/${digestHex(digest)}`
}

type Child = Pick<Descriptor, 'digest' | 'mediaType'>

/** One for all that is asked of a package: others chose how often a manifest is named, and it is read and parsed once. */
interface ImageWalk {
  readonly source: LayerSource
  readonly breathe: () => Promise<void> | undefined
  /** What a manifest names. Throws MANIFEST_*, PACKAGE_TOO_LARGE. */
  read(layer: Descriptor, mediaType: string): Promise<readonly Descriptor[]>
  /** The same, which is kept. */
  children(layer: Descriptor, mediaType: string): Promise<readonly Child[]>
}

function createWalk(source: LayerSource): ImageWalk {
  const known = new Map<string, Promise<readonly Child[]>>()
  let bytes = 0
  const read = async (layer: Descriptor, mediaType: string): Promise<readonly Descriptor[]> => {
    if (layer.size > MAX_MANIFEST_BYTES) throw tooLarge(layer)
    bytes += layer.size
    if (bytes > MAX_IMAGE_MANIFESTS_BYTES) throw tooManyBytes()
    return await parseLayer(layer, mediaType, source)
  }
  const light = async (children: Promise<readonly Descriptor[]>): Promise<readonly Child[]> =>
    (await children).map(({ digest, mediaType }) => ({ digest, mediaType }))
  return {
    source,
    breathe: createBreathing(),
    read,
    children(layer, mediaType) {
      const key = `${layer.digest} ${mediaType}`
      const children = known.get(key) ?? light(read(layer, mediaType))
      known.set(key, children)
      return children
    },
  }
}

async function addImage(blob: Child, walk: ImageWalk, titles: Set<string>): Promise<void> {
  const title = imageBlob(blob)
  const layer = layerOf(walk.source, title)
  if (titles.has(title)) return
  titles.add(title)
  if (!isIndexMediaType(blob.mediaType) && !isManifestMediaType(blob.mediaType)) return
  for (const child of await walk.children(layer, blob.mediaType)) {
    await walk.breathe()
    await addImage(child, walk, titles)
  }
}

async function parseLayer(layer: Descriptor, mediaType: string, source: LayerSource): Promise<readonly Descriptor[]> {
  const where = titleOrDigest(layer)
  return successors(parseManifest(rawManifest(mediaType, await source.read(layer)), where))
}

/** As a registry's, before it is read: what its manifest says of its size is somebody's word. */
function tooLarge(layer: Descriptor): AppError {
  const message = `${titleOrDigest(layer)} has ${layer.size} bytes, where a manifest has at most ${MAX_MANIFEST_BYTES}`
  return new AppError('MANIFEST_TOO_LARGE', message, {
    details: { path: titleOrDigest(layer), limit: MAX_MANIFEST_BYTES },
  })
}

function tooManyBytes(): AppError {
  return new AppError(
    'PACKAGE_TOO_LARGE',
    `the manifests of the package's images have more than ${MAX_IMAGE_MANIFESTS_BYTES} bytes together`,
    { details: { limit: MAX_IMAGE_MANIFESTS_BYTES } },
  )
}

function layerOf({ byTitle }: Pick<LayerSource, 'byTitle'>, title: string): Descriptor {
  const layer = byTitle.get(title)
  if (!layer) throw missingFile(title)
  return layer
}
