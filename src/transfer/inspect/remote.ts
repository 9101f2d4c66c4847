import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { formatReference, registryId } from '../../content/reference.ts'
import type { Repository } from '../../oci/registry.ts'
import type { InnerFiles } from '../../zarf/inner-files.ts'
import { metadataLayers, packageLayers, readMetadata } from '../../zarf/pulled-package.ts'
import { packageSource } from '../package-source.ts'
import { checkArchitecture, named, type ResolveRequest, resolvePackage } from '../resolve.ts'
import { createWeighedCache, type WeighedCache } from './cache.ts'
import { type InspectablePackage, WHOLE_BYTES } from './inspectable.ts'
import { innerOf, rangeOf } from './ranged.ts'
import { innerBytes } from './weights.ts'

export interface RemoteDependencies {
  /** As its mirror has it, where there is one. */
  repository: Repository
  /** The registry itself, asked as this caller. */
  origin: Repository
  /** Spoken to over plain HTTP because the caller said so: what was heard so is not told to others. */
  plainHttp: boolean
  cache: InspectCache
  signal: AbortSignal
}

/** Small layers, lists of tars and what lies under tags, by the repository that they came from. */
export type InspectCache = WeighedCache<object>

const CACHE_BYTES = 32 * 2 ** 20

export function createInspectCache(maxBytes = CACHE_BYTES): InspectCache {
  return createWeighedCache(maxBytes)
}

/** A package in a registry, with what its reference says of it. */
export interface RemotePackageFiles extends InspectablePackage {
  /** oci://HOST/NS/NAME:TAG */
  readonly reference: string
  /** The index under the tag; null for a manifest that lies there directly. */
  readonly indexDigest: Digest | null
  /** Of the index. */
  readonly architectures: readonly string[]
}

/**
 * Finds a package in its registry; of its layers none is fetched before it is asked for, and then small ones whole, large
 * ones by their ranges. What others have fetched from the same repository counts once this caller's credentials have opened the
 * manifest at the registry. Throws what resolving throws, PACKAGE_*.
 */
export async function openRemotePackage(
  request: ResolveRequest,
  { repository, origin, plainHttp, cache, signal }: RemoteDependencies,
): Promise<RemotePackageFiles> {
  const resolved = await resolvePackage(repository, request, signal)
  const layers = packageLayers(resolved.manifest, resolved.where)
  const { digest } = resolved.raw
  const mayRecall = once(async () => (await origin.headManifest(digest, { signal })) !== undefined)
  const shelf = createShelf({ cache, origin, plainHttp, mayRecall })
  const source = packageSource(repository, signal)
  const read = (layer: Descriptor) => shelf.buffer(layer, () => source.read(layer))
  // A mirror's word for a part of a blob is held against nothing.
  const place = { read, open: (layer: Descriptor, options: object) => origin.open(layer, { ...options, signal }) }
  if (resolved.indexDigest === undefined && request.architecture !== undefined) {
    const { identity } = await readMetadata(layers, await read(metadataLayers(layers).definition), signal)
    checkArchitecture(identity.architecture, request)
  }
  return {
    where: resolved.where,
    digest,
    layers,
    signal,
    reference: formatReference(named(request.reference)),
    indexDigest: resolved.indexDigest ?? null,
    architectures: resolved.architectures,
    read,
    inner: (layer) => shelf.inner(layer, () => innerOf(layer, place)),
    stream: (layer, range) => rangeOf(layer, range, place),
  }
}

/** What could not be found out is as good as a no. */
function once(ask: () => Promise<boolean>): () => Promise<boolean> {
  let asked: Promise<boolean> | undefined
  return () => (asked ??= ask().catch(() => false))
}

interface ShelfOptions extends Pick<RemoteDependencies, 'cache' | 'origin' | 'plainHttp'> {
  /** Whether this caller's credentials have opened the manifest. Asked where something is there to be recalled. */
  mayRecall: () => Promise<boolean>
}

/** What a repository has given before, for who may read there now. */
export function createShelf({ cache, origin, plainHttp, mayRecall }: ShelfOptions) {
  const place = `${plainHttp ? 'http' : 'https'}://${registryId(origin.registry)}/${origin.repository}`
  const recalled = async <T extends object>(
    key: string,
    fetch: () => Promise<T>,
    weigh: (found: T) => number,
  ): Promise<T> => {
    const known = cache.get(key) as T | undefined
    if (known !== undefined && (await mayRecall())) return known
    const found = await fetch()
    cache.set(key, found, weigh(found))
    return found
  }
  return {
    async buffer(layer: Descriptor, fetch: () => Promise<Buffer>): Promise<Buffer> {
      if (layer.size > WHOLE_BYTES) return await fetch()
      return await recalled(`${place}@${layer.digest}`, fetch, ({ length }) => length)
    },
    async inner(layer: Descriptor, fetch: () => Promise<InnerFiles>): Promise<InnerFiles> {
      return await recalled(`${place}@${layer.digest}#files`, fetch, innerBytes)
    },
    /** What somebody found out of a manifest or index, which its digest says all of. */
    async facts<T extends object>(digest: Digest, fetch: () => Promise<T>, weigh: (found: T) => number): Promise<T> {
      return await recalled(`${place}@${digest}#facts`, fetch, weigh)
    },
  }
}
