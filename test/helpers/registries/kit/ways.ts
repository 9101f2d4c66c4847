import type { Refusal } from './exchange.ts'

/** How uploads are taken. */
export interface UploadWays {
  /** Range of the answer that opens a session. Default of a registry that sends none: undefined. */
  readonly postRange?: string | undefined
  readonly location: 'absolute' | 'relative'
  readonly segment: 'uploads' | 'upload'
  readonly suffix: '' | '.patch'
  /** What stands in Location's query before its state. */
  readonly query: string
  /** What a request to an earlier Location is answered with; a status request too where `oldStatus` says so. */
  readonly oldLocation: 'taken' | Refusal
  readonly oldStatus: boolean
  /**
   * What a cut leaves of a session. bytes: all that arrived; parts: what was acknowledged; nothing: not even the session.
   * A session of 2.8 keeps the bytes, and no Location leads there any more (`oldLocation`).
   */
  readonly cut: 'bytes' | 'parts' | 'nothing'
  /** One that broke off counts as a PATCH too. */
  readonly cutCounts: boolean
  /** When Content-Range is looked at. */
  readonly reads: 'never' | 'beside a length' | 'always'
  readonly badRange: Refusal
  readonly badLength: Refusal
  /** A Content-Range with a body of unknown length. */
  readonly rangeOfStream?: Refusal
  /** Bytes that begin elsewhere; `told`: with Location and Range. Those below what is there, where that differs. */
  readonly gap: Refusal & { readonly told?: boolean }
  readonly repeat?: Refusal & { readonly told?: boolean }
  /** Quay: bytes that are there already are skipped, and a start at 0 is appended. */
  readonly overlap: boolean
  /** A PATCH without Content-Range after the first one. */
  readonly laterStream?: Refusal
  /** A PATCH that is no application/octet-stream. */
  readonly wrongType?: Refusal
  readonly patchStatus: number
  /** stuck: at the end of the first part; echo: the part itself; streamed: one too high where it was streamed, else echo. */
  readonly patchRange: 'exact' | 'stuck' | 'streamed'
  /** Range where nothing was sent. */
  readonly emptyRange: string
  /** The answer to a status request: one too high, no Range at all, or this status. */
  readonly status: 'exact' | 'plus-one' | 'no-range' | number
  readonly statusHead: 'as GET' | number
  readonly patchMaxBytes: number
  readonly patchTooLarge: Refusal
  /** Of a body with a length; and what it is answered with, before or after it was read. */
  readonly bodyMaxBytes: number
  readonly bodyTooLarge: Refusal
  /** The first PATCH is the only one. */
  readonly onePatch?: Refusal & { readonly sessionStays?: boolean }
  /** Parts are as large as the first, the last one may be smaller; Source: Cloudflare's src/registry/r2.ts. */
  readonly equalParts: boolean
  readonly chunkBytes?: readonly [string | number, string | number]
  /** Found out when the blob is complete. */
  readonly partBytes?: readonly [number, number]
  readonly partSize: Refusal
  /** An empty PUT after parts. */
  readonly emptyCommit?: Refusal
  /** A PUT with bytes in it. */
  readonly fullCommit?: Refusal
  readonly commitRange: 'ignored' | 'checked'
  readonly noDigest: Refusal
  readonly wrongDigest: Refusal
  /** A commit that failed ends the session. */
  readonly failureEnds: boolean
  readonly emptyBlob?: Refusal
  readonly singlePost: boolean
  /** referenced: what a manifest of the source names; anywhere: whoever has it, whatever is named. */
  readonly mount: 'named' | 'anywhere' | 'referenced' | 'never'
  /** Of a mount with `origin`, or of one from another host. */
  readonly mountOrigin?: Refusal
  readonly cancelStatus: number
  /** What sha512 is answered with: a blob's own digest, or its sha256. */
  readonly sha512: 'kept' | 'sha256'
  /** The commit's answer gets lost, and the blob shows only when it is asked for so many times. */
  readonly lateCommit: number
  /** A request whose body takes longer is cut, real ms. */
  readonly deadlineMs?: number
  /** Bytes that would begin there or later are answered with 416, however they come. */
  readonly refusesFrom: number
  /** What a status says that the session has, whatever it has. What is beyond is forgotten. */
  readonly tells?: number
}

/** How blobs are given. */
export interface BlobWays {
  readonly ranges: boolean
  /** Sends to storage; the address lives so long (virtual ms). */
  readonly redirect?: { readonly status: 302 | 303 | 307; readonly ttlMs: number; readonly head: boolean }
  /** What storage says of a blob beside its bytes. */
  readonly storageHeaders: Readonly<Record<string, string>>
  readonly etag: 'quoted' | 'sha1' | 'none'
  readonly contentType: string
  /** For a range that begins at the end: 2.8 and 3 announce the whole blob and send nothing. */
  readonly rangeAtEnd: 'plain' | 'full length'
  readonly delete: number | Refusal
}

