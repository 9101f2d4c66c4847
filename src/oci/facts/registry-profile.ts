import { apiHost } from './registry-name.ts'

const MIB = 1024 * 1024

/** What is known of a registry before the first request: a prior for what it is then seen to do (LearnedUploads). */
export interface RegistryProfile {
  readonly name: string
  /** What brings a large blob first: one PATCH of unknown length, as docker sends it, or one PUT with all of it. */
  readonly first: 'stream' | 'put'
  /** Bytes of each PATCH but the last where a session takes several; undefined where it takes one. */
  readonly parts: { readonly minBytes: number; readonly maxBytes: number } | undefined
  /** The last part goes with the PUT that commits: an empty one would be refused after parts. */
  readonly lastInPut: boolean
  /** How long a request may take before it is cut. */
  readonly deadlineMs: number | undefined
  /** Whether a registry that is asked where a session stands says something true. Else our own count holds. */
  readonly tellsStatus: boolean
  /** How much too high the bytes are that its Range tells. */
  readonly rangeBias: 0 | 1
  /** Whether a large blob may be asked for in several ranges at once. */
  readonly ranges: boolean
}

/** Anything of which nothing is known: docker's way first, as each registry is tested against docker. */
const UNKNOWN: RegistryProfile = {
  name: 'unknown',
  first: 'stream',
  parts: { minBytes: MIB, maxBytes: 1024 * MIB },
  lastInPut: false,
  deadlineMs: undefined,
  tellsStatus: true,
  rangeBias: 0,
  ranges: true,
}

/** Source: registries.md, from vendors' documentation, sources and reports; each line is the part that differs. */
const PROFILES: readonly (RegistryProfile & { readonly hosts: RegExp })[] = [
  {
    ...UNKNOWN,
    name: 'hub',
    hosts: /^registry-1\.docker\.io$/,
    parts: { minBytes: 16 * MIB, maxBytes: 100 * MIB },
    // It counts requests.
    ranges: false,
  },
  {
    ...UNKNOWN,
    name: 'ecr',
    hosts:
      /^(?:\d+\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.(?:com|com\.cn|eu)|on\.(?:aws|amazonwebservices\.com\.cn|amazonwebservices\.eu))|public\.ecr\.aws)$/,
    // Smaller and larger ones are refused when the layer is complete; its Range sticks at the first part.
    parts: { minBytes: 5 * MIB, maxBytes: 10 * MIB },
    lastInPut: true,
    tellsStatus: false,
  },
  {
    ...UNKNOWN,
    name: 'ghcr',
    hosts: /^(?:ghcr\.io|containers\.[a-z0-9-]+\.ghe\.com)$/,
    // A PATCH with a length may bring 4 MiB; docker's, which has none, whatever ten minutes let through.
    parts: { minBytes: MIB, maxBytes: 4 * MIB },
    deadlineMs: 600_000,
  },
  {
    ...UNKNOWN,
    name: 'quay',
    hosts: /^quay\.io$/,
    parts: { minBytes: 5 * MIB, maxBytes: 64 * MIB },
    rangeBias: 1,
    // Its addresses in storage live for a minute.
    ranges: false,
  },
  {
    ...UNKNOWN,
    name: 'acr',
    hosts: /^[a-z0-9-]+\.azurecr\.(?:io|cn|us)$/,
    parts: { minBytes: 4 * MIB, maxBytes: 16 * MIB },
  },
  {
    ...UNKNOWN,
    name: 'gar',
    hosts: /^(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)$/,
    // A second PATCH ends the session.
    first: 'put',
    parts: undefined,
    tellsStatus: false,
  },
  {
    ...UNKNOWN,
    name: 'gitlab',
    hosts: /^registry\.gitlab\.com$/,
    parts: { minBytes: 5 * MIB, maxBytes: 256 * MIB },
  },
  {
    ...UNKNOWN,
    name: 'artifactory',
    hosts: /^[a-z0-9-]+\.jfrog\.io$/,
    parts: { minBytes: MIB, maxBytes: 128 * MIB },
  },
  {
    ...UNKNOWN,
    name: 'digitalocean',
    hosts: /^registry\.digitalocean\.com$/,
    parts: { minBytes: 5 * MIB, maxBytes: 256 * MIB },
  },
  {
    ...UNKNOWN,
    name: 'forgejo',
    hosts: /^codeberg\.org$/,
    // It stands behind a front end that takes bodies of 100 MB.
    parts: { minBytes: MIB, maxBytes: 64 * MIB },
  },
]

/** `registry`: host[:port] as a reference names it. Registries that can stand anywhere are told by what they do. */
export function registryProfile(registry: string): RegistryProfile {
  const host = apiHost(registry.toLowerCase()).replace(/:443$/, '')
  return PROFILES.find(({ hosts }) => hosts.test(host)) ?? UNKNOWN
}
