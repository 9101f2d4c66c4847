import { digestOf, etagOf } from './blobs.ts'
import { type Answer, errorAnswer, readAll, type RecordedRequest, refusalAnswer } from './exchange.ts'
import { createReferrers } from './referrers.ts'
import type { ManifestWays } from './ways.ts'

export interface StoredManifest {
  readonly mediaType: string
  readonly bytes: Buffer
  readonly digest: string
}

export interface ManifestStoreOptions {
  readonly ways: ManifestWays
  readonly hasBlob: (repository: string, digest: string) => boolean
}

export interface ManifestStore {
  handle(request: RecordedRequest, body: AsyncIterable<Buffer>): Promise<Answer | undefined>
  /** By tag or digest. */
  get(repository: string, reference: string): StoredManifest | undefined
  /** Without any check; returns the digest. */
  put(repository: string, reference: string, mediaType: string, bytes: Buffer): string
  delete(repository: string, reference: string): void
  /** Whether a manifest of the repository names the blob. */
  references(repository: string, digest: string): boolean
}

interface Body {
  readonly mediaType?: string
  readonly config?: Child
  readonly layers?: readonly Child[]
  readonly blobs?: readonly Child[]
  readonly manifests?: readonly Child[]
  readonly subject?: Child
}

interface Child {
  readonly digest: string
  readonly mediaType?: string
  readonly size?: number
  readonly urls?: readonly string[]
}

const MANIFEST = /^\/v2\/(.+)\/manifests\/([^/]+)$/
const TAGS = /^\/v2\/(.+)\/tags\/list$/
const INDEXES = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json']
const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
const MANIFESTS = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json']
const IMAGE_CONFIGS = ['application/vnd.oci.image.config.v1+json', 'application/vnd.oci.empty.v1+json']

