/** As many registries as have a label of their own; a caller could name any number. */
const MAX_HOSTS = 100

/** The first hosts keep their names for the life of the process, all others are "other". */
export function createHostLabels(): (host: string) => string {
  const known = new Set<string>()
  return (host) => {
    if (known.has(host)) return host
    if (known.size === MAX_HOSTS) return 'other'
    known.add(host)
    return host
  }
}