/** How manifests and tags are taken and given. */
export interface ManifestWays {
  readonly maxBytes: number
  readonly tooLarge: Refusal
  readonly unsupported: Refusal
  readonly artifacts: boolean
  readonly wrongDigest: Refusal
  /** `detail`: how the missing digest is told. */
  readonly missingBlob: Refusal & { readonly tells: 'object' | 'text' | 'quay' | 'nothing' }
  /** zot looks for blobs only where the config is an image's or empty. */
  readonly checksBlobs: 'all' | 'of images'
  readonly danglingIndexes: boolean
  readonly noMediaType?: Refusal
  readonly parameters?: Refusal
  /** Config types that are taken; undefined: all. */
  readonly configTypes?: readonly string[]
  readonly badConfig: Refusal
  readonly emptyConfig?: Refusal
  readonly acceptRequired: boolean
  /** Tags can't change; the bytes that are there already are refused too. */
  readonly immutable?: Refusal | undefined
  readonly location: 'digest' | 'absolute' | 'tag' | 'wrong'
  readonly etag: 'quoted' | 'sha1' | 'none'
  readonly subjectHeader: boolean
  readonly referrers: 'api' | 'api without filters' | Refusal
  readonly badReference?: Refusal & { readonly pattern: RegExp }
  readonly deleteTag: number | Refusal
  readonly deleteManifest: number | Refusal
  readonly paging: boolean
  /** Whether the last page has a Link too. */
  readonly linkOnLast: 'never' | 'where it is full' | 'always'
  /** No tags left is no repository. */
  readonly emptyIsUnknown: boolean
  readonly most?: Refusal & { readonly n: number }
}

/** Who is let in, and how they are told to ask. */
export interface AuthWays {
  readonly kind: 'none' | 'basic' | 'bearer'
  /** `<registry>`, `<realm>`, `<service>`, `<scope>` are put in; several are several headers. */
  readonly challenge: readonly string[]
  readonly service: string
  /** What challenges say of scopes: as the call needs, pull alone whatever it needs, `*`, or nothing. */
  readonly scope: 'needed' | 'pull' | 'any' | 'none' | 'alternating'
  /** Basic is taken beside tokens. */
  readonly basicToo: boolean
  readonly tokenField: 'token' | 'access_token' | 'both'
  readonly tokenTtlMs: number
  readonly tellsLife: boolean
  /** What a POST of the token service is answered with. */
  readonly post: number
  readonly wrongPassword: 401 | 403
  /** Actions that may be asked for. Others: 400. */
  readonly actions?: readonly string[]
  /** A token without the right to what is asked. */
  readonly denied: Refusal
  /** `error="..."` of the challenge to such a token; undefined: it says nothing. */
  readonly deniedError?: string | undefined
  /** A token gives all that its user may, whatever it was asked for. */
  readonly grantsAll: boolean
  readonly tagsAction: string
  readonly deleteAction: string
  /** What giving up an upload needs. */
  readonly cancelAction: string
  /** Harbor: whoever shows anything is asked for Basic, and an unknown project has an empty challenge. */
  readonly flips: boolean
  /** Passwords that ran out (virtual ms after the start). */
  readonly expired?: Refusal
}

/** Everything that differs from one registry to another. */
export interface RegistryWays {
  readonly name: string
  readonly auth: AuthWays
  readonly uploads: UploadWays
  readonly blobs: BlobWays
  readonly manifests: ManifestWays
  /** made: by the first push; named: those the test names; beneath: whatever lies under a name of the test. */
  readonly repositories: 'made' | 'named' | 'beneath'
  readonly unknownRepository: Refusal
  /** Of every answer. */
  readonly headers: Readonly<Record<string, string>>
  /** Reads what it refuses to its end before it answers. */
  readonly drains: boolean
  /** A cookie of every answer; who sends it back with a write is refused. */
  readonly cookie: boolean
  readonly rate?: {
    readonly kind: 'hub' | 'acr'
    readonly limit: number
    readonly windowMs: number
    /** Whether answers say what is left. Default: true. */
    readonly told?: boolean
  }
  /** A front end before it: bodies with more are answered with 413, before they are read (`early`) or after. */
  readonly front?: { readonly maxBytes: number; readonly early: boolean; readonly refusal: Refusal }
}

/** A profile as data: what differs from the base. */
export type Overrides = {
  readonly [Part in keyof RegistryWays]?: RegistryWays[Part] extends object | undefined
    ? Partial<RegistryWays[Part]>
    : RegistryWays[Part]
}

