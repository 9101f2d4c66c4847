import { type LearnedFacts } from './learned-facts.ts'
import { BY_NAME } from './profiles.ts'

/** What an answer of a registry shows of it, from its own host and not from where it led to. */
export interface RegistryTraits {
  readonly header: (name: string) => string | undefined
  /** Where its challenges send for tokens. */
  readonly realm: string | undefined
  readonly service: string | undefined
  /** What Basic's challenge calls itself. */
  readonly basicRealm: string | undefined
  /** The beginning of an error's body, where it was read. */
  readonly text?: string | undefined
}

export interface RegistryKind {
  /** Of its profile. */
  readonly profile: string
  readonly name: string
  /** As it says itself: digits and dots, which hold no secret. */
  readonly version?: string
}

interface Sign {
  readonly profile: string
  /** Its version, or '' where it shows none; undefined: it is another. */
  readonly shows: (traits: RegistryTraits) => string | undefined
}

const shown = (is: boolean): string | undefined => (is ? '' : undefined)
const sign = (profile: string, is: (traits: RegistryTraits) => boolean): Sign => ({
  profile,
  shows: (traits) => shown(is(traits)),
})
/** A product's name in a header, and the version that may stand behind it. */
const product = (profile: string, header: string, name: RegExp): Sign => ({
  profile,
  shows: (traits) => {
    const said = traits.header(header) ?? ''
    const found = name.exec(said)?.[0]
    if (found === undefined) return undefined
    return /^[ /]v?(\d{1,5}(?:\.\d{1,5}){1,3})/.exec(said.slice(found.length))?.[1] ?? ''
  },
})
const pathOf = (realm: string | undefined) => URL.parse(realm ?? '')?.pathname

/**
 * The surest first: what one program alone writes, then what services call themselves, then what others may do too. In texts of errors only what no
 * name of a repository or a tag could hold, as those are repeated there. Source: registries.md 2 to 17 and 22, olareg config/config.go.
 */
const SIGNS: readonly Sign[] = [
  product('artifactory', 'x-jfrog-version', /^Artifactory/),
  sign('artifactory', ({ header }) => header('x-artifactory-id') !== undefined),
  product('nexus', 'server', /^Nexus/),
  sign('nexus', ({ basicRealm }) => /^Sonatype Nexus/i.test(basicRealm ?? '')),
  sign('harbor', ({ service, basicRealm }) => service === 'harbor-registry' || basicRealm === 'harbor'),
  sign('ecr-public', ({ service }) => service === 'public.ecr.aws'),
  sign('ecr', ({ service }) => service === 'ecr.amazonaws.com'),
  sign('ecr', ({ text = '' }) =>
    /repository with name '[^']{1,256}' does not exist in the registry with id '/.test(text),
  ),
  sign('acr', ({ header }) => header('x-ms-correlation-request-id') !== undefined),
  sign('gar', ({ service = '' }) => /^(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)$/.test(service)),
  sign('gar', ({ text = '' }) => text.includes('Permission \\"artifactregistry.')),
  sign('hub', ({ service }) => service === 'registry.docker.io'),
  sign('ghcr', ({ service }) => service === 'ghcr.io'),
  sign('digitalocean', ({ service }) => service === 'registry.digitalocean.com'),
  sign('olareg', ({ service, basicRealm }) => service === 'olareg registry' || basicRealm === 'olareg registry'),
  sign('cloudflare', ({ header }) => header('oci-chunk-max-length') !== undefined),
  product('zot', 'server', /^zot/i),
  sign('gitlab', ({ realm }) => pathOf(realm) === '/jwt/auth'),
  sign('quay', ({ realm }) => pathOf(realm)?.endsWith('/v2/auth') === true),
  sign(
    'gitea',
    ({ service, realm }) => service === 'container_registry' && pathOf(realm)?.endsWith('/v2/token') === true,
  ),
  sign('pulp', ({ realm, header }) => pathOf(realm) === '/token/' && header('correlation-id') !== undefined),
  sign('zot', ({ header }) => header('distribution-api-version') !== undefined),
  sign('distribution', ({ header }) => header('docker-distribution-api-version') !== undefined),
]

/** How sure a profile's surest sign is; the last for one that has none. */
const rankOf = (profile: string | undefined): number => {
  const at = SIGNS.findIndex((one) => one.profile === profile)
  return at === -1 ? SIGNS.length : at
}

/** A guess by the signs that kinds of registries are known to leave; undefined where there are none. */
export function registryKind(traits: RegistryTraits): RegistryKind | undefined {
  for (const { profile, shows } of SIGNS) {
    const version = shows(traits)
    if (version === undefined) continue
    const kind = { profile, name: BY_NAME.get(profile)?.kind ?? profile }
    return version === '' ? kind : { ...kind, version }
  }
  return undefined
}

/** Takes what an answer shows, where it is surer than what was seen before. Whether that is news. */
export function learnShown({ shown: before }: Pick<LearnedFacts, 'shown'>, traits: RegistryTraits): boolean {
  const kind = registryKind(traits)
  if (kind === undefined || rankOf(kind.profile) > rankOf(before.profile)) return false
  const { profile, version = before.profile === profile ? before.version : undefined } = kind
  if (profile === before.profile && version === before.version) return false
  before.profile = profile
  if (version === undefined) delete before.version
  else before.version = version
  return true
}
