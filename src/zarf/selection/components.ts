import { AppError } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { compilePattern, type Pattern } from '../../lib/patterns/path-match.ts'
import type { ComponentOutline, DefinitionOutline } from '../definition/outline.ts'

const MAX_PATTERNS = 100
const MAX_PATTERN_LENGTH = 128

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
