import { visible } from './text.ts'

/**
 * The one error class of layerd. `code` is stable and documented in docs/errors.md; callers match on it, never on
 * message text. Layers add context with `wrap`, and never change a code.
 */
export type Retry = 'transient' | 'permanent' | 'canceled'
export type Side = 'source' | 'destination'

/** What the far end said, for the problem document. URLs are redacted before they get here. */
export interface Upstream {
  registry?: string
  repository?: string
  method?: string
  url?: string
  status?: number
  /** The registry's own error code (OCI Distribution Spec "Error Codes", or a vendor's). */
  ociCode?: string
  message?: string
  digest?: string
  reference?: string
  offset?: number
  attempt?: number
  requestId?: string
}

export interface AppErrorOptions {
  retry?: Retry
  /** Milliseconds the far end asked us to wait. */
  retryAfterMs?: number
  op?: string
  side?: Side
  upstream?: Upstream
  /** Facts for people and programs; never a secret. */
  details?: Readonly<Record<string, unknown>>
  /** What the reader can do about it, one sentence. */
  hint?: string
  cause?: unknown
}

/**
 * Every code and how it behaves. `status` is the HTTP status when an API call itself fails with it; a job's error
 * carries it too, as RFC 9457 wants. docs/errors.md lists each, and a unit test compares the two.
 */
