import { type Digest, digestHex, isDigest } from '../../content/digest.ts'
import { hasherFor } from '../../content/hashing/hasher.ts'
import { MAX_MANIFEST_BYTES, type RawManifest, rawManifest } from '../../content/manifest.ts'
import { MANIFEST_ACCEPT, OCI_ARTIFACT_MANIFEST } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { refuseWebPage, sameDigest, sizeOf } from '../pull/blobs.ts'
import type { Deletion } from './delete-manifest.ts'
import type { Referrers, ReferrersOptions } from './referrers.ts'
import { artifactRefusal, manifestRefusal, readRefusal } from './manifest-refusal.ts'
import { placeName, pullScope, pushScope, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryRequest, RegistryResponse } from '../request/transport.ts'

export interface ManifestHead {
  digest: Digest | undefined
  mediaType: string
  size: number | undefined
}

/** The manifests of one repository. */
export interface RepositoryManifests {
  readonly registry: string
  readonly repository: string
  /** GET by tag or digest, at most 4 MiB, digest checked; undefined when absent. Duties M1 to M4. */
  getManifest(reference: string, options: CallOptions): Promise<RawManifest | undefined>
  /** HEAD by tag or digest. `digest` is absent where the registry does not send it. */
  headManifest(
    reference: string,
    options: CallOptions,
  ): Promise<{ digest: Digest | undefined; mediaType: string; size: number | undefined } | undefined>
  /**
   * PUT of exactly these bytes under a tag or their digest. `guard` throws when the caller may no longer write; it is
   * awaited right before each try goes out. Duties M5 to M7.
   */
  putManifest(reference: string, manifest: RawManifest, options: CallOptions & Guard): Promise<void>
  /**
   * PUT of a package's artifact manifest by its digest or, where the registry refuses that or is known to (learnt), of its
   * image manifest; resolves with the one that is there. `onImage` is told before the image manifest goes out.
   */
  putArtifactOrImage(forms: PackageForms, options: CallOptions & Guard & OnImage): Promise<RawManifest>
  /** DELETE of a tag, or of a manifest by digest. Throws REGISTRY_DELETE_UNSUPPORTED. Duty M10. */
  deleteManifest(reference: string, options: CallOptions & Guard): Promise<Deletion>
  /** What refers to a manifest by its `subject`. Duties F1, F2. */
  referrers(subject: Digest, options: ReferrersOptions): Promise<Referrers>
  /** All tags. Duties L1, L2. */
  tags(options: CallOptions): Promise<readonly string[]>
}

/** One package, written in both ways. */
export interface PackageForms {
  readonly artifact: RawManifest
  readonly image: RawManifest
}

export interface OnImage {
  /** `refusal`: what the registry has just said; undefined where it is known from before. */
  onImage: (refusal: AppError | undefined) => void
}

export type Guard = Pick<RegistryRequest, 'guard'>

/**
 * A manifest's exact bytes by tag or digest, at most 4 MiB; undefined when it is absent. By digest the bytes are checked
 * against it, by tag against the digest header where its algorithm allows. Source: OCI distribution-spec v1.1.1
 * "Pulling manifests".
 */
export async function getManifest(
  context: RepositoryContext,
  reference: string,
  options: CallOptions,
): Promise<RawManifest | undefined> {
  const request = readRequest(context, 'GET', reference, options)
  const response = await context.transport.send(request)
  await refuseWebPage(context, request, response)
  if (response.status === 404) return absent(context, request, response)
  if (response.status !== 200) throw await context.transport.error(request, response, 'expected 200')
  const where = `${placeName(context)}:${reference}`
  const raw = rawManifest(mediaTypeOf(response), await body(response, where))
  const promised = isDigest(reference) ? reference : response.header('docker-content-digest')
  if (promised !== undefined && isDigest(promised)) checkDigest(raw, promised, where)
  return isDigest(reference) ? { ...raw, digest: reference } : raw
}

/** HEAD by tag or digest; where the registry does not answer HEAD, GET. */
export async function headManifest(
  context: RepositoryContext,
  reference: string,
  options: CallOptions,
): Promise<ManifestHead | undefined> {
  const request = readRequest(context, 'HEAD', reference, options)
  const response = await context.transport.send(request, { allow: [400, 501] })
  await response.discard()
  if (response.status === 404) return undefined
  if (response.status >= 400) {
    const raw = await getManifest(context, reference, options)
    return raw && { digest: raw.digest, mediaType: raw.mediaType, size: raw.bytes.length }
  }
  await refuseWebPage(context, request, response)
  const digest = response.header('docker-content-digest')
  return {
    digest: digest !== undefined && isDigest(digest) ? digest : undefined,
    mediaType: mediaTypeOf(response),
    size: sizeOf(response) ?? undefined,
  }
}