const DIGEST_TEXT = 'provided digest did not match uploaded content'

/** Distribution-spec v1.1.1 with nothing of one's own. Source: registries.md 19 (K5). */
export const BASE: RegistryWays = {
  name: 'spec',
  auth: {
    kind: 'bearer',
    challenge: ['Bearer realm="<realm>",service="<service>"<scope>'],
    service: 'registry.test',
    scope: 'needed',
    basicToo: false,
    tokenField: 'token',
    tokenTtlMs: 300_000,
    tellsLife: true,
    post: 200,
    wrongPassword: 401,
    denied: { status: 401, code: 'DENIED', message: 'requested access to the resource is denied' },
    deniedError: 'insufficient_scope',
    grantsAll: false,
    tagsAction: 'pull',
    deleteAction: 'delete',
    cancelAction: 'push',
    flips: false,
  },
  uploads: {
    postRange: '0-0',
    location: 'relative',
    segment: 'uploads',
    suffix: '',
    query: '',
    oldLocation: 'taken',
    oldStatus: false,
    cut: 'parts',
    cutCounts: false,
    reads: 'always',
    badRange: { status: 400, code: 'BLOB_UPLOAD_INVALID', message: 'invalid Content-Range' },
    badLength: { status: 400, code: 'SIZE_INVALID', message: 'provided length did not match content length' },
    gap: { status: 416, code: 'BLOB_UPLOAD_INVALID', message: 'blob upload invalid' },
    overlap: false,
    patchStatus: 202,
    patchRange: 'exact',
    emptyRange: '0-0',
    status: 'exact',
    statusHead: 'as GET',
    patchMaxBytes: Infinity,
    patchTooLarge: { status: 413 },
    bodyMaxBytes: Infinity,
    bodyTooLarge: { status: 413, style: 'html', message: '413 Request Entity Too Large' },
    equalParts: false,
    partSize: { status: 400, code: 'BLOB_UPLOAD_INVALID', message: 'part size' },
    commitRange: 'checked',
    noDigest: { status: 400, code: 'DIGEST_INVALID', message: DIGEST_TEXT, detail: 'digest missing' },
    wrongDigest: { status: 400, code: 'DIGEST_INVALID', message: DIGEST_TEXT },
    failureEnds: false,
    singlePost: true,
    mount: 'named',
    cancelStatus: 204,
    sha512: 'kept',
    lateCommit: 0,
    refusesFrom: Infinity,
  },
  blobs: {
    ranges: true,
    storageHeaders: { etag: '"5f4dcc3b5aa765d61d8327deb882cf99"' },
    etag: 'quoted',
    contentType: 'application/octet-stream',
    rangeAtEnd: 'plain',
    delete: 202,
  },
  manifests: {
    maxBytes: 4 * 1024 * 1024,
    tooLarge: { status: 413, code: 'MANIFEST_INVALID', message: 'manifest too large' },
    unsupported: { status: 400, code: 'MANIFEST_INVALID', message: 'manifest invalid' },
    artifacts: false,
    wrongDigest: { status: 400, code: 'DIGEST_INVALID', message: DIGEST_TEXT },
    missingBlob: {
      status: 400,
      code: 'MANIFEST_BLOB_UNKNOWN',
      message: 'blob unknown to registry',
      tells: 'object',
    },
    checksBlobs: 'all',
    danglingIndexes: false,
    badConfig: { status: 415, code: 'MANIFEST_INVALID', message: 'manifest invalid' },
    acceptRequired: true,
    location: 'digest',
    etag: 'quoted',
    subjectHeader: true,
    referrers: 'api',
    deleteTag: 202,
    deleteManifest: 202,
    paging: true,
    linkOnLast: 'never',
    emptyIsUnknown: false,
  },
  repositories: 'made',
  unknownRepository: { status: 404, code: 'NAME_UNKNOWN', message: 'repository name not known to registry' },
  headers: { 'docker-distribution-api-version': 'registry/2.0' },
  drains: true,
  cookie: false,
}

/** `over` on top of `ways`, part by part. */
export function override(ways: RegistryWays, ...overrides: readonly Overrides[]): RegistryWays {
  return overrides.reduce<RegistryWays>((found, over) => {
    const parts = ['auth', 'uploads', 'blobs', 'manifests', 'unknownRepository', 'headers'] as const
    const merged = Object.fromEntries(
      parts.flatMap((part) => (over[part] ? [[part, { ...found[part], ...over[part] }]] : [])),
    )
    return { ...found, ...over, ...merged } as RegistryWays
  }, ways)
}
