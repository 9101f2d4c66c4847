import { isDigest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { deleteScope, placeName, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryRequest } from '../request/transport.ts'
import { refuseWebPage } from '../pull/blobs.ts'
import { readRefusal, type Refusal } from './manifest-refusal.ts'
import { type Guard, headManifest, manifestPath } from './manifests.ts'

/** absent: it was gone already. */
export type Deletion = 'deleted' | 'absent'

/**
 * DELETE of a tag, or of a manifest by its digest, which most registries understand as of all its tags too. Throws
 * REGISTRY_DELETE_UNSUPPORTED where the registry does no such thing, REGISTRY_*.
 * Source: OCI distribution-spec v1.1.1 "Deleting manifests", "Deleting tags"; oci-client.md M10.
 */
export async function deleteManifest(
  context: RepositoryContext,
  reference: string,
  { guard, ...options }: CallOptions & Guard,
): Promise<Deletion> {
  const request: RegistryRequest = {
    method: 'DELETE',
    target: manifestPath(context, reference),
    scopes: deleteScope(context),
    lane: 'control',
    op: isDigest(reference) ? 'delete manifest' : 'delete tag',
    followRedirects: false,
    ...options,
  }
  await guard?.()
  const response = await context.transport.send(request, { allow: [400, 403, 409, 412, 501] })
  if (response.status < 300) {
    await refuseWebPage(context, request, response)
    await response.discard()
    return 'deleted'
  }
  const refusal = await readRefusal(context, request, response)
  if (response.status !== 404) throw refused(context, refusal, reference)
  // "No such page" is said of a question that is not known (ECR until 2023), and then it is still there.
  if (!(await headManifest(context, reference, options))) return 'absent'
  throw unsupported(context, refusal, reference)
}

/** How registries say that they do no such thing; 400 and 405 are said of tags where digests alone go. */
const UNSUPPORTED: ReadonlySet<number> = new Set([400, 404, 405, 501])

function refused(context: RepositoryContext, refusal: Refusal, reference: string): AppError {
  const { error } = refusal
  const { status = 0, ociCode } = error.upstream ?? {}
  if (status === 412 || ociCode === 'TAG_IMMUTABLE') return immutable(refusal, reference)
  const dangling = ociCode === 'GOOGLE_MANIFEST_DANGLING_TAG' || ociCode === 'GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE'
  return UNSUPPORTED.has(status) && !dangling ? unsupported(context, refusal, reference) : error
}

function immutable({ error }: Refusal, reference: string): AppError {
  return new AppError('TAG_IMMUTABLE', `the registry does not let "${reference}" go: ${error.message}`, {
    hint: 'Let the registry change and delete tags there (immutability rules, object locks), or leave it.',
    ...(error.op === undefined ? {} : { op: error.op }),
    ...(error.upstream ? { upstream: error.upstream } : {}),
    cause: error,
  })
}

function unsupported(context: RepositoryContext, { error }: Refusal, reference: string): AppError {
  const what = isDigest(reference) ? 'manifests' : 'tags by their names'
  return new AppError(
    'REGISTRY_DELETE_UNSUPPORTED',
    `${context.transport.registry} does not delete ${what} (${placeName(context)}, ${reference}): ${error.message}`,
    {
      hint: HINTS.get(context.profile.name) ?? HINT,
      // Docker Hub keeps a manifest for as long as any tag names it, so that nothing put under a tag goes either.
      ...(context.profile.name === 'hub' ? { details: { untaggedOnly: true } } : {}),
      ...(error.op === undefined ? {} : { op: error.op }),
      ...(error.upstream ? { upstream: error.upstream } : {}),
      cause: error,
    },
  )
}

const HINT =
  'Let the registry delete: distribution has storage.delete.enabled (REGISTRY_STORAGE_DELETE_ENABLED=true); others have a setting or an API of their own.'

/** Where another way than the registry's API is the only one. Source: docs/registries.md. */
const HINTS: ReadonlyMap<string, string> = new Map([
  [
    'ghcr',
    "GHCR deletes nothing by the registry API: use GitHub's own (DELETE .../packages/container/.../versions/ID).",
  ],
  ['hub', 'Docker Hub deletes tags by its own API alone, and manifests that no tag names: use hub.docker.com.'],
  ['ecr', 'Where ECR refuses, use its own API: aws ecr batch-delete-image, or a lifecycle policy.'],
])
