import { DIST28, DIST3 } from './distribution.ts'
import { BASE, override, type Overrides, type RegistryWays } from './ways.ts'

const MIB = 1024 * 1024
const NOT_FOUND = { status: 404, style: 'text', message: '404 page not found\n' } as const
const HOUR = 3_600_000

/** What a registry does that is distribution 2.8 beneath. */
const LIKE_28: Overrides = {
  uploads: { ...DIST28.uploads },
  blobs: { rangeAtEnd: 'full length' },
  manifests: { tooLarge: DIST28.manifests.tooLarge },
}

const DOCKERHUB: Overrides = {
  name: 'dockerhub',
  auth: {
    service: 'registry.docker.io',
    tokenField: 'both',
    tokenTtlMs: 300_000,
    deniedError: 'insufficient_scope',
  },
  uploads: { mountOrigin: { status: 400, style: 'text', message: '{"details":"invalid repository name"}' } },
  blobs: { redirect: { status: 307, ttlMs: 20 * 60_000, head: false } },
  manifests: {
    referrers: NOT_FOUND,
    subjectHeader: false,
    immutable: { status: 403, code: 'DENIED', message: 'requested access to the resource is denied' },
  },
  rate: { kind: 'hub', limit: 100, windowMs: 6 * HOUR },
}

const NO_LAYERS = 'None of the provided layer digests match the layers uploaded'

const ECR: Overrides = {
  name: 'ecr',
  auth: {
    kind: 'basic',
    challenge: ['Basic realm="http://<registry>/",service="ecr.amazonaws.com"'],
    expired: {
      status: 403,
      code: 'DENIED',
      message: 'Your authorization token has expired. Reauthenticate and try again.',
    },
  },
  uploads: {
    location: 'absolute',
    cut: 'parts',
    patchStatus: 201,
    patchRange: 'stuck',
    gap: { status: 416 },
    status: 404,
    partBytes: [5 * MIB, 10 * MIB],
    partSize: { status: 400, code: 'BLOB_UPLOAD_INVALID', message: 'LayerPartTooSmall' },
    emptyCommit: { status: 400, code: 'BLOB_UPLOAD_INVALID', message: NO_LAYERS },
    singlePost: false,
    mount: 'never',
    cancelStatus: 404,
  },
  blobs: { redirect: { status: 307, ttlMs: HOUR, head: false } },
  manifests: {
    unsupported: { status: 400, code: 'UNSUPPORTED', message: 'Invalid parameter at ImageManifest' },
    noMediaType: { status: 400, code: 'UNSUPPORTED', message: 'Invalid parameter: Invalid JSON syntax' },
    parameters: { status: 400, code: 'UNSUPPORTED', message: 'Invalid parameter at ImageManifest' },
    missingBlob: { status: 404, code: 'BLOB_UNKNOWN', message: 'layer does not exist', tells: 'text' },
    emptyConfig: { status: 500, code: 'UNKNOWN', message: 'internal error' },
    immutable: {
      status: 400,
      code: 'TAG_INVALID',
      message:
        "The image tag '<t>' already exists in the '<r>' repository and cannot be overwritten because the tag is immutable.",
    },
    badReference: { status: 400, pattern: /\+/ },
    most: { n: 1000, status: 400, code: 'UNSUPPORTED', message: 'Invalid parameter at maxResults' },
  },
  repositories: 'named',
  unknownRepository: {
    status: 404,
    code: 'NAME_UNKNOWN',
    message: "The repository with name '<r>' does not exist in the registry with id '123456789012'",
  },
}

/** As ECR where nothing else is known of it. */
const ECR_PUBLIC: Overrides = {
  ...ECR,
  name: 'ecr-public',
  auth: { kind: 'bearer', service: 'public.ecr.aws', challenge: BASE.auth.challenge },
}

const GHCR: Overrides = {
  name: 'ghcr',
  auth: {
    service: 'ghcr.io',
    scope: 'pull',
    tellsLife: false,
    wrongPassword: 403,
    denied: { status: 403, code: 'DENIED', message: 'permission_denied: write_package' },
  },
  uploads: {
    segment: 'upload',
    cut: 'bytes',
    patchMaxBytes: 4 * MIB,
    patchTooLarge: {
      status: 416,
      code: 'REQUESTED_RANGE_NOT_SATISFIABLE',
      message: 'the request body is too large and exceeds the maximum permissible limit of 4.00MiB',
    },
  },
  blobs: { redirect: { status: 307, ttlMs: 10 * 60_000, head: false } },
  manifests: { referrers: NOT_FOUND, subjectHeader: false },
}