export function createManifestStore({ ways, hasBlob }: ManifestStoreOptions): ManifestStore {
  const manifests = new Map<string, StoredManifest>()
  const tags = new Map<string, Map<string, string>>()
  const referrers = createReferrers(ways)
  const key = (repository: string, digest: string) => `${repository}@${digest}`

  const get = (repository: string, reference: string): StoredManifest | undefined => {
    const digest = reference.includes(':') ? reference : tags.get(repository)?.get(reference)
    return digest === undefined ? undefined : manifests.get(key(repository, digest))
  }

  const put = (repository: string, reference: string, mediaType: string, bytes: Buffer): string => {
    const digest = digestOf(bytes)
    manifests.set(key(repository, digest), { mediaType, bytes, digest })
    const named = tags.get(repository) ?? new Map<string, string>()
    tags.set(repository, named)
    if (!reference.includes(':')) named.set(reference, digest)
    return digest
  }

  const take = async (request: RecordedRequest, body: AsyncIterable<Buffer>, repository: string, reference: string) => {
    const bytes = await readAll(body)
    const mediaType = request.headers['content-type'] ?? ''
    const parsed = checkBody(ways, mediaType, bytes)
    if ('status' in parsed) return parsed
    const children = checkChildren(ways, mediaType, parsed, (digest, isManifest) =>
      isManifest ? ways.danglingIndexes || manifests.has(key(repository, digest)) : hasBlob(repository, digest),
    )
    if (children) return children
    const digest = digestOf(bytes)
    if (reference.includes(':') && reference !== digest) return refusalAnswer(ways.wrongDigest)
    if (ways.immutable && !reference.includes(':') && tags.get(repository)?.has(reference)) {
      return refusalAnswer(ways.immutable, { t: reference, r: repository })
    }
    put(repository, reference, mediaType, bytes)
    const told = referrers.add(repository, parsed.subject?.digest, { mediaType, digest, bytes })
    return {
      status: 201,
      headers: { location: place(request, repository, reference, digest), ...told, ...named(digest) },
    }
  }

  const place = ({ headers }: RecordedRequest, repository: string, reference: string, digest: string): string => {
    if (ways.location === 'wrong') return `/v2/${repository}/blobs/uploads/${digest.replace(':', '')}`
    const origin = ways.location === 'absolute' ? `http://${headers.host}` : ''
    return `${origin}/v2/${repository}/manifests/${ways.location === 'tag' ? reference : digest}`
  }

  const give = (request: RecordedRequest, repository: string, reference: string): Answer => {
    if (ways.badReference?.pattern.test(reference)) return refusalAnswer(ways.badReference)
    const manifest = get(repository, reference)
    if (!manifest) return errorAnswer(404, 'MANIFEST_UNKNOWN', 'manifest unknown', { Tag: reference })
    const { accept = '', 'if-none-match': etag } = request.headers
    if (ways.acceptRequired && manifest.mediaType.includes('vnd.oci.') && !accept.includes(manifest.mediaType)) {
      const message = 'OCI manifest found, but accept header does not support OCI manifests'
      return errorAnswer(404, 'MANIFEST_UNKNOWN', message)
    }
    const tagged: { etag?: string } = etagOf(ways.etag, manifest.digest)
    if (etag !== undefined && etag === tagged.etag) return { status: 304, headers: tagged }
    const headers = { ...named(manifest.digest), ...tagged }
    return { status: 200, headers: { 'content-type': manifest.mediaType, ...headers }, body: manifest.bytes }
  }

  const remove = (repository: string, reference: string): void => {
    const manifest = get(repository, reference)
    if (!reference.includes(':')) tags.get(repository)?.delete(reference)
    else if (manifest) manifests.delete(key(repository, manifest.digest))
  }

  const takeAway = (repository: string, reference: string): Answer => {
    const isTag = !reference.includes(':')
    const allowed = isTag ? ways.deleteTag : ways.deleteManifest
    if (typeof allowed === 'object') return refusalAnswer(allowed)
    const manifest = get(repository, reference)
    if (!manifest) return errorAnswer(404, 'MANIFEST_UNKNOWN', 'manifest unknown')
    remove(repository, reference)
    const named = tags.get(repository)
    if (!isTag && named) for (const [tag, digest] of named) if (digest === manifest.digest) named.delete(tag)
    return { status: allowed }
  }

  return {
    get,
    put,
    delete: remove,
    references: (repository, digest) =>
      [...manifests].some(([name, { bytes }]) => name.startsWith(`${repository}@`) && bytes.includes(digest)),
    async handle(request, body) {
      const listed = TAGS.exec(request.path)?.[1]
      if (listed) return listTags(ways, request, { repository: listed, named: tags.get(listed) })
      const found = referrers.handle(request)
      if (found) return found
      const [, repository = '', reference = ''] = MANIFEST.exec(decodeURIComponent(request.path)) ?? []
      if (!repository) return undefined
      if (request.method === 'PUT') return take(request, body, repository, reference)
      if (request.method === 'GET' || request.method === 'HEAD') return give(request, repository, reference)
      if (request.method === 'DELETE') return takeAway(repository, reference)
      return errorAnswer(405, 'UNSUPPORTED', 'The operation is unsupported.')
    },
  }
}

function listTags(
  ways: ManifestWays,
  request: RecordedRequest,
  { repository, named }: { repository: string; named: ReadonlyMap<string, string> | undefined },
): Answer {
  if (!named || (ways.emptyIsUnknown && named.size === 0)) {
    return errorAnswer(404, 'NAME_UNKNOWN', 'repository name not known to registry', { name: repository })
  }
  const wanted = request.query.get('n')
  if (ways.most && Number(wanted) > ways.most.n) return refusalAnswer(ways.most)
  const json = { 'content-type': 'application/json' }
  const page = (names: string[]) => JSON.stringify({ name: repository, tags: names })
  if (!ways.paging) return { status: 200, headers: json, body: page([...named.keys()]) }
  const last = request.query.get('last') ?? ''
  const rest = [...named.keys()].toSorted((a, b) => (a < b ? -1 : 1)).filter((tag) => tag > last)
  const count = Number(wanted ?? rest.length)
  const names = rest.slice(0, count)
  const isFull = wanted !== null && names.length === count
  const linksLast = ways.linkOnLast === 'always' || (ways.linkOnLast === 'where it is full' && isFull)
  const more = names.length > 0 && (rest.length > names.length || linksLast)
  const next = `</v2/${repository}/tags/list?last=${encodeURIComponent(names.at(-1) ?? '')}&n=${count}>; rel="next"`
  return { status: 200, headers: { ...json, ...(more ? { link: next } : {}) }, body: page(names) }
}

