import { createHash } from 'node:crypto'
import { type Answer, errorAnswer, readAll, type RecordedRequest } from './memory-registry-exchange.ts'

export interface StoredManifest {
  readonly mediaType: string
  readonly bytes: Buffer
  readonly digest: string
}

export interface ManifestStoreOptions {
  hasBlob: (repository: string, digest: string) => boolean
  /** False returns all tags at once, whatever `n` says, as distribution 2.8 does. */
  paging: boolean
  /** Takes an index whose manifests are not there. */
  danglingIndexes: boolean
  artifactManifests: boolean
}

export interface ManifestStore {
  handle(request: RecordedRequest, body: AsyncIterable<Buffer>): Promise<Answer | undefined>
  /** By tag or digest. */
  get(repository: string, reference: string): StoredManifest | undefined
  /** Without any check; returns the digest. */
  put(repository: string, reference: string, mediaType: string, bytes: Buffer): string
  delete(repository: string, reference: string): void
}

const MANIFEST = /^\/v2\/(.+)\/manifests\/([^/]+)$/
const TAGS = /^\/v2\/(.+)\/tags\/list$/
const MAX_BYTES = 4 * 1024 * 1024
const INDEXES = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json']
const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
const MANIFESTS = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json']

export function createManifestStore(options: ManifestStoreOptions): ManifestStore {
  const manifests = new Map<string, StoredManifest>()
  const tags = new Map<string, Map<string, string>>()
  const key = (repository: string, digest: string) => `${repository}@${digest}`

  const get = (repository: string, reference: string): StoredManifest | undefined => {
    const digest = reference.includes(':') ? reference : tags.get(repository)?.get(reference)
    return digest === undefined ? undefined : manifests.get(key(repository, digest))
  }

  const put = (repository: string, reference: string, mediaType: string, bytes: Buffer): string => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    manifests.set(key(repository, digest), { mediaType, bytes, digest })
    const named = tags.get(repository) ?? new Map<string, string>()
    tags.set(repository, named)
    if (!reference.includes(':')) named.set(reference, digest)
    return digest
  }

  const take = async (request: RecordedRequest, body: AsyncIterable<Buffer>, repository: string, reference: string) => {
    const bytes = await readAll(body)
    const mediaType = request.headers['content-type'] ?? ''
    const refused =
      checkBody(mediaType, bytes, options.artifactManifests) ??
      checkChildren(mediaType, bytes, (digest, isManifest) =>
        isManifest
          ? options.danglingIndexes || manifests.has(key(repository, digest))
          : options.hasBlob(repository, digest),
      )
    if (refused) return refused
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    if (reference.includes(':') && reference !== digest) {
      return errorAnswer(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
    }
    put(repository, reference, mediaType, bytes)
    return {
      status: 201,
      headers: { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest },
    }
  }

  const give = (request: RecordedRequest, repository: string, reference: string): Answer => {
    const manifest = get(repository, reference)
    if (!manifest) return errorAnswer(404, 'MANIFEST_UNKNOWN', 'manifest unknown', { Tag: reference })
    const accept = request.headers.accept ?? ''
    if (manifest.mediaType.includes('vnd.oci.') && !accept.includes(manifest.mediaType)) {
      const message = 'OCI manifest found, but accept header does not support OCI manifests'
      return errorAnswer(404, 'MANIFEST_UNKNOWN', message)
    }
    return {
      status: 200,
      headers: {
        'content-type': manifest.mediaType,
        'docker-content-digest': manifest.digest,
        etag: `"${manifest.digest}"`,
      },
      body: manifest.bytes,
    }
  }

  const list = (request: RecordedRequest, repository: string): Answer => {
    const named = tags.get(repository)
    if (!named) return errorAnswer(404, 'NAME_UNKNOWN', 'repository name not known to registry', { name: repository })
    const json = { 'content-type': 'application/json' }
    const page = (names: string[]) => JSON.stringify({ name: repository, tags: names })
    if (!options.paging) return { status: 200, headers: json, body: page([...named.keys()]) }
    const last = request.query.get('last') ?? ''
    const rest = [...named.keys()].toSorted((a, b) => (a < b ? -1 : 1)).filter((tag) => tag > last)
    const count = Number(request.query.get('n') ?? rest.length)
    const names = rest.slice(0, count)
    const more = rest.length > names.length && names.length > 0
    const next = `</v2/${repository}/tags/list?last=${encodeURIComponent(names.at(-1) ?? '')}&n=${count}>; rel="next"`
    return { status: 200, headers: { ...json, ...(more ? { link: next } : {}) }, body: page(names) }
  }

  return {
    get,
    put,
    delete: (repository, reference) => {
      const manifest = get(repository, reference)
      if (!reference.includes(':')) tags.get(repository)?.delete(reference)
      else if (manifest) manifests.delete(key(repository, manifest.digest))
    },
    async handle(request, body) {
      const listed = TAGS.exec(request.path)?.[1]
      if (listed) return list(request, listed)
      const [, repository = '', reference = ''] = MANIFEST.exec(decodeURIComponent(request.path)) ?? []
      if (!repository) return undefined
      if (request.method === 'PUT') return take(request, body, repository, reference)
      if (request.method === 'GET' || request.method === 'HEAD') return give(request, repository, reference)
      return errorAnswer(405, 'UNSUPPORTED', 'The operation is unsupported.')
    },
  }
}

function checkBody(mediaType: string, bytes: Buffer, artifacts: boolean): Answer | undefined {
  if (bytes.length > MAX_BYTES)
    return errorAnswer(400, 'MANIFEST_INVALID', 'manifest invalid', 'http: request body too large')
  if (!INDEXES.includes(mediaType) && !MANIFESTS.includes(mediaType) && !(artifacts && mediaType === ARTIFACT)) {
    return errorAnswer(400, 'MANIFEST_INVALID', 'manifest invalid', `unsupported manifest media type ${mediaType}`)
  }
  try {
    const body = JSON.parse(bytes.toString()) as { mediaType?: string }
    if (body.mediaType === undefined || body.mediaType === mediaType) return undefined
    return errorAnswer(
      400,
      'MANIFEST_INVALID',
      'manifest invalid',
      `mediaType is ${body.mediaType}, expected ${mediaType}`,
    )
  } catch {
    return errorAnswer(400, 'MANIFEST_INVALID', 'manifest invalid')
  }
}

function checkChildren(
  mediaType: string,
  bytes: Buffer,
  has: (digest: string, isManifest: boolean) => boolean,
): Answer | undefined {
  interface Child {
    digest: string
    urls?: string[]
  }
  type Lists = Partial<Record<'layers' | 'blobs' | 'manifests', Child[]>>
  const { config, layers = [], blobs = [], manifests = [] } = JSON.parse(bytes.toString()) as Lists & { config?: Child }
  const isIndex = INDEXES.includes(mediaType)
  const children = isIndex ? manifests : [...(config ? [config] : []), ...layers, ...blobs]
  // As distribution has it: what says where else it can be had need not be there.
  const missing = children.filter((child) => !child.urls?.length && !has(child.digest, isIndex))
  if (missing.length === 0) return undefined
  const errors = missing.map(({ digest }) => ({
    code: 'MANIFEST_BLOB_UNKNOWN',
    message: 'blob unknown to registry',
    detail: { digest },
  }))
  return { status: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ errors }) }
}
