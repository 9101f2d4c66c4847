import { descriptorTitle } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { type ComponentOutline, type DefinitionOutline, packageFileName } from '../../zarf/package.ts'
import {
  metadataLayers,
  type PackageLayers,
  type ReadMetadata,
  readMetadata,
  withConfig,
} from '../../zarf/pulled-package.ts'
import { componentImages } from '../../zarf/select.ts'
import { totalBytes } from '../plan.ts'
import { type FoundSignatures, signaturesOf } from '../signatures.ts'
import type { InspectablePackage } from './inspectable.ts'

/** What zarf.yaml says, and its bytes. */
export interface PackageDefinition extends ReadMetadata {
  readonly yaml: Buffer
}

/** Throws PACKAGE_INVALID, PACKAGE_TOO_LARGE. */
export async function definitionOf(found: InspectablePackage): Promise<PackageDefinition> {
  const yaml = await found.read(metadataLayers(found.layers).definition)
  return { yaml, ...(await readMetadata(found.layers, yaml, found.signal)) }
}

/** checksums.txt as it is, of what is a package. Throws as definitionOf. */
export async function checksumsOf(found: InspectablePackage): Promise<Buffer> {
  await definitionOf(found)
  return await found.read(metadataLayers(found.layers).checksums)
}

export interface InspectedFile {
  readonly title: string
  readonly digest: Digest
  readonly size: number
}

/** Every file, in the manifest's order. */
export function filesOf({ layers }: Pick<PackageLayers, 'layers'>): InspectedFile[] {
  return layers.map((layer) => ({ title: descriptorTitle(layer) ?? '', digest: layer.digest, size: layer.size }))
}

/** Bytes of layers and config, each digest once. */
export function sizeOf(layers: PackageLayers): number {
  return totalBytes(withConfig(layers, layers.layers))
}

export interface InspectedComponent {
  readonly name: string
  readonly description: string | null
  readonly required: boolean
  readonly default: boolean
  readonly group: string | null
  readonly images: readonly string[]
}

export function componentsOf({ components = [] }: DefinitionOutline): InspectedComponent[] {
  return components.map((component) => ({
    name: component.name ?? '',
    description: component.description ?? null,
    required: component.required ?? false,
    default: component.default ?? false,
    group: component.group ?? null,
    images: componentImages([component]),
  }))
}

/** Images of the package, and which component wants which. */
export function imagesOf(components: readonly ComponentOutline[] = []): {
  images: string[]
  components: { name: string; images: string[] }[]
} {
  return {
    images: componentImages(components),
    components: components.map((component) => ({ name: component.name ?? '', images: componentImages([component]) })),
  }
}

export interface InspectedVariable {
  readonly name: string
  readonly description: string | null
  readonly default: string | null
  readonly prompt: boolean
  readonly sensitive: boolean
  readonly autoIndent: boolean
  readonly pattern: string | null
  readonly type: string | null
}

export interface InspectedConstant {
  readonly name: string
  readonly value: string
  readonly description: string | null
  readonly autoIndent: boolean
  readonly pattern: string | null
}

/** What a deployment can set, and what it cannot. */
export function variablesOf({ variables = [], constants = [] }: DefinitionOutline): {
  variables: InspectedVariable[]
  constants: InspectedConstant[]
} {
  return {
    variables: variables.map((variable) => ({
      name: variable.name ?? '',
      description: variable.description ?? null,
      default: variable.default ?? null,
      prompt: variable.prompt ?? false,
      sensitive: variable.sensitive ?? false,
      autoIndent: variable.autoIndent ?? false,
      pattern: variable.pattern ?? null,
      type: variable.type ?? null,
    })),
    constants: constants.map((constant) => ({
      name: constant.name ?? '',
      value: constant.value ?? '',
      description: constant.description ?? null,
      autoIndent: constant.autoIndent ?? false,
      pattern: constant.pattern ?? null,
    })),
  }
}

/** A package as its metadata layers tell it. */
export interface InspectedPackage {
  /** The package's manifest. */
  readonly digest: Digest
  readonly name: string
  readonly version: string | null
  readonly flavor: string | null
  readonly architecture: string
  readonly components: readonly InspectedComponent[]
  readonly images: readonly string[]
  readonly layers: readonly InspectedFile[]
  /** Bytes of layers and config, each once. */
  readonly size: number
  readonly signed: boolean
  /** What zarf calls its archive; null where zarf.yaml does not say for which architecture it was built. */
  readonly fileName: string | null
  /** zarf.yaml as JSON, as zarf's own config blob has it: up to 16 MiB, so nobody parses it. */
  readonly definition: Buffer
}

/** Reads zarf.yaml alone. Throws as definitionOf. */
export async function inspectOpened(found: InspectablePackage): Promise<InspectedPackage> {
  const { definition, definitionJson, identity, signed } = await definitionOf(found)
  const { components = [] } = definition
  const images = componentImages(components)
  await nextTurn()
  return {
    digest: found.digest,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    architecture: identity.architecture,
    components: componentsOf(definition),
    images,
    layers: filesOf(found.layers),
    size: sizeOf(found.layers),
    signed,
    fileName: definition.build?.architecture ? packageFileName(definition) : null,
    definition: definitionJson,
  }
}

/** What the package is signed with, unverified. Throws SIGNATURE_INVALID for a file too large to be one, as definitionOf. */
export async function inspectSignatures(found: InspectablePackage): Promise<FoundSignatures> {
  const { yaml: definition, signed } = await definitionOf(found)
  return await signaturesOf(found.layers, { definition, signed, read: (layer) => found.read(layer) })
}