function named(digest: string): Record<string, string> {
  return { 'docker-content-digest': digest }
}

/** The manifest as it was read, or the refusal. */
function checkBody(ways: ManifestWays, mediaType: string, bytes: Buffer): Body | Answer {
  if (bytes.length > ways.maxBytes) return refusalAnswer(ways.tooLarge)
  if (mediaType.includes(';') && ways.parameters) return refusalAnswer(ways.parameters)
  const known = [...INDEXES, ...MANIFESTS, ...(ways.artifacts ? [ARTIFACT] : [])]
  const invalid = (detail: string): Answer => refusalAnswer({ ...ways.unsupported, detail })
  if (!known.includes(mediaType)) return invalid(`unsupported manifest media type ${mediaType}`)
  const body = parsed(bytes)
  if (!body) return errorAnswer(400, 'MANIFEST_INVALID', 'manifest invalid')
  if (body.mediaType === undefined && ways.noMediaType) return refusalAnswer(ways.noMediaType)
  if (body.mediaType !== undefined && body.mediaType !== mediaType) {
    const message = `mediaType is ${body.mediaType}, expected ${mediaType}`
    return errorAnswer(400, 'MANIFEST_INVALID', 'manifest invalid', message)
  }
  const { config } = body
  if (config?.size === 0 && ways.emptyConfig) return refusalAnswer(ways.emptyConfig)
  const isRefused = config && ways.configTypes && !ways.configTypes.includes(config.mediaType ?? '')
  return isRefused ? refusalAnswer(ways.badConfig) : body
}

function parsed(bytes: Buffer): Body | undefined {
  try {
    return JSON.parse(bytes.toString()) as Body
  } catch {
    return undefined
  }
}

function checkChildren(
  ways: ManifestWays,
  mediaType: string,
  { config, layers = [], blobs = [], manifests = [] }: Body,
  has: (digest: string, isManifest: boolean) => boolean,
): Answer | undefined {
  const isIndex = INDEXES.includes(mediaType)
  if (!isIndex && ways.checksBlobs === 'of images' && !IMAGE_CONFIGS.includes(config?.mediaType ?? '')) return undefined
  const children = isIndex ? manifests : [...(config ? [config] : []), ...layers, ...blobs]
  // As distribution has it: what says where else it can be had need not be there.
  const lacking = children.filter(({ digest, urls = [] }) => urls.length === 0 && !has(digest, isIndex))
  const missing = lacking.map(({ digest }) => digest)
  return missing.length === 0 ? undefined : missingAnswer(ways.missingBlob, missing)
}

function missingAnswer(refusal: ManifestWays['missingBlob'], missing: readonly string[]): Answer {
  const { code = '', message = '', tells } = refusal
  if (tells === 'nothing') return refusalAnswer(refusal)
  const details = {
    object: (digest: string) => ({ digest }),
    quay: (digest: string) => ({ message: `Unknown blob \`${digest}\`` }),
  }
  const detail = (digest: string): unknown => (tells === 'text' ? digest : details[tells](digest))
  const errors = missing.map((digest) => ({ code, message, detail: detail(digest) }))
  return { ...refusalAnswer(refusal), body: JSON.stringify({ errors }) }
}
