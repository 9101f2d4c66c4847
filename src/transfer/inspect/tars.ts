import { isUtf8 } from 'node:buffer'
import type { Descriptor } from '../../content/descriptor.ts'
import type { ByteStream } from '../../content/endpoints.ts'
import { streamOf } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import type { DefinitionOutline } from '../../zarf/package.ts'
import type { InnerFile, InnerFiles } from '../../zarf/inner-files.ts'
import { noComponent, pickComponents } from '../../zarf/select.ts'
import { definitionOf } from './facts.ts'
import { DOCUMENTATION, type InspectablePackage, innerTag, MAX_TEXT_BYTES, SBOMS } from './inspectable.ts'

export interface ListedFile {
  readonly name: string
  readonly size: number
}

export interface ListedSbom extends ListedFile {
  /** `viewer`: a page that shows one. */
  readonly kind: 'sbom' | 'viewer' | 'other'
}

/** The SBOMs of a package and the pages that show them; none where it was made without. Throws as InspectablePackage.inner. */
export async function sbomsOf(found: InspectablePackage): Promise<ListedSbom[]> {
  return (await listed(found, SBOMS)).map((file) => ({ ...file, kind: sbomKind(file.name) }))
}

/** The documentation that came with a package. Throws as InspectablePackage.inner. */
export async function documentationOf(found: InspectablePackage): Promise<ListedFile[]> {
  return await listed(found, DOCUMENTATION)
}

/** Source: zarf v0.84 src/pkg/packager/layout/sbom.go. */
function sbomKind(name: string): ListedSbom['kind'] {
  if (name.startsWith('sbom-viewer-') && name.endsWith('.html')) return 'viewer'
  return name.endsWith('.json') ? 'sbom' : 'other'
}

async function listed(found: InspectablePackage, title: string): Promise<ListedFile[]> {
  const layer = found.layers.byTitle.get(title)
  if (!layer) return []
  return [...(await found.inner(layer)).files.values()].map(({ path, size }) => ({ name: path, size }))
}

/** One file out of a tar of a package, in full. */
export interface InnerContent {
  /** Without folders. */
  readonly fileName: string
  readonly size: number
  /** A strong validator, quoted. */
  readonly etag: string
  open(range: { start: number; end: number }): ByteStream
}

export async function sbomFile(found: InspectablePackage, name: string): Promise<InnerContent> {
  return await contentOf(found, { title: SBOMS, path: name, name })
}

export async function documentationFile(found: InspectablePackage, name: string): Promise<InnerContent> {
  return await contentOf(found, { title: DOCUMENTATION, path: name, name })
}

/** What is packed of a component and read as text: `manifests`, or `values` of its charts. */
export type TextFolder = 'manifests' | 'values'

/** Throws COMPONENTS_INVALID with the components that there are, NOT_FOUND. */
export async function componentFile(
  found: InspectablePackage,
  folder: TextFolder,
  { component, name }: { component: string; name: string },
): Promise<InnerContent> {
  const { definition } = await definitionOf(found)
  if (!definition.components?.some((each) => (each.name ?? '') === component)) throw noComponent(component, definition)
  return await contentOf(found, { title: `components/${component}.tar`, path: `${component}/${folder}/${name}`, name })
}

async function contentOf(
  found: InspectablePackage,
  { title, path, name }: { title: string; path: string; name: string },
): Promise<InnerContent> {
  const layer = found.layers.byTitle.get(title)
  const inner = layer && (await found.inner(layer))
  const file = inner?.files.get(path)
  if (!layer || !inner || !file) throw noFile(name, { title, found, names: [...(inner?.files.keys() ?? [])] })
  const kept = inner.kept.get(path)
  return {
    fileName: path.slice(path.lastIndexOf('/') + 1),
    size: file.size,
    etag: innerTag(layer, file),
    open: ({ start, end }) => (kept ? streamOf(kept.subarray(start, end)) : partOf(found, layer, { file, start, end })),
  }
}

