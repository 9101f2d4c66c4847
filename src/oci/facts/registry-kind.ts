/** What a registry's answer to GET /v2/ shows of it. */
export interface RegistryTraits {
  readonly status: number
  readonly header: (name: string) => string | undefined
  /** Where its challenges send for tokens. */
  readonly realm: string | undefined
  readonly service: string | undefined
  /** What Basic's challenge calls itself. */
  readonly basicRealm: string | undefined
}

export interface RegistryKind {
  readonly name: string
  /** As it says itself; its own words. */
  readonly version?: string
}

interface Sign {
  readonly name: string
  /** Its version, or '' where it shows none; undefined: it is another. */
  readonly shows: (traits: RegistryTraits) => string | undefined
}

const shown = (is: boolean): string | undefined => (is ? '' : undefined)

/** The surest first. Source: registries.md 2 to 17 and 22. */
const SIGNS: readonly Sign[] = [
  { name: 'Artifactory', shows: ({ header }) => /^Artifactory\/(\S{1,40})/.exec(header('x-jfrog-version') ?? '')?.[1] },
  { name: 'Artifactory', shows: ({ header }) => shown(header('x-artifactory-id') !== undefined) },
  { name: 'Nexus', shows: ({ header }) => /^Nexus\/(\S{1,40})/.exec(header('server') ?? '')?.[1] },
  { name: 'Nexus', shows: ({ basicRealm }) => shown(/^Sonatype Nexus/i.test(basicRealm ?? '')) },
  { name: 'Harbor', shows: ({ service }) => shown(service === 'harbor-registry') },
  { name: 'Harbor', shows: ({ basicRealm }) => shown(basicRealm === 'harbor') },
  {
    name: 'Amazon ECR',
    shows: ({ service, header }) => shown(isAmazon(service ?? '') || header('x-amzn-requestid') !== undefined),
  },
  {
    name: 'Azure Container Registry',
    shows: ({ header }) => shown(header('x-ms-correlation-request-id') !== undefined),
  },
  { name: 'Docker Hub', shows: ({ service }) => shown(service === 'registry.docker.io') },
  { name: 'GitHub (GHCR)', shows: ({ service }) => shown(service === 'ghcr.io') },
  { name: 'GitLab', shows: ({ realm }) => shown(realm?.endsWith('/jwt/auth') === true) },
  { name: 'Quay', shows: ({ realm }) => shown(realm?.endsWith('/v2/auth') === true) },
  {
    name: 'Gitea or Forgejo',
    shows: ({ service, realm }) => shown(service === 'container_registry' && realm?.endsWith('/v2/token') === true),
  },
  { name: 'zot', shows: ({ header }) => /^zot\/?(\S{0,40})/i.exec(header('server') ?? '')?.[1] },
  { name: 'zot', shows: ({ header }) => shown(header('distribution-api-version') !== undefined) },
]

function isAmazon(service: string): boolean {
  return service === 'ecr.amazonaws.com' || service === 'public.ecr.aws'
}

/** A guess by the signs that kinds of registries are known to leave; undefined where there are none. */
export function registryKind(traits: RegistryTraits): RegistryKind | undefined {
  for (const { name, shows } of SIGNS) {
    const version = shows(traits)
    if (version !== undefined) return version === '' ? { name } : { name, version }
  }
  return undefined
}
