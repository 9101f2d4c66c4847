import type { Job } from '../api/types.ts'

/** What a job is about, short: the package as soon as it is known, else the file or reference that it is made of. */
export function nameOf({ source, package: about, kind }: Pick<Job, 'source' | 'package' | 'kind'>): string {
  if (about) return about.version === null ? about.name : `${about.name} ${about.version}`
  const last = lastOf(source)
  return last === '' ? kind : last
}

/** `oci://ghcr.io/team/nemo:1.2.0` → `nemo:1.2.0`; a digest is cut to what tells it apart. */
export function lastOf(reference: string): string {
  const last = reference.split('/').at(-1) ?? reference
  return shortDigests(last)
}

/** What a job does; a look at what would happen is none of those that do it. */
export function kindOf({ kind, options }: Pick<Job, 'kind' | 'options'>): string {
  return options.dryRun ? `${kind}, as a dry run` : kind
}

/** Of `file:/absolute` and `file:///absolute`, which are one. */
export function pathOf(source: string): string {
  const path = source.replace(/^file:(?:\/\/)?/, '')
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

export function shortDigests(text: string): string {
  return text.replace(/(sha256:[0-9a-f]{12})[0-9a-f]{52}/g, '$1…')
}

/** Where from and where to, without what every one of them has. */
export function placeOf(address: string | null): string {
  return shortDigests((address ?? '').replace(/^oci:\/\//, ''))
}

/** The registry whose queue a job is in, as far as its addresses tell; `local` for one that goes to none. */
export function queueOf({ source, destination }: Pick<Job, 'source' | 'destination'>): string {
  const address = [destination, source].find((one) => one?.startsWith('oci://')) ?? ''
  const host = address.slice('oci://'.length).split('/')[0]?.toLowerCase() ?? ''
  if (host === '') return 'local'
  return DOCKER_HUB.has(host) ? 'docker.io' : host
}

const DOCKER_HUB: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])