function partOf(
  found: InspectablePackage,
  layer: Descriptor,
  { file, start, end }: { file: InnerFile; start: number; end: number },
): ByteStream {
  return found.stream(layer, { start: file.offset + start, end: file.offset + Math.min(end, file.size) })
}

export interface PackedText extends ListedFile {
  /** Null for what is no text, and for what is too large to be told along with others. */
  readonly content: string | null
}

export interface ComponentTexts {
  readonly name: string
  readonly files: readonly PackedText[]
}

/** Of all texts of an answer together. */
const MAX_TEXTS_BYTES = 8 * 2 ** 20
const MAX_TEXTS = 5000
/** Tars that are listed at once. */
const AT_ONCE = 4

/**
 * Manifests, or values files, as they were packed: nothing is rendered. Throws COMPONENTS_INVALID with the components that there
 * are, PACKAGE_TOO_LARGE for more than 5,000, and as InspectablePackage.inner.
 */
export async function textsOf(
  found: InspectablePackage,
  folder: TextFolder,
  components: readonly string[],
): Promise<ComponentTexts[]> {
  const { definition } = await definitionOf(found)
  const names = await chosenNames(definition, components)
  const budget = { bytes: MAX_TEXTS_BYTES, files: MAX_TEXTS }
  const told: ComponentTexts[] = []
  // Each may hold some MiB, and others chose how many there are: a few at once, of which the texts alone are kept.
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE)
    const inner = new Map<string, InnerFiles>()
    await forEachConcurrent(some, { limit: AT_ONCE, signal: found.signal }, async (name) => {
      const layer = found.layers.byTitle.get(`components/${name}.tar`)
      if (layer) inner.set(name, await found.inner(layer))
    })
    for (const name of some) told.push({ name, files: packedTexts(inner.get(name), `${name}/${folder}/`, budget) })
  }
  return told
}

async function chosenNames(definition: DefinitionOutline, requested: readonly string[]): Promise<string[]> {
  const picked = await pickComponents(definition, requested)
  return [...new Set(picked.map(({ name }) => name ?? ''))]
}

function packedTexts(
  inner: InnerFiles | undefined,
  folder: string,
  budget: { bytes: number; files: number },
): PackedText[] {
  const texts: PackedText[] = []
  for (const { path, size } of inner?.files.values() ?? []) {
    if (!path.startsWith(folder)) continue
    budget.files -= 1
    if (budget.files < 0) throw tooManyTexts()
    const bytes = inner?.kept.get(path)
    const told = bytes && bytes.length <= budget.bytes && isUtf8(bytes)
    if (told) budget.bytes -= bytes.length
    texts.push({ name: path.slice(folder.length), size, content: told ? bytes.toString('utf8') : null })
  }
  return texts
}

/** Values of the package as a whole, and their schema, as far as it has any. Throws as InspectablePackage.read. */
export async function packageValues(found: InspectablePackage): Promise<PackedText[]> {
  const texts: PackedText[] = []
  for (const name of ['values.yaml', 'values.schema.json']) {
    const layer = found.layers.byTitle.get(name)
    if (!layer) continue
    const bytes = layer.size <= MAX_TEXT_BYTES ? await found.read(layer) : undefined
    texts.push({ name, size: layer.size, content: bytes && isUtf8(bytes) ? bytes.toString('utf8') : null })
  }
  return texts
}

function noFile(
  name: string,
  { title, found, names }: { title: string; found: InspectablePackage; names: readonly string[] },
): AppError {
  return new AppError('NOT_FOUND', `${title} of ${found.where} holds no plain file "${name.slice(0, 300)}"`, {
    hint: names.length === 0 ? 'This package has none.' : 'Without a name, those that there are are listed.',
    details: { path: title },
  })
}

function tooManyTexts(): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `the components hold more than ${MAX_TEXTS} of these files`, {
    hint: 'Choose some of the components.',
    details: { limit: MAX_TEXTS },
  })
}
