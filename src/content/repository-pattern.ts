/** `team/nemo` is itself, `*` any one component, `**` at the end all that follows, at least one component. */
const COMPONENT = /^(?:\*|[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)$/
const MAX_LENGTH = 255

export function isRepositoryPattern(text: string): boolean {
  const parts = text.split('/')
  const last = parts.at(-1)
  const named = last === '**' ? parts.slice(0, -1) : parts
  return text.length <= MAX_LENGTH && named.every((part) => COMPONENT.test(part))
}

/** `registry/repository`, the repository as above. */
export function isPlacePattern(text: string): boolean {
  const slash = text.indexOf('/')
  return slash > 0 && isRepositoryPattern(text.slice(slash + 1))
}

/** Compares component by component, each once. */
export function matchesRepository(pattern: string, repository: string): boolean {
  const wanted = pattern.split('/')
  const parts = repository.split('/')
  const below = wanted.at(-1) === '**'
  const named = below ? wanted.slice(0, -1) : wanted
  if (below ? parts.length <= named.length : parts.length !== named.length) return false
  return named.every((part, at) => part === '*' || part === parts[at])
}