const HARBOR: Overrides = {
  ...LIKE_28,
  name: 'harbor',
  auth: {
    service: 'harbor-registry',
    basicToo: true,
    tokenTtlMs: 1_800_000,
    grantsAll: true,
    cancelAction: 'delete',
    flips: true,
  },
  manifests: {
    tooLarge: { status: 413, code: 'REQUEST_ENTITY_TOO_LARGE', message: 'manifest too large' },
    immutable: { status: 412, code: 'PRECONDITION', message: "Failed to process request due to '<t>' immutable." },
    deleteTag: { status: 400, code: 'UNSUPPORTED', message: 'unsupported reference' },
  },
  repositories: 'beneath',
  unknownRepository: {
    status: 401,
    code: 'UNAUTHORIZED',
    message: 'project not found',
    headers: { 'www-authenticate': '' },
  },
  cookie: true,
}

const QUAY: Overrides = {
  name: 'quay',
  auth: {
    tokenTtlMs: HOUR,
    tellsLife: false,
    actions: ['pull', 'push', '*'],
    denied: { status: 401, code: 'UNAUTHORIZED', message: 'access to the requested resource is not authorized' },
    deleteAction: 'push',
  },
  uploads: {
    postRange: 'bytes=0--1',
    location: 'absolute',
    overlap: true,
    badRange: { status: 400, code: 'INVALID_REQUEST', message: 'invalid request' },
    gap: { status: 416, told: true },
    cut: 'parts',
    status: 'plus-one',
    emptyRange: '0--1',
    commitRange: 'ignored',
    noDigest: { status: 400, code: 'BLOB_UPLOAD_INVALID', message: 'blob upload invalid' },
    failureEnds: true,
    emptyBlob: { status: 500 },
  },
  blobs: {
    redirect: { status: 302, ttlMs: 60_000, head: false },
    delete: { status: 405, code: 'UNSUPPORTED', message: 'unsupported' },
  },
  manifests: {
    unsupported: { status: 415, code: 'MANIFEST_INVALID', message: 'manifest schema version not supported' },
    missingBlob: { status: 400, code: 'MANIFEST_INVALID', message: 'manifest invalid', tells: 'quay' },
    immutable: { status: 409, code: 'TAG_IMMUTABLE', message: 'tag <t> is immutable' },
    subjectHeader: false,
  },
  headers: { connection: 'close' },
}

const ACR: Overrides = {
  name: 'acr',
  auth: {
    service: 'registry.azurecr.io',
    scope: 'alternating',
    tokenField: 'access_token',
    tellsLife: false,
    post: 400,
    denied: {
      status: 401,
      code: 'UNAUTHORIZED',
      message: 'authentication required, visit https://aka.ms/acr/authorization',
    },
    tagsAction: 'metadata_read',
  },
  uploads: {
    query: '_nouploadcache=false&',
    gap: { status: 416, code: 'BLOB_UPLOAD_RANGE_INVALID', message: 'invalid range', detail: { Reason: 'OutOfOrder' } },
    repeat: { status: 416, told: true },
    rangeOfStream: { status: 400, code: 'CONTENT_LENGTH_INVALID', message: 'Content-Length is missing' },
    badRange: { status: 400, style: 'text', message: 'Content-Range header format is invalid' },
    bodyMaxBytes: 20 * MIB,
    bodyTooLarge: {
      status: 413,
      style: 'text',
      message: '413 Request Entity Too Large - AzureContainerRegistry',
    },
  },
  blobs: {
    redirect: { status: 307, ttlMs: 20 * 60_000, head: false },
    storageHeaders: { etag: '"0x8D9A2B3C4D5E6F7"' },
  },
  manifests: {
    artifacts: true,
    deleteTag: { status: 405, code: 'UNSUPPORTED', message: 'can only be deleted by digest' },
    linkOnLast: 'always',
    emptyIsUnknown: true,
  },
  rate: { kind: 'acr', limit: 100, windowMs: 1000 },
  headers: { 'x-ms-correlation-request-id': '6f9619ff-8b86-d011-b42d-00c04fc964ff' },
}