export const ERROR_CODES = {
  REFERENCE_INVALID: { status: 400, retry: 'permanent', title: 'The reference does not parse' },
  BODY_INVALID: { status: 400, retry: 'permanent', title: 'The request body is not valid' },
  REQUEST_INVALID: { status: 400, retry: 'permanent', title: 'The request is not valid' },
  NOT_FOUND: { status: 404, retry: 'permanent', title: 'There is nothing at this address' },
  METHOD_NOT_ALLOWED: { status: 405, retry: 'permanent', title: 'This address does not take this method' },
  NOT_ACCEPTABLE: { status: 406, retry: 'permanent', title: 'No offered representation is acceptable' },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retry: 'permanent',
    title: 'The Content-Type or -Encoding is not accepted here',
  },
  BODY_DIGEST_MISMATCH: { status: 400, retry: 'permanent', title: 'The body has another digest than was promised' },
  PAYLOAD_TOO_LARGE: { status: 413, retry: 'permanent', title: 'The request body is too large' },
  BODY_TOO_SLOW: { status: 408, retry: 'transient', title: 'The request body came too slowly' },
  PRECONDITION_FAILED: { status: 412, retry: 'permanent', title: 'It is another by now' },
  PRECONDITION_REQUIRED: { status: 428, retry: 'permanent', title: 'The request has to say what it changes' },
  RANGE_NOT_SATISFIABLE: { status: 416, retry: 'permanent', title: 'The range lies outside the content' },
  UNAUTHENTICATED: { status: 401, retry: 'permanent', title: 'A valid bearer token is needed' },
  LOG_IN_NOT_NEEDED: { status: 409, retry: 'permanent', title: 'No log-in is needed here' },
  ISSUER_UNAVAILABLE: { status: 503, retry: 'transient', title: 'The OIDC issuer cannot be asked' },
  SCOPE_MISSING: { status: 403, retry: 'permanent', title: 'The token lacks the scope for this' },
  TOKEN_LIMITED: { status: 403, retry: 'permanent', title: 'The token is limited, and not to this' },
  TOKEN_NAME_TAKEN: { status: 409, retry: 'permanent', title: 'The name is not free for this token' },
  TOKENS_NOT_REQUIRED: { status: 409, retry: 'permanent', title: 'No token is asked for here' },
  ORIGIN_NOT_ALLOWED: { status: 403, retry: 'permanent', title: 'Requests from this origin are refused' },
  HOST_NOT_ALLOWED: { status: 421, retry: 'permanent', title: 'This Host is not served here' },
  IDEMPOTENCY_CONFLICT: { status: 409, retry: 'permanent', title: 'The first request with this key is still running' },
  IDEMPOTENCY_MISMATCH: { status: 422, retry: 'permanent', title: 'The idempotency key was used with another body' },
  JOB_NOT_FOUND: { status: 404, retry: 'permanent', title: 'There is no such job' },
  JOB_FINISHED: { status: 409, retry: 'permanent', title: 'The job has already ended' },
  JOB_NOT_FINISHED: { status: 409, retry: 'permanent', title: 'The job has not ended yet' },
  JOB_KIND_UNSUPPORTED: { status: 422, retry: 'permanent', title: 'This kind of job is not built yet' },
  JOB_CANCELED: { status: 409, retry: 'canceled', title: 'The job was canceled' },
  JOB_PAUSED: { status: 409, retry: 'canceled', title: 'The job was paused' },
  JOB_STALLED: { status: 500, retry: 'permanent', title: 'Workers were lost too often without moving a byte' },
  JOB_FENCED: { status: 409, retry: 'canceled', title: 'Another run of this job has taken over' },
  STREAMS_TOO_MANY: { status: 429, retry: 'transient', title: 'Too many streams of events are open' },
  LOOKS_TOO_MANY: { status: 429, retry: 'transient', title: 'Too many looks at packages wait for their turn' },
  DOWNLOADS_TOO_MANY: { status: 429, retry: 'transient', title: 'Too many downloads are under way' },
  RATE_LIMITED: { status: 429, retry: 'transient', title: 'Too many requests' },
  TOO_MANY_HOSTS: { status: 429, retry: 'transient', title: 'Jobs of too many registries are open' },
  TOO_MANY_JOBS: { status: 429, retry: 'transient', title: 'Too many jobs are open' },
  QUEUE_FULL: { status: 503, retry: 'transient', title: 'The queue (Redis) has no memory left for new jobs' },
  QUEUE_UNAVAILABLE: { status: 503, retry: 'transient', title: 'The queue (Redis) cannot be reached' },
  DAEMON_UNREACHABLE: { status: 503, retry: 'transient', title: 'The daemon cannot be reached' },
  SHUTTING_DOWN: { status: 503, retry: 'transient', title: 'layerd is shutting down' },
  PACKAGE_NOT_FOUND: { status: 422, retry: 'permanent', title: 'There is no such package' },
  PACKAGE_OUTSIDE_ROOTS: { status: 403, retry: 'permanent', title: 'The path lies outside the allowed folders' },
  PACKAGE_UNREADABLE: { status: 422, retry: 'permanent', title: 'The package cannot be read' },
  PACKAGE_FORMAT_UNSUPPORTED: { status: 422, retry: 'permanent', title: 'The file is not a package layerd reads' },
  PACKAGE_INVALID: { status: 422, retry: 'permanent', title: 'The package is not valid' },
  PACKAGE_TRUNCATED: { status: 422, retry: 'permanent', title: 'The archive ends too early' },
  PACKAGE_UNSAFE_PATH: { status: 422, retry: 'permanent', title: 'The package holds an unsafe path' },
  PACKAGE_CHECKSUM_MISMATCH: { status: 422, retry: 'permanent', title: 'A file differs from its declared checksum' },
  PACKAGE_TOO_LARGE: { status: 422, retry: 'permanent', title: 'A metadata file of the package is too large' },
  PACKAGE_VERSION_MISSING: { status: 422, retry: 'permanent', title: 'The package has no version' },
  PACKAGE_CHANGED: { status: 409, retry: 'permanent', title: 'The package changed while it was being read' },
  PACKAGE_EXISTS: { status: 409, retry: 'permanent', title: 'The target exists already' },
  PACKAGE_INCOMPLETE: { status: 409, retry: 'permanent', title: 'The stored package is not complete' },
  PACKAGE_TIMEOUT: { status: 504, retry: 'transient', title: 'The package was not read in time' },
  PACKAGE_NOT_STORED: { status: 404, retry: 'permanent', title: 'The store does not hold this package' },
  ARTIFACT_INVALID: { status: 422, retry: 'permanent', title: 'The artifact is not valid' },
  UPDATE_BASE_MISSING: { status: 409, retry: 'permanent', title: 'The store lacks the package that the update is for' },
  ARCHITECTURE_NOT_FOUND: { status: 422, retry: 'permanent', title: 'The reference has no such architecture' },
  COMPONENTS_INVALID: { status: 422, retry: 'permanent', title: 'The chosen components do not fit the package' },
  IMAGES_INVALID: { status: 422, retry: 'permanent', title: 'The chosen images do not fit the package' },
  TAG_INVALID: { status: 422, retry: 'permanent', title: 'The tag is not valid' },
  TAG_NOT_INDEX: { status: 409, retry: 'permanent', title: 'The tag holds something other than an image index' },
  TAG_HOLDS_PACKAGES: { status: 409, retry: 'permanent', title: 'The tag holds packages, which would be lost' },
  TAG_CONTENDED: { status: 409, retry: 'transient', title: 'Other clients keep changing the tag' },
  TAGS_TOO_MANY: { status: 422, retry: 'permanent', title: 'The repository has too many tags for this' },
  TAG_IMMUTABLE: { status: 409, retry: 'permanent', title: 'The registry does not let this tag change' },
  UPLOAD_NOT_FOUND: { status: 422, retry: 'permanent', title: 'There is no such upload' },
  UPLOAD_INCOMPLETE: { status: 409, retry: 'permanent', title: 'The upload is not whole yet' },
  UPLOAD_OFFSET_MISMATCH: { status: 409, retry: 'permanent', title: 'The upload stands at another byte' },
  UPLOAD_CHECKSUM_MISMATCH: {
    status: 460,
    retry: 'permanent',
    title: 'The bytes have another checksum than was promised',
  },
  UPLOAD_LOCKED: { status: 423, retry: 'transient', title: 'Another request still writes to the upload' },
  TUS_VERSION_UNSUPPORTED: { status: 412, retry: 'permanent', title: 'This version of tus is not spoken here' },
  UPLOAD_INTERRUPTED: { status: 400, retry: 'permanent', title: 'The upload ended before its last byte' },
  LINKS_TOO_MANY: { status: 429, retry: 'transient', title: 'The caller has too many download links open' },
  UPLOADS_TOO_MANY: { status: 429, retry: 'transient', title: 'The caller has too many uploads open' },
  REGISTRY_UNREACHABLE: { status: 502, retry: 'transient', title: 'The registry cannot be reached' },
  REGISTRY_UNKNOWN_HOST: { status: 502, retry: 'permanent', title: 'The registry host is not known' },
  REGISTRY_TLS: { status: 502, retry: 'permanent', title: 'The TLS connection to the registry failed' },
  REGISTRY_THROTTLED: { status: 503, retry: 'transient', title: 'The registry asked to slow down' },
  REGISTRY_SERVER_FAILED: { status: 502, retry: 'transient', title: 'The registry failed' },
  REGISTRY_CONNECTION_LOST: { status: 502, retry: 'transient', title: 'The connection to the registry broke' },
  REGISTRY_TIMEOUT: { status: 504, retry: 'transient', title: 'The registry did not answer in time' },
  REGISTRY_UPLOAD_LOST: { status: 502, retry: 'transient', title: 'The registry lost the upload session' },
  REGISTRY_UNAUTHORIZED: { status: 502, retry: 'permanent', title: 'The registry refused the credentials' },
  REGISTRY_DENIED: { status: 502, retry: 'permanent', title: 'The registry denied the access' },
  REGISTRY_NAME_UNKNOWN: { status: 502, retry: 'permanent', title: 'The registry has no such repository' },
  REGISTRY_NOT_LISTED: { status: 502, retry: 'permanent', title: 'The registry does not list its repositories' },
  REGISTRY_REJECTED: { status: 502, retry: 'permanent', title: 'The registry rejected the request' },
  REGISTRY_PROTOCOL_VIOLATION: {
    status: 502,
    retry: 'permanent',
    title: 'The far end does not speak OCI Distribution',
  },
  RETENTION_MATCHES_ALL: { status: 422, retry: 'permanent', title: 'The rules take every tag' },
  REGISTRY_DELETE_UNSUPPORTED: { status: 422, retry: 'permanent', title: 'The registry does not delete this' },
  REGISTRY_NOT_ALLOWED: { status: 403, retry: 'permanent', title: 'This address may not be contacted' },
  TRANSFER_TOO_SLOW: { status: 504, retry: 'transient', title: 'The transfer was too slow to keep its place' },
  BLOB_NOT_FOUND: { status: 502, retry: 'permanent', title: 'The registry does not have the blob' },
  MANIFEST_NOT_FOUND: { status: 422, retry: 'permanent', title: 'The registry does not have the manifest' },
  MANIFEST_IN_USE: { status: 409, retry: 'permanent', title: 'Something else refers to the manifest' },
  MANIFEST_INVALID: { status: 422, retry: 'permanent', title: 'The manifest is not valid' },
  MANIFEST_UNSUPPORTED: { status: 422, retry: 'permanent', title: 'The registry takes no manifests of this kind' },
  MANIFEST_TOO_LARGE: { status: 422, retry: 'permanent', title: 'The manifest is larger than 4 MiB' },
  DIGEST_MISMATCH: { status: 502, retry: 'permanent', title: 'The bytes do not have the promised digest' },
  SIZE_MISMATCH: { status: 502, retry: 'permanent', title: 'The bytes do not have the promised size' },
  SIGNATURE_MISSING: { status: 422, retry: 'permanent', title: 'The package is not signed' },
  SIGNATURE_INVALID: { status: 422, retry: 'permanent', title: 'The signature does not hold' },
  SIGNATURE_UNTRUSTED: { status: 422, retry: 'permanent', title: 'The signature is not by whom it has to be' },
  POLICY_VIOLATED: { status: 422, retry: 'permanent', title: 'The package is not what the policy wants' },
  KEY_INVALID: { status: 400, retry: 'permanent', title: 'The key cannot be read' },
  KEY_NOT_FOUND: { status: 422, retry: 'permanent', title: 'There is no such key' },
  KEY_UNAVAILABLE: { status: 502, retry: 'transient', title: 'The key could not be used' },
  PACKAGE_NOT_SIGNABLE: { status: 422, retry: 'permanent', title: 'The package cannot be signed here' },
  TRUSTED_ROOT_NOT_FOUND: { status: 422, retry: 'permanent', title: 'There is no such trusted root' },
  TRUSTED_ROOT_INVALID: { status: 422, retry: 'permanent', title: 'The trusted root is none' },
  CREDENTIALS_INVALID: { status: 400, retry: 'permanent', title: 'The credentials cannot be read' },
  DEPLOY_FAILED: { status: 502, retry: 'permanent', title: 'The program that deploys has failed' },
  DEPLOY_TIMED_OUT: { status: 504, retry: 'permanent', title: 'The program that deploys took too long' },
  DEPLOY_INTERRUPTED: { status: 500, retry: 'permanent', title: 'Nobody knows how far the deploy got' },
  DEPLOY_BUSY: { status: 409, retry: 'transient', title: 'Another deploy to the same cluster is under way' },
  DEPLOY_TOOL_UNUSABLE: { status: 500, retry: 'permanent', title: 'The program that deploys cannot be used' },
  STORE_FULL: { status: 507, retry: 'permanent', title: 'There is not enough space in the store' },
  STORE_CORRUPT: { status: 500, retry: 'permanent', title: 'The store is damaged' },
  STORE_BUSY: { status: 409, retry: 'transient', title: 'The store is in use' },
  CONFIG_INVALID: { status: 500, retry: 'permanent', title: 'A setting is not valid' },
  INTERNAL: { status: 500, retry: 'permanent', title: 'layerd made a mistake' },
} as const satisfies Record<string, { status: number; retry: Retry; title: string }>

