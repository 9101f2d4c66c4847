import { distinct } from '../content/copy-graph.ts'
import { type Descriptor, titleOrDigest } from '../content/descriptor.ts'
import { digestHex } from '../content/digest.ts'
import { parseManifest, rawManifest, successors } from '../content/manifest.ts'
import { isIndexMediaType, isManifestMediaType, OCI_INDEX } from '../content/media-types.ts'
import { AppError } from '../lib/errors.ts'
import { createBreathing } from '../lib/loop/breathe.ts'
import { compilePattern, type Pattern } from '../lib/patterns/path-match.ts'
import type { ComponentOutline, DefinitionOutline } from './definition/outline.ts'
import { missingFile } from './contents/contents.ts'
import { parseImageReference } from './selection/image-reference.ts'

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

export const MAX_PATTERNS = 100
export const MAX_PATTERN_LENGTH = 128

/** One entry of a request. */
interface Wish {
  readonly entry: string
  readonly out: boolean
  readonly pattern: Pattern
}

/** What the entries say of each component that any of them means. */
type Named = ReadonlyMap<ComponentOutline, 'in' | 'out'>

/** Patterns times names: half a second, of which none is held for long. Both are chosen by others. */
const MAX_STEPS = 100_000_000

/**
 * The components that a request means. Each entry is a name or a pattern (path-match.ts); one that begins with `-` takes
 * away and wins. Required ones are always in. Without entries: required and default ones. Of a group exactly one is in. Throws
 * COMPONENTS_INVALID naming the entry or the group. Source: zarf v0.84 src/pkg/packager/filters/deploy.go.
 */
export async function selectComponents(
  definition: DefinitionOutline,
  requested: readonly string[],
): Promise<ComponentOutline[]> {
  const components = definition.components ?? []
  const named = await nameComponents(components, parseWishes(requested))
  const chosen = new Set<ComponentOutline>()
  for (const group of Map.groupBy(components, ({ group, name }) => group || name).values()) {
    for (const component of chooseOf(group, named)) chosen.add(component)
  }
  return components.filter((component) => chosen.has(component))
}

/**
 * Those that are named, whether required or not; without entries, and before those that only take away, all. For looks at a
 * package. Throws COMPONENTS_INVALID naming the entry. Source: zarf v0.84 src/pkg/packager/filters/select.go, for
 * `zarf package inspect manifests`.
 */
export async function pickComponents(
  { components = [] }: DefinitionOutline,
  requested: readonly string[],
): Promise<readonly ComponentOutline[]> {
  const wishes = parseWishes(requested)
  const named = await nameComponents(
    components.map((component) => ({ ...component, required: false })),
    wishes,
  )
  const states = new Map([...named].map(([{ name }, state]) => [name, state]))
  const all = wishes.every(({ out }) => out)
  return components.filter(({ name }) => {
    const state = states.get(name)
    return all ? state !== 'out' : state === 'in'
  })
}

async function nameComponents(components: readonly ComponentOutline[], wishes: readonly Wish[]): Promise<Named> {
  const characters = components.reduce((sum, { name = '' }) => sum + name.length, 0)
  const steps = wishes.reduce((sum, { pattern }) => sum + (pattern.steps > 1 ? pattern.steps * characters : 0), 0)
  if (steps > MAX_STEPS) throw tooManyPatterns(components.length)
  const named = new Map<ComponentOutline, 'in' | 'out'>()
  const breathe = createBreathing()
  for (const { entry, out, pattern } of wishes) {
    let [found, useful] = [false, false]
    for (const component of components) {
      await breathe()
      if (!pattern.matches(component.name ?? '')) continue
      found = true
      useful ||= !out || component.required !== true
      if (named.get(component) !== 'out') named.set(component, out ? 'out' : 'in')
    }
    if (!useful) throw unknownComponent(entry, components, found)
  }
  return named
}

function tooManyPatterns(components: number): AppError {
  return new AppError('COMPONENTS_INVALID', `the patterns are too long and too many for ${components} components`, {
    hint: 'Name components in full, or use fewer and shorter patterns.',
    details: { components, limit: MAX_STEPS },
  })
}

function parseWishes(requested: readonly string[]): Wish[] {
  if (requested.length > MAX_PATTERNS) {
    throw new AppError('COMPONENTS_INVALID', `${requested.length} names or patterns of components were given`, {
      hint: `At most ${MAX_PATTERNS} are taken: one pattern may stand for many names.`,
      details: { limit: MAX_PATTERNS },
    })
  }
  return requested.map((entry) => {
    if (entry.length > MAX_PATTERN_LENGTH) {
      throw new AppError('COMPONENTS_INVALID', `the pattern "${entry.slice(0, 40)}…" has ${entry.length} characters`, {
        hint: `A name or pattern of components has at most ${MAX_PATTERN_LENGTH}.`,
        details: { limit: MAX_PATTERN_LENGTH },
      })
    }
    const out = entry.startsWith('-')
    return { entry, out, pattern: compilePattern(out ? entry.slice(1) : entry, 'COMPONENTS_INVALID') }
  })
}

function chooseOf(group: readonly ComponentOutline[], named: Named): readonly ComponentOutline[] {
  const wanted = group.filter((component) => component.required === true || named.get(component) === 'in')
  if (wanted.length > 1)
    throw invalid(`the group ${groupName(group)} allows one component, not ${names(wanted)}`, group)
  if (wanted.length === 1) return wanted
  const fallback = group.find((component) => component.default === true && named.get(component) !== 'out')
  if (fallback) return [fallback]
  if (group.length > 1) throw invalid(`the group ${groupName(group)} needs a choice of ${names(group)}`, group)
  return []
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

const MAX_NAMED = 20

function groupName([component]: readonly ComponentOutline[]): string {
  return (component?.group ?? '').slice(0, 160)
}

function names(components: readonly ComponentOutline[]): string {
  const more = components.length - MAX_NAMED
  const some = components.slice(0, MAX_NAMED).map(({ name }) => name)
  return `${some.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function unknownComponent(entry: string, components: readonly ComponentOutline[], required: boolean): AppError {
  if (required) return invalid(`${entry} takes away a required component`, components)
  return invalid(`no component matches "${entry.slice(0, 160)}"`, components)
}

function invalid(message: string, components: readonly ComponentOutline[]): AppError {
  return new AppError('COMPONENTS_INVALID', message, {
    details: { components: components.slice(0, MAX_NAMED).map(({ name }) => name) },
    hint: `Choose from: ${names(components)}.`,
  })
}
