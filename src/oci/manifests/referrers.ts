import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex } from '../../content/digest.ts'
import { parseManifest, rawManifest } from '../../content/manifest.ts'
import { OCI_INDEX } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { placeName, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryResponse } from '../request/transport.ts'
import { getManifest } from './manifests.ts'
import { listPages } from './pages.ts'

/** What refers to a manifest by its `subject`: signatures, attestations, packages. */
export interface Referrers {
  readonly referrers: readonly Descriptor[]
  /** Who keeps the list: the registry (`api`), or its clients under a tag, as it keeps none. */
  readonly from: 'api' | 'tag'
}

export interface ReferrersOptions extends CallOptions {
  /** Those of this type alone. Default: all. */
  artifactType?: string
}

const MAX_REFERRERS = 10_000
const MAX_BYTES = 32 * 1024 * 1024
const MAX_PAGE_BYTES = 4 * 1024 * 1024
/** In these ways registries say that they keep no such list. Source: oci-client.md F2. */
const UNSUPPORTED: ReadonlySet<number> = new Set([400, 404, 405, 406, 501])

/**
 * What refers to the manifest of this digest, each once; none where the registry knows neither it nor its repository.
 * Source: OCI distribution-spec v1.1.1 "Listing Referrers", "Referrers Tag Schema".
 */
export async function listReferrers(
  context: RepositoryContext,
  subject: Digest,
  { artifactType, ...options }: ReferrersOptions,
): Promise<Referrers> {
  const ofType = ({ artifactType: type }: Descriptor): boolean => artifactType === undefined || type === artifactType
  const listed = await askApi(context, subject, { artifactType, ...options })
  if (listed) return { referrers: listed.filter(ofType), from: 'api' }
  const kept = await readTag(context, subject, options)
  return { referrers: kept.filter(ofType), from: 'tag' }
}

/** Under which tag clients keep the list where a registry doesn't. Source: the same, "Referrers Tag Schema". */
export function referrersTag(subject: Digest): string {
  const algorithm = digestAlgorithm(subject)
    .slice(0, 32)
    .replace(/[^A-Za-z0-9_.-]/g, '-')
  return `${algorithm}-${digestHex(subject).slice(0, 64)}`
}

/** What clients keep under names made of digests: lists of referrers, and what cosign keeps. */
const KEPT_BY_CLIENTS = /^(sha(?:256|512)-[0-9a-f]{64})(?:\.[a-z]+)?$/

/** The name that a tag of that sort begins with, as `referrersTag` makes it of what the tag is about; undefined for other tags. */
export function subjectTag(tag: string): string | undefined {
  return KEPT_BY_CLIENTS.exec(tag)?.[1]
}

/** Undefined where the registry keeps no list: what it says of itself elsewhere (OCI-Subject) proves neither. */
async function askApi(
  context: RepositoryContext,
  subject: Digest,
  { artifactType, ...options }: CallOptions & { artifactType: string | undefined },
): Promise<readonly Descriptor[] | undefined> {
  const filter = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
  const list = {
    first: `/v2/${context.repository}/referrers/${subject}${filter}`,
    accept: OCI_INDEX,
    op: 'list referrers',
    of: 'referrers',
    allow: [...UNSUPPORTED],
    // GHCR's leads to a web page.
    followRedirects: false,
  }
  const found = new Map<Digest, Descriptor>()
  let left = MAX_BYTES
  for await (const { request, response, isFirst } of listPages(context, list, options)) {
    if (isFirst && !isIndex(response)) {
      await response.discard()
      return undefined
    }
    if (response.status !== 200) throw await context.transport.error(request, response, 'expected a list of referrers')
    const bytes = await response.bytes(Math.min(left, MAX_PAGE_BYTES))
    left -= bytes.length
    const before = found.size
    for (const entry of entriesOf(bytes, placeName(context))) found.set(entry.digest, entry)
    await nextTurn()
    if (found.size > MAX_REFERRERS) throw tooMany(context, subject)
    if (found.size === before) break
  }
  return [...found.values()]
}

function isIndex(response: RegistryResponse): boolean {
  const mediaType = (response.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  return response.status === 200 && mediaType === OCI_INDEX
}

async function readTag(
  context: RepositoryContext,
  subject: Digest,
  options: CallOptions,
): Promise<readonly Descriptor[]> {
  const tag = referrersTag(subject)
  const raw = await getManifest(context, tag, options)
  if (!raw) return []
  const where = `${placeName(context)}:${tag}`
  const parsed = parseManifest(raw, where)
  if (parsed.kind === 'index') return parsed.manifests
  throw new AppError('TAG_NOT_INDEX', `${where} should hold the list of what refers to ${subject}, and is no index`, {
    hint: 'Delete that tag: clients keep referrers under it where a registry does not.',
    upstream: { registry: context.transport.registry, repository: context.repository, reference: tag },
  })
}

function entriesOf(bytes: Buffer, where: string): readonly Descriptor[] {
  const parsed = parseManifest(rawManifest(OCI_INDEX, bytes), `list of referrers of ${where}`)
  return parsed.kind === 'index' ? parsed.manifests : []
}

function tooMany(context: RepositoryContext, subject: Digest): AppError {
  return new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${placeName(context)} lists more than ${MAX_REFERRERS} referrers of ${subject}`,
    { op: 'list referrers', hint: 'Ask for those of one artifact type.' },
  )
}
