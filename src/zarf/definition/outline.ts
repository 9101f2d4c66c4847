import { AppError } from '../../lib/errors.ts'
import { DEFINITION } from '../layout/metadata-files.ts'
import type { Component, PackageDefinition } from './definition-shape.ts'

/** Of a component, what layerd looks at. */
export type ComponentOutline = Pick<
  Component,
  'name' | 'description' | 'default' | 'required' | 'group' | 'images' | 'imageArchives'
>

/** Of a definition, what layerd looks at; the rest stands in the config blob alone. */
export interface DefinitionOutline
  extends Pick<PackageDefinition, 'kind' | 'metadata' | 'documentation' | 'variables' | 'constants'> {
  readonly build?: Pick<
    NonNullable<PackageDefinition['build']>,
    | 'architecture'
    | 'timestamp'
    | 'flavor'
    | 'differential'
    | 'differentialPackageVersion'
    | 'signed'
    | 'provenanceFiles'
  >
  readonly components?: readonly ComponentOutline[]
}

/** A manifest names at most some 20,000 layers, and the largest packages have some hundred components. */
const MAX_COMPONENTS = 10_000
/** Images, annotations and the like: what holds the event loop is their number, not their length. */
const MAX_ITEMS = 100_000

/** Throws PACKAGE_TOO_LARGE for more components, images and the like than any package has. */
export function outlineOf(definition: PackageDefinition): DefinitionOutline {
  const { build, components = [] } = definition
  checkCount('components', components.length, MAX_COMPONENTS)
  const outline: DefinitionOutline = {
    ...pick(definition, ['kind', 'metadata', 'documentation', 'variables', 'constants']),
    ...(build ? { build: pick(build, BUILD) } : {}),
    components: components.map((component) => pick(component, COMPONENT)),
  }
  checkCount('images, annotations and files', itemsOf(outline), MAX_ITEMS)
  return outline
}

const BUILD = [
  'architecture',
  'timestamp',
  'flavor',
  'differential',
  'differentialPackageVersion',
  'signed',
  'provenanceFiles',
] as const
const COMPONENT = ['name', 'description', 'default', 'required', 'group', 'images', 'imageArchives'] as const

function pick<T extends object, K extends keyof T>(value: T, keys: readonly K[]): Pick<T, K> {
  const picked: Partial<T> = {}
  for (const key of keys) if (value[key] !== undefined) picked[key] = value[key]
  return picked as Pick<T, K>
}

function itemsOf({ metadata = {}, documentation, build = {}, components = [], ...rest }: DefinitionOutline): number {
  const { annotations } = metadata
  const { provenanceFiles = [] } = build
  const { variables = [], constants = [] } = rest
  let items =
    variables.length + constants.length + (annotations?.size ?? 0) + (documentation?.size ?? 0) + provenanceFiles.length
  for (const component of components) items += imagesOf(component)
  return items
}

function imagesOf({ images = [], imageArchives = [] }: ComponentOutline): number {
  return imageArchives.reduce((sum, archive) => sum + 1 + (archive.images?.length ?? 0), images.length)
}

function checkCount(what: string, found: number, limit: number): void {
  if (found <= limit) return
  throw new AppError('PACKAGE_TOO_LARGE', `${DEFINITION} has ${found} ${what}; more than ${limit} are not read`, {
    hint: 'No package that zarf made comes near this limit (docs/security.md): make it again with zarf.',
    details: { path: DEFINITION, limit },
  })
}
