import type { Scope } from '../request/transport.ts'

/** `repository:name:pull,push`, one string for each scope, in the given order (some registries look at the first only). */
export function formatScopes(scopes: readonly Scope[]): string[] {
  return mergeScopes(scopes.map((scope) => `repository:${scope.repository}:${scope.actions.join(',')}`))
}

/** The repositories that scopes are for, each once. */
export function repositoriesIn(scopes: readonly string[]): string[] {
  const resources = [...byResource(scopes).keys()].filter((resource) => resource.startsWith(REPOSITORY))
  return resources.map((resource) => resource.slice(REPOSITORY.length))
}

const REPOSITORY = 'repository:'

/** The scopes of a challenge: separated by blanks, of any form ("registry:catalog:*", Gitea's "*"). */
export function parseScopes(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((scope) => scope !== '')
}

/** One entry for each resource, actions united, first come first. */
export function mergeScopes(...lists: ReadonlyArray<readonly string[]>): string[] {
  return [...byResource(lists.flat())].map(([resource, actions]) =>
    actions.size === 0 ? resource : `${resource}:${[...actions].join(',')}`,
  )
}

/** The same for the same rights, in whatever order they are asked for. */
export function scopeKey(scopes: readonly string[]): string {
  const normal = [...byResource(scopes)].map(([resource, actions]) =>
    actions.size === 0 ? resource : `${resource}:${[...actions].toSorted().join(',')}`,
  )
  return normal.toSorted().join(' ')
}

/**
 * Whether who has `held` has all of `wanted`. Both have to begin with the same resource: some registries look at the first
 * scope alone.
 */
export function covers(held: readonly string[], wanted: readonly string[]): boolean {
  const own = byResource(held)
  const other = byResource(wanted)
  const [first] = own.keys()
  if (first === undefined || first !== other.keys().next().value) return false
  return [...other].every(([resource, actions]) => {
    const given = own.get(resource)
    return given !== undefined && actions.isSubsetOf(given)
  })
}

function byResource(scopes: readonly string[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':')
    const resource = colon === -1 ? scope : scope.slice(0, colon)
    const actions = found.get(resource) ?? new Set<string>()
    if (colon !== -1) for (const action of scope.slice(colon + 1).split(',')) actions.add(action)
    found.set(resource, actions)
  }
  return found
}
