import type { Scope } from '../request/transport.ts'

/** `repository:name:pull,push`, one string for each scope, in the given order (some registries look at the first only). */
export function formatScopes(scopes: readonly Scope[]): string[] {
  return mergeScopes(scopes.map((scope) => `repository:${scope.repository}:${scope.actions.join(',')}`))
}

/** The scopes of a challenge: separated by blanks, of any form ("registry:catalog:*", Gitea's "*"). */
export function parseScopes(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((scope) => scope !== '')
}

/** One entry for each resource, actions united, first come first. */
export function mergeScopes(...lists: ReadonlyArray<readonly string[]>): string[] {
  const byResource = new Map<string, Set<string>>()
  for (const scope of lists.flat()) {
    const colon = scope.lastIndexOf(':')
    const resource = colon === -1 ? scope : scope.slice(0, colon)
    const actions = byResource.get(resource) ?? new Set<string>()
    if (colon !== -1) for (const action of scope.slice(colon + 1).split(',')) actions.add(action)
    byResource.set(resource, actions)
  }
  return [...byResource].map(([resource, actions]) =>
    actions.size === 0 ? resource : `${resource}:${[...actions].join(',')}`,
  )
}

/** The same for the same rights, in whatever order they are asked for. */
export function scopeKey(scopes: readonly string[]): string {
  const normal = scopes.map((scope) => {
    const colon = scope.lastIndexOf(':')
    return colon === -1
      ? scope
      : `${scope.slice(0, colon)}:${scope
          .slice(colon + 1)
          .split(',')
          .toSorted()
          .join(',')}`
  })
  return normal.toSorted().join(' ')
}