const GAR: Overrides = {
  name: 'gar',
  auth: {
    service: 'pkg.dev',
    tokenTtlMs: HOUR,
    post: 404,
    denied: {
      status: 403,
      code: 'DENIED',
      message: 'Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/p"',
    },
  },
  uploads: {
    cut: 'nothing',
    status: 404,
    onePatch: { status: 400, code: 'BLOB_UPLOAD_INVALID', message: 'chunked uploads are not supported' },
    mount: 'named',
  },
  blobs: { redirect: { status: 302, ttlMs: 10 * 60_000, head: false } },
  manifests: {
    immutable: {
      status: 400,
      code: 'MANIFEST_INVALID',
      message: 'cannot update tag <t>. The repository has enabled tag immutability',
    },
  },
  repositories: 'beneath',
  unknownRepository: { status: 404, code: 'NAME_UNKNOWN', message: 'Repository "<r>" not found' },
}

const GITLAB: Overrides = {
  ...LIKE_28,
  name: 'gitlab',
  auth: { service: 'container_registry', scope: 'alternating', tellsLife: false, tokenTtlMs: 300_000 },
  uploads: {
    ...DIST28.uploads,
    reads: 'always',
    gap: { status: 416, code: 'CONTENT_RANGE_INVALID', message: 'invalid content range' },
  },
  blobs: { redirect: { status: 307, ttlMs: 20 * 60_000, head: true } },
  manifests: { referrers: NOT_FOUND, subjectHeader: false },
  repositories: 'beneath',
}

const JFROG_RANGE = { status: 416, style: 'jfrog', message: 'Requested Range Not Satisfiable' } as const

const ARTIFACTORY: Overrides = {
  name: 'artifactory',
  auth: { service: 'artifactory.test', tokenTtlMs: 9_000_000, post: 401, basicToo: true },
  uploads: {
    postRange: undefined,
    location: 'absolute',
    suffix: '.patch',
    patchRange: 'streamed',
    gap: JFROG_RANGE,
    mount: 'never',
  },
  blobs: { etag: 'sha1', delete: { status: 405, style: 'jfrog', message: 'Method Not Allowed' } },
  manifests: { location: 'wrong', etag: 'sha1', emptyIsUnknown: true, linkOnLast: 'always' },
  repositories: 'beneath',
  headers: { 'x-jfrog-version': 'Artifactory/7.93.0 79300900' },
}

const NEXUS: Overrides = {
  name: 'nexus',
  auth: {
    kind: 'basic',
    challenge: ['BASIC realm="Sonatype Nexus Repository Manager"'],
    denied: { status: 403, code: 'DENIED', message: 'access to the requested resource is not authorized' },
  },
  uploads: { cut: 'nothing', status: 404, singlePost: false },
  manifests: { referrers: NOT_FOUND, subjectHeader: false },
  headers: { server: 'Nexus/3.96.0 (COMMUNITY)' },
}

const ZOT: Overrides = {
  name: 'zot',
  auth: { kind: 'none' },
  uploads: {
    cut: 'nothing',
    badRange: { status: 416 },
    badLength: { status: 416 },
    emptyRange: '0--1',
    statusHead: 405,
    mount: 'anywhere',
    noDigest: { status: 400 },
  },
  blobs: { etag: 'none' },
  manifests: {
    unsupported: { status: 415, code: 'MANIFEST_INVALID', message: 'manifest invalid' },
    missingBlob: { status: 400, code: 'MANIFEST_INVALID', message: 'manifest invalid', tells: 'nothing' },
    wrongDigest: { status: 400, code: 'MANIFEST_INVALID', message: 'manifest invalid' },
    checksBlobs: 'of images',
    acceptRequired: false,
    etag: 'none',
  },
  headers: { 'distribution-api-version': 'registry/2.0' },
}

const GITEA: Overrides = {
  name: 'gitea',
  auth: {
    challenge: ['Bearer realm="<realm>",service="<service>"<scope>', 'Basic realm="Gitea Package API"'],
    service: 'container_registry',
    scope: 'any',
    basicToo: true,
    grantsAll: true,
  },
  uploads: {
    gap: { status: 416, code: 'BLOB_UPLOAD_INVALID', message: '' },
    laterStream: { status: 416, code: 'BLOB_UPLOAD_INVALID', message: '' },
    cut: 'parts',
    status: 'no-range',
  },
  blobs: { ranges: false, contentType: 'text/plain; charset=utf-8' },
  manifests: {
    maxBytes: 10 * MIB,
    tooLarge: { status: 413, code: 'MANIFEST_INVALID', message: '' },
    unsupported: { status: 501, code: 'UNSUPPORTED', message: '' },
    location: 'tag',
    linkOnLast: 'always',
    referrers: NOT_FOUND,
    subjectHeader: false,
  },
  repositories: 'beneath',
  unknownRepository: { status: 404, code: 'NAME_UNKNOWN', message: '' },
}