export type ErrorCode = keyof typeof ERROR_CODES

export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly retry: Retry
  readonly retryAfterMs: number | undefined
  readonly op: string | undefined
  readonly side: Side | undefined
  readonly upstream: Upstream | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    // Much of a message is often a name or a text of somebody else.
    super(visible(message), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retry = options.retry ?? ERROR_CODES[code].retry
    this.retryAfterMs = options.retryAfterMs
    this.op = options.op
    this.side = options.side
    this.upstream = options.upstream
    this.details = options.details
    this.hint = options.hint
  }
}

export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError
}

/** Turns anything thrown into an AppError: one of ours stays as it is, the rest becomes INTERNAL with its cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new AppError('INTERNAL', message, { cause: error })
}

/** The same error with more context; code, retry class and message stay. What the error already says wins. */
export function withContext(
  error: unknown,
  context: Pick<AppErrorOptions, 'op' | 'side' | 'upstream' | 'details' | 'hint'>,
): AppError {
  const inner = toAppError(error)
  const op = inner.op ?? context.op
  const side = inner.side ?? context.side
  const hint = inner.hint ?? context.hint
  return new AppError(inner.code, inner.message, {
    retry: inner.retry,
    ...(inner.retryAfterMs === undefined ? {} : { retryAfterMs: inner.retryAfterMs }),
    ...(op === undefined ? {} : { op }),
    ...(side === undefined ? {} : { side }),
    ...(hint === undefined ? {} : { hint }),
    upstream: { ...context.upstream, ...inner.upstream },
    details: { ...context.details, ...inner.details },
    cause: inner,
  })
}
