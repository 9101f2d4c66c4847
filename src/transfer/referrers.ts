import type { Digest } from '../content/digest.ts'
import { formatReference, manifestName } from '../content/reference.ts'
import type { Repository } from '../oci/registry.ts'
import { named, notFound, type ResolveRequest, resolvePackage } from './resolve.ts'

export interface ReferrersRequest extends ResolveRequest {
  /** Those of this type alone. Default: all. */
  readonly artifactType?: string
}

export interface FoundReferrers {
  readonly reference: string
  /** Of what is referred to. */
  readonly digest: Digest
  /** Who keeps the list: the registry, or its clients under a tag. */
  readonly from: 'api' | 'tag'
  readonly referrers: readonly FoundReferrer[]
}

export interface FoundReferrer {
  readonly digest: Digest
  readonly mediaType: string
  readonly artifactType: string | null
  readonly size: number
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * What refers to a manifest: to the one that lies under the reference, an index for zarf's packages, or where an architecture
 * is given to the package's own. Throws MANIFEST_*, ARCHITECTURE_NOT_FOUND, TAG_NOT_INDEX, REGISTRY_*.
 */
export async function findReferrers(
  request: ReferrersRequest,
  { repository, signal }: { repository: Repository; signal: AbortSignal },
): Promise<FoundReferrers> {
  const { reference, artifactType } = request
  const digest = await digestAt(repository, request, signal)
  const wanted = { signal, ...(artifactType === undefined ? {} : { artifactType }) }
  const { from, referrers } = await repository.referrers(digest, wanted)
  return {
    reference: formatReference(named(reference)),
    digest,
    from,
    referrers: referrers.map((referrer) => ({
      digest: referrer.digest,
      mediaType: referrer.mediaType,
      artifactType: referrer.artifactType ?? null,
      size: referrer.size,
      annotations: referrer.annotations ?? {},
    })),
  }
}

async function digestAt(repository: Repository, request: ReferrersRequest, signal: AbortSignal): Promise<Digest> {
  if (request.architecture !== undefined) return (await resolvePackage(repository, request, signal)).raw.digest
  const name = manifestName(request.reference)
  const head = await repository.headManifest(name, { signal })
  const digest = head && (head.digest ?? (await repository.getManifest(name, { signal }))?.digest)
  if (digest === undefined) throw notFound(formatReference(request.reference), request.reference)
  return digest
}
