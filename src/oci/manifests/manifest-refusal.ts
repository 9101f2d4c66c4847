import { type Digest, isDigest } from '../../content/digest.ts'
import { AppError, withContext } from '../../lib/errors.ts'
import type { RepositoryContext } from '../request/repository-context.ts'
import type { RegistryRequest, RegistryResponse } from '../request/transport.ts'

const MAX_BODY = 64 * 1024
const HUB = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])

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
  if (isTag && target.tagExists && error.code === 'REGISTRY_DENIED' && HUB.has(context.transport.registry)) {
    return immutable(error, target.reference)
  }
  // Harbor's 412 PRECONDITION; its wording has changed over time, its status and code have not.
  if (isTag && error.upstream?.status === 412 && error.upstream.ociCode === 'PRECONDITION') {
    return immutable(error, target.reference)
  }
  return error
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
  const unknown = (errors as Array<{ code?: unknown; detail?: unknown } | null>).filter(
    (entry) => entry?.code === 'MANIFEST_BLOB_UNKNOWN' || entry?.code === 'BLOB_UNKNOWN',
  )
  const found: string[] =
    JSON.stringify(unknown.map((entry) => entry?.detail ?? null)).match(/sha(?:256|512):[a-f0-9]+/g) ?? []
  return [...new Set(found.filter((text) => isDigest(text)))]
}
