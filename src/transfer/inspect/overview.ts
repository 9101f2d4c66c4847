import type { Digest } from '../../content/digest.ts'
import { tagsIfListed } from '../listed-tags.ts'
import type { ResolveRequest } from '../resolve.ts'
import { type InspectedPackage, inspectOpened } from './facts.ts'
import { createInspectCache, openRemotePackage, type RemoteDependencies } from './remote.ts'

/** A remote package, as its metadata layers tell it. */
export interface InspectedRemote extends InspectedPackage {
  /** oci://HOST/NS/NAME:TAG */
  readonly reference: string
  /** The index under the tag; null for a manifest that lies there directly. */
  readonly indexDigest: Digest | null
  /** Of the tag. */
  readonly architectures: readonly string[]
  /** Of the repository; null where the registry does not list them. */
  readonly tags: readonly string[] | null
}

/**
 * Looks at a package in its registry without fetching more than manifest and zarf.yaml. Throws what resolving and reading
 * throw: MANIFEST_*, ARCHITECTURE_NOT_FOUND, PACKAGE_*, REGISTRY_*.
 */
export async function inspectPackage(
  request: ResolveRequest,
  {
    repository,
    origin = repository,
    plainHttp = false,
    cache = createInspectCache(),
    signal,
  }: Pick<RemoteDependencies, 'repository' | 'signal'> & Partial<RemoteDependencies>,
): Promise<InspectedRemote> {
  const found = await openRemotePackage(request, { repository, origin, plainHttp, cache, signal })
  const { reference, indexDigest, architectures } = found
  const [inspected, tags] = await Promise.all([inspectOpened(found), tagsIfListed(repository, signal)])
  return {
    reference,
    indexDigest,
    architectures: indexDigest === null ? [inspected.architecture] : architectures,
    tags,
    ...inspected,
  }
}
