import { type Digest, isDigest } from '../../content/digest.ts'
import { AppError, type ErrorCode, withContext } from '../../lib/errors.ts'
import type { RepositoryContext } from '../request/repository-context.ts'
import type { RegistryRequest, RegistryResponse } from '../request/transport.ts'

const MAX_BODY = 64 * 1024

export interface Refusal {
  readonly error: AppError
  /** Digests that the registry says it lacks. */
  readonly missing: readonly Digest[]
}

/** Reads what a registry has against a manifest, with the digests it names. */
export async function readRefusal(
  context: RepositoryContext,
  request: RegistryRequest,
  response: RegistryResponse,
): Promise<Refusal> {
  const text = (await response.bytes(MAX_BODY).catch(() => Buffer.alloc(0))).toString('utf8')
  return { error: context.transport.refused(request, response, text), missing: missingDigests(text) }
}

/** The error of a refused PUT. */
export function manifestRefusal(
  context: RepositoryContext,
  refusal: Refusal,
  target: { reference: string; tagExists: boolean },
): AppError {
  const { error, missing } = refusal
  if (missing.length > 0) return withContext(error, { details: { missing } })
  const isTag = !isDigest(target.reference)
  // Docker Hub says only "denied" for an immutable tag (docker/hub-feedback#2466), and only after blobs were let in.
  if (isTag && target.tagExists && error.code === 'REGISTRY_DENIED' && context.profile.name === 'hub') {
    return immutable(error, target.reference)
  }
  // Harbor's 412 PRECONDITION; its wording has changed over time, its status and code have not.
  if (isTag && error.upstream?.status === 412 && error.upstream.ociCode === 'PRECONDITION') {
    return immutable(error, target.reference)
  }
  return error
}

/** Why a PUT is refused whatever kind of manifest it brings, with whichever status. */
const OTHER_REASONS: ReadonlySet<string> = new Set([
  'BLOB_UNKNOWN',
  'DENIED',
  'MANIFEST_BLOB_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'TOOMANYREQUESTS',
  'UNAUTHORIZED',
])
const OTHER_ERRORS: ReadonlySet<ErrorCode> = new Set(['TAG_IMMUTABLE', 'REGISTRY_UNAUTHORIZED', 'REGISTRY_TLS'])
/** The ways in which registries say that they take no artifact manifests. Source: registries.md 22. */
const UNSUPPORTED_STATUSES: ReadonlySet<number> = new Set([404, 405, 415, 501])

/**
 * The error of an artifact manifest that the registry refuses for what it is; undefined where it has something else
 * against it. 400 says so with MANIFEST_INVALID, UNSUPPORTED, or no code at all. Source: oci-client.md G6.
 */
export function artifactRefusal(context: RepositoryContext, refusal: Refusal, status: number): AppError | undefined {
  const { error, missing } = refusal
  const { upstream = {}, op } = error
  const code = upstream.ociCode
  const isOther = missing.length > 0 || OTHER_ERRORS.has(error.code) || (code !== undefined && OTHER_REASONS.has(code))
  const invalid = status === 400 && (code === undefined || code === 'MANIFEST_INVALID' || code === 'UNSUPPORTED')
  if (isOther || (!invalid && !UNSUPPORTED_STATUSES.has(status))) return undefined
  const { registry } = context.transport
  return new AppError('MANIFEST_UNSUPPORTED', `${registry} takes no artifact manifests: ${error.message}`, {
    hint: 'Publish with "options.manifest": "auto", which falls back to an image manifest, or "image".',
    ...(op === undefined ? {} : { op }),
    upstream,
    cause: error,
  })
}

function immutable(error: AppError, tag: string): AppError {
  return new AppError('TAG_IMMUTABLE', `the registry does not let the tag "${tag}" change: ${error.message}`, {
    hint: 'Choose another tag ("options.tag"), or let the registry overwrite tags.',
    ...(error.op === undefined ? {} : { op: error.op }),
    ...(error.upstream ? { upstream: error.upstream } : {}),
    cause: error,
  })
}

/** Details are objects with a digest in some field, plain strings, or lists of these. */
function missingDigests(text: string): Digest[] {
  let errors: unknown
  try {
    errors = (JSON.parse(text) as { errors?: unknown } | null)?.errors
  } catch {
    return []
  }
  if (!Array.isArray(errors)) return []
  const unknown = (errors as Array<ErrorEntry | null>).filter((entry) => entry !== null && speaksOfMissing(entry))
  const found: string[] =
    JSON.stringify(unknown.map((entry) => entry?.detail ?? null)).match(/sha(?:256|512):[a-f0-9]+/g) ?? []
  return [...new Set(found.filter((text) => isDigest(text)))]
}

interface ErrorEntry {
  readonly code?: unknown
  readonly detail?: unknown
}

/** Quay has no code for it: MANIFEST_INVALID, and "Unknown blob" in its detail. Source: quay's data/model/oci/manifest.py. */
function speaksOfMissing({ code, detail }: ErrorEntry): boolean {
  if (code === 'MANIFEST_BLOB_UNKNOWN' || code === 'BLOB_UNKNOWN') return true
  return code === 'MANIFEST_INVALID' && /unknown blob/i.test(JSON.stringify(detail ?? ''))
}