/** As Gitea, and as older ones of it tell how many bytes they have. */
const FORGEJO: Overrides = {
  ...GITEA,
  name: 'forgejo',
  uploads: { ...GITEA.uploads, status: 'plus-one' },
}

const DIGITALOCEAN: Overrides = {
  ...LIKE_28,
  name: 'digitalocean',
  auth: { service: 'registry.digitalocean.com' },
  blobs: { redirect: { status: 307, ttlMs: 20 * 60_000, head: true } },
  manifests: { referrers: NOT_FOUND, subjectHeader: false },
  repositories: 'beneath',
}

const PULP: Overrides = {
  name: 'pulp',
  auth: { service: 'pulp.test', post: 405 },
  uploads: { cut: 'nothing', status: 404 },
  blobs: { redirect: { status: 302, ttlMs: 10 * 60_000, head: false } },
  manifests: {
    referrers: { status: 404, style: 'html', message: 'Not Found' },
    subjectHeader: false,
  },
}

const OLAREG: Overrides = {
  name: 'olareg',
  auth: {
    service: 'olareg.test',
    wrongPassword: 403,
    denied: { status: 401, code: 'UNAUTHORIZED', message: 'authentication required' },
    deniedError: undefined,
  },
  uploads: { cut: 'bytes', reads: 'beside a length' },
}

/** Cloudflare's serverless registry over R2. Source: registries.md 22, its src/registry/r2.ts (uploadChunk). */
const CLOUDFLARE: Overrides = {
  name: 'cloudflare',
  auth: { kind: 'basic', challenge: ['Basic realm="r2"'] },
  uploads: { cut: 'parts', equalParts: true, chunkBytes: [5 * MIB, 100_000_000], singlePost: false },
  manifests: { unsupported: { status: 400, code: 'MANIFEST_INVALID', message: 'Invalid input' } },
}

/** What each does differently. Source: registries.md 20. */
export const OVERRIDES = {
  dockerhub: { ...LIKE_28, ...DOCKERHUB, uploads: { ...DIST28.uploads, ...DOCKERHUB.uploads } },
  ecr: ECR,
  'ecr-public': ECR_PUBLIC,
  ghcr: GHCR,
  harbor: HARBOR,
  quay: QUAY,
  acr: ACR,
  gar: GAR,
  gitlab: GITLAB,
  artifactory: ARTIFACTORY,
  nexus: NEXUS,
  zot: ZOT,
  gitea: GITEA,
  forgejo: FORGEJO,
  digitalocean: DIGITALOCEAN,
  pulp: PULP,
  olareg: OLAREG,
  cloudflare: CLOUDFLARE,
} satisfies Record<string, Overrides>

export type ProfileName = keyof typeof OVERRIDES | 'dist28' | 'dist3'

export const PROFILE_NAMES = [...Object.keys(OVERRIDES), 'dist28', 'dist3'] as ProfileName[]

/** A registry's ways, with those of a test on top. */
export function profile(name: ProfileName, ...overrides: readonly Overrides[]): RegistryWays {
  if (name === 'dist28') return override(DIST28, ...overrides)
  if (name === 'dist3') return override(DIST3, ...overrides)
  // Tags can change unless a test says otherwise.
  const { [name]: own } = OVERRIDES as Record<string, Overrides>
  return override(BASE, own ?? {}, { manifests: { immutable: undefined } }, ...overrides)
}

/** What its tags that can't change are answered with. */
export function immutable(name: keyof typeof OVERRIDES): Overrides {
  const own: Overrides = OVERRIDES[name]
  return { manifests: { immutable: own.manifests?.immutable } }
}

/** Before any of them: the front end of Cloudflare, scaled down, which reads nothing that is too large. */
export const CLOUDFLARE_FRONT = (maxBytes: number): Overrides => ({
  front: {
    maxBytes,
    early: false,
    refusal: { status: 413, style: 'html', message: '413 Payload Too Large', headers: { server: 'cloudflare' } },
  },
})

/** nginx with its own bound, which answers before the body was read, and closes. */
export const NGINX_1M: Overrides = {
  front: {
    maxBytes: MIB,
    early: true,
    refusal: {
      status: 413,
      style: 'html',
      message: '413 Request Entity Too Large',
      headers: { server: 'nginx/1.22.1' },
    },
  },
}
