const MIB = 1024 * 1024

/** What is known of a registry before it was seen to do anything: a prior for that (LearnedUploads). */
export interface RegistryProfile {
  readonly name: string
  /** What people call registries of this kind. */
  readonly kind: string
  /** What brings a large blob first: one PATCH of unknown length, as docker sends it, or one PUT with all of it. */
  readonly first: 'stream' | 'put'
  /** Bytes of each PATCH but the last where a session takes several; undefined where it takes one. */
  readonly parts: { readonly minBytes: number; readonly maxBytes: number } | undefined
  /** A larger blob goes in parts from the start. */
  readonly streamMaxBytes: number | undefined
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
  /** It was chosen by what answers showed, which anybody can write into an answer. */
  readonly guessed: boolean
}

/** Anything of which nothing is known: docker's way first, as each registry is tested against docker. */
export const UNKNOWN: RegistryProfile = {
  name: 'unknown',
  kind: 'unknown',
  first: 'stream',
  parts: { minBytes: MIB, maxBytes: 1024 * MIB },
  streamMaxBytes: undefined,
  lastInPut: false,
  deadlineMs: undefined,
  tellsStatus: true,
  rangeBias: 0,
  ranges: true,
  guessed: false,
}

interface Line extends Partial<RegistryProfile> {
  readonly name: string
  readonly kind: string
  /** Services of that kind that stand in one place. */
  readonly hosts?: RegExp
}

const ECR = {
  // Smaller and larger ones are refused when the layer is complete; its Range sticks at the first part.
  parts: { minBytes: 5 * MIB, maxBytes: 10 * MIB },
  lastInPut: true,
  tellsStatus: false,
}

/** Source: registries.md, from vendors' documentation, sources and reports; each line is the part that differs. */
const LINES: readonly Line[] = [
  {
    name: 'hub',
    kind: 'Docker Hub',
    hosts: /^registry-1\.docker\.io$/,
    parts: { minBytes: 16 * MIB, maxBytes: 100 * MIB },
    // It counts requests.
    ranges: false,
  },
  {
    ...ECR,
    name: 'ecr',
    kind: 'Amazon ECR',
    hosts:
      /^\d+\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.(?:com|com\.cn|eu)|on\.(?:aws|amazonwebservices\.com\.cn|amazonwebservices\.eu))$/,
  },
  { ...ECR, name: 'ecr-public', kind: 'Amazon ECR Public', hosts: /^public\.ecr\.aws$/ },
  {
    name: 'ghcr',
    kind: 'GitHub (GHCR)',
    hosts: /^(?:ghcr\.io|containers\.[a-z0-9-]+\.ghe\.com)$/,
    // A PATCH with a length may bring 4 MiB; docker's, which has none, whatever ten minutes let through.
    parts: { minBytes: MIB, maxBytes: 4 * MIB },
    deadlineMs: 600_000,
  },
  {
    name: 'quay',
    kind: 'Quay',
    hosts: /^quay\.io$/,
    parts: { minBytes: 5 * MIB, maxBytes: 64 * MIB },
    rangeBias: 1,
    // Its addresses in storage live for a minute.
    ranges: false,
  },
  {
    name: 'acr',
    kind: 'Azure Container Registry',
    hosts: /^[a-z0-9-]+\.azurecr\.(?:io|cn|us)$/,
    parts: { minBytes: 4 * MIB, maxBytes: 16 * MIB },
  },
  {
    name: 'gar',
    kind: 'Google Artifact Registry',
    hosts: /^(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)$/,
    // A second PATCH ends the session.
    first: 'put',
    parts: undefined,
    tellsStatus: false,
  },
  {
    name: 'gitlab',
    kind: 'GitLab',
    hosts: /^registry\.gitlab\.com$/,
    parts: { minBytes: 5 * MIB, maxBytes: 256 * MIB },
  },
  {
    name: 'artifactory',
    kind: 'Artifactory',
    hosts: /^[a-z0-9-]+\.jfrog\.io$/,
    parts: { minBytes: MIB, maxBytes: 128 * MIB },
  },
  {
    name: 'digitalocean',
    kind: 'DigitalOcean',
    hosts: /^registry\.digitalocean\.com$/,
    parts: { minBytes: 5 * MIB, maxBytes: 256 * MIB },
  },
  {
    name: 'gitea',
    kind: 'Gitea or Forgejo',
    hosts: /^codeberg\.org$/,
    // Many stand behind a front end that takes bodies of 100 MB.
    parts: { minBytes: MIB, maxBytes: 64 * MIB },
  },
  {
    name: 'harbor',
    kind: 'Harbor',
    parts: { minBytes: 5 * MIB, maxBytes: 256 * MIB },
    // Its proxy gives up on the commit of one giant PATCH, and its core on requests of half an hour.
    streamMaxBytes: 1024 * MIB,
  },
  { name: 'nexus', kind: 'Nexus' },
  // It cuts requests at this age, and a cut takes the session.
  { name: 'zot', kind: 'zot', parts: { minBytes: MIB, maxBytes: 64 * MIB }, deadlineMs: 60_000 },
  // It says itself how large parts may be; a front end of Cloudflare's takes no larger bodies.
  { name: 'cloudflare', kind: "Cloudflare's registry", parts: { minBytes: 5 * MIB, maxBytes: 95 * MIB } },
  { name: 'pulp', kind: 'Pulp' },
  { name: 'olareg', kind: 'olareg' },
  { name: 'distribution', kind: 'distribution, or one that is made after it' },
  { name: 'distribution-2', kind: 'distribution 2' },
  { name: 'distribution-3', kind: 'distribution 3' },
]

export const BY_HOST: ReadonlyArray<{ readonly hosts: RegExp; readonly profile: RegistryProfile }> = LINES.flatMap(
  ({ hosts, ...line }) => (hosts ? [{ hosts, profile: { ...UNKNOWN, ...line } }] : []),
)

/**
 * For a registry that only looks like one: what would be wrong without a sign of its being wrong is left out. A count that is not one too high
 * would be read as one byte less, and that byte sent twice.
 */
export const BY_NAME: ReadonlyMap<string, RegistryProfile> = new Map(
  LINES.map((line) => [line.name, { ...UNKNOWN, ...line, rangeBias: 0, guessed: true }]),
)
