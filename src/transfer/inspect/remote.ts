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

/** Small layers and lists of tars, by the repository that they came from. */
export type InspectCache = WeighedCache<Buffer | InnerFiles>

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
 * Finds a package in its registry; of its layers none is fetched before it is asked for, and then small ones whole, large ones by
 * their ranges. What others have fetched from the same repository counts once this caller's credentials have opened the manifest at
 * the registry. Throws what resolving throws, PACKAGE_*.
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
  const recalled = async <T extends Buffer | InnerFiles>(key: string, fetch: () => Promise<T>): Promise<T> => {
    const known = cache.get(key) as T | undefined
    return known !== undefined && (await mayRecall()) ? known : await fetch()
  }
  return {
    async buffer(layer: Descriptor, fetch: () => Promise<Buffer>): Promise<Buffer> {
      if (layer.size > WHOLE_BYTES) return await fetch()
      const key = `${place}@${layer.digest}`
      const bytes = await recalled(key, fetch)
      cache.set(key, bytes, bytes.length)
      return bytes
    },
    async inner(layer: Descriptor, fetch: () => Promise<InnerFiles>): Promise<InnerFiles> {
      const key = `${place}@${layer.digest}#files`
      const files = await recalled(key, fetch)
      cache.set(key, files, innerBytes(files))
      return files
    },
  }
}