/**
 * PUT of exactly these bytes. A registry whose tags are immutable refuses even what is there already; that is then no
 * failure. Throws TAG_IMMUTABLE; MANIFEST_UNSUPPORTED for an artifact manifest where the registry takes none;
 * REGISTRY_REJECTED with `details.missing` when it lacks what the manifest names.
 * Source: OCI distribution-spec v1.1.1 "Pushing Manifests".
 */
export async function putManifest(
  context: RepositoryContext,
  reference: string,
  manifest: RawManifest,
  { guard, ...options }: CallOptions & Guard,
): Promise<void> {
  const isArtifact = manifest.mediaType === OCI_ARTIFACT_MANIFEST
  const request: RegistryRequest = {
    method: 'PUT',
    target: manifestPath(context, reference),
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    scopes: pushScope(context),
    lane: 'control',
    op: 'push manifest',
    ...options,
    ...(guard ? { guard } : {}),
  }
  const response = await context.transport.send(request, { allow: [400, 403, 409, 412, 415, 501] })
  if (response.status >= 400) {
    const refusal = await readRefusal(context, request, response)
    if (isArtifact) {
      const unsupported = artifactRefusal(context, refusal, response.status)
      if (unsupported) throw unsupported
    }
    const there = await headManifest(context, reference, options).catch(() => undefined)
    const error = manifestRefusal(context, refusal, { reference, tagExists: there !== undefined })
    if ((error.code === 'TAG_IMMUTABLE' || response.status === 409) && there?.digest === manifest.digest) return
    throw error
  }
  await refuseWebPage(context, request, response)
  await response.discard()
  const found = response.header('docker-content-digest')
  if (!sameDigest(found, manifest.digest)) {
    throw new AppError(
      'REGISTRY_PROTOCOL_VIOLATION',
      `${placeName(context)} stored the manifest ${manifest.digest} under another digest`,
      { op: 'push manifest', details: { found: found !== undefined && isDigest(found) ? found : null } },
    )
  }
  if (isArtifact) learnArtifactManifests(context, true)
}

/** Whether the registry takes artifact manifests, for all who publish there. */
export function learnArtifactManifests({ learned, shareLearned }: RepositoryContext, taken: boolean): void {
  if (learned.artifactManifests === taken) return
  learned.artifactManifests = taken
  shareLearned()
}

export function manifestPath(context: RepositoryContext, reference: string): string {
  return `/v2/${context.repository}/manifests/${reference}`
}

function readRequest(
  context: RepositoryContext,
  method: 'GET' | 'HEAD',
  reference: string,
  options: CallOptions,
): RegistryRequest {
  return {
    method,
    target: manifestPath(context, reference),
    // Without these a registry answers 404 for what it has, or converts it.
    headers: { accept: MANIFEST_ACCEPT.join(', ') },
    scopes: pullScope(context),
    lane: 'control',
    op: method === 'GET' ? 'fetch manifest' : 'look for manifest',
    ...options,
  }
}

/** A 404 that speaks of the Accept header does not mean that nothing is there. */
async function absent(
  context: RepositoryContext,
  request: RegistryRequest,
  response: RegistryResponse,
): Promise<undefined> {
  const refusal = await readRefusal(context, request, response)
  if (/accept header/i.test(refusal.error.upstream?.message ?? '')) throw refusal.error
}

function body(response: RegistryResponse, where: string): Promise<Buffer> {
  const message = `the manifest ${where} has more than ${MAX_MANIFEST_BYTES} bytes`
  return response.bytes(MAX_MANIFEST_BYTES, () => new AppError('MANIFEST_TOO_LARGE', message, { op: 'fetch manifest' }))
}

function checkDigest(raw: RawManifest, promised: Digest, where: string): void {
  const found = hasherFor(promised).update(raw.bytes).digest('hex')
  if (found === digestHex(promised)) return
  throw new AppError('DIGEST_MISMATCH', `the manifest ${where} has the digest ${found}, expected ${promised}`, {
    op: 'fetch manifest',
    details: { expected: promised, found },
  })
}

function mediaTypeOf(response: RegistryResponse): string {
  return response.header('content-type')?.split(';')[0]?.trim() ?? ''
}
