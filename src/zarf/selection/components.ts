import type { AppError } from '../../lib/errors.ts'
import type { ComponentOutline, DefinitionOutline } from '../definition/outline.ts'
import { type Candidate, type Kind, meantBy, namesOf, parseWishes, shownEntry, wrongChoice } from './wishes.ts'

const COMPONENTS: Kind = { code: 'COMPONENTS_INVALID', name: 'component', maxLength: 128 }

interface Named extends Candidate {
  readonly component: ComponentOutline
}

/** What the entries say of each component that any of them means. */
type Said = ReadonlyMap<ComponentOutline, 'in' | 'out'>

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
  const said = await nameComponents(components, requested)
  const chosen = new Set<ComponentOutline>()
  for (const group of Map.groupBy(components, ({ group, name }) => group || name).values()) {
    for (const component of chooseOf(group, said)) chosen.add(component)
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
  const said = await nameComponents(
    components.map((component) => ({ ...component, required: false })),
    requested,
  )
  const states = new Map([...said].map(([{ name }, state]) => [name, state]))
  const all = requested.every((entry) => entry.startsWith('-'))
  return components.filter(({ name }) => {
    const state = states.get(name)
    return all ? state !== 'out' : state === 'in'
  })
}

async function nameComponents(components: readonly ComponentOutline[], requested: readonly string[]): Promise<Said> {
  const candidates = components.map((component): Named => ({ component, names: [component.name ?? ''] }))
  const said = await meantBy(parseWishes(requested, COMPONENTS), candidates, {
    kind: COMPONENTS,
    onWish({ entry, out }, meant) {
      if (meant.some(({ component }) => !out || component.required !== true)) return
      throw meant.length > 0
        ? invalid(`${entry} takes away a required component`, components)
        : invalid(`no component matches "${shownEntry(entry)}"`, components)
    },
  })
  return new Map([...said].map(([{ component }, state]) => [component, state]))
}

/** For a name that no component has. */
export function noComponent(name: string, { components = [] }: DefinitionOutline): AppError {
  return invalid(`there is no component "${shownEntry(name)}"`, components)
}

function chooseOf(group: readonly ComponentOutline[], said: Said): readonly ComponentOutline[] {
  const wanted = group.filter((component) => component.required === true || said.get(component) === 'in')
  if (wanted.length > 1)
    throw invalid(`the group ${groupName(group)} allows one component, not ${namesOf(names(wanted))}`, group)
  if (wanted.length === 1) return wanted
  const fallback = group.find((component) => component.default === true && said.get(component) !== 'out')
  if (fallback) return [fallback]
  if (group.length > 1) throw invalid(`the group ${groupName(group)} needs a choice of ${namesOf(names(group))}`, group)
  return []
}

function groupName([component]: readonly ComponentOutline[]): string {
  return (component?.group ?? '').slice(0, 160)
}

function names(components: readonly ComponentOutline[]): string[] {
  return components.map(({ name = '' }) => name)
}

function invalid(message: string, components: readonly ComponentOutline[]): AppError {
  return wrongChoice(message, names(components), COMPONENTS)
}
