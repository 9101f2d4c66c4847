import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { type ImageIndex, type ImageManifest, parseManifest, type RawManifest } from '../../content/manifest.ts'
import { isIndexMediaType, isManifestMediaType } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'

/** A manifest or index, read. */
export interface ReadManifest {
  readonly raw: RawManifest
  readonly parsed: ImageManifest | ImageIndex
}

/** Manifests of one copy, each once, those that another one names before it. */
export interface ManifestTree {
  readonly all: readonly ReadManifest[]
  /** Reads what is named, and all that it names; nothing where it is read already. Throws MANIFEST_NOT_FOUND, MANIFEST_INVALID, MANIFEST_TOO_LARGE. */
  add(descriptor: Pick<Descriptor, 'digest'>): Promise<ReadManifest>
  /** The same for one that was read. */
  take(raw: RawManifest): Promise<ReadManifest>
}

export interface TreeOptions {
  source: Pick<Repository, 'getManifest'>
  /** How errors name the whole. */
  where: string
  signal: AbortSignal
}

const MAX_MANIFESTS = 2000
/** All of them are held until they are written. */
const MAX_BYTES = 64 * 1024 * 1024
/** An index in an index is rare; a longer chain is somebody's joke. */
const MAX_DEPTH = 8

export function createManifestTree({ source, where, signal }: TreeOptions): ManifestTree {
  const read = new Map<Digest, ReadManifest>()
  let bytes = 0

  const parse = (raw: RawManifest): ReadManifest => {
    bytes += raw.bytes.length
    if (bytes > MAX_BYTES || read.size >= MAX_MANIFESTS) throw tooMany(where)
    return { raw, parsed: parseManifest(raw, where) }
  }
  const take = async (raw: RawManifest, depth: number): Promise<ReadManifest> => {
    const known = read.get(raw.digest)
    if (known) return known
    const found = parse(raw)
    await nextTurn()
    for (const child of childrenOf(found)) await add(child, depth + 1)
    read.set(raw.digest, found)
    return found
  }
  const add = async ({ digest }: Pick<Descriptor, 'digest'>, depth: number): Promise<ReadManifest> => {
    const known = read.get(digest)
    if (known) return known
    if (depth > MAX_DEPTH) throw tooDeep(where)
    const raw = await source.getManifest(digest, { signal })
    if (!raw) throw gone(where, digest)
    return await take(raw, depth)
  }
  return {
    get all() {
      return [...read.values()]
    },
    add: (descriptor) => add(descriptor, 0),
    take: (raw) => take(raw, 0),
  }
}

/** An index may name content that is no manifest, which is then a blob. */
function childrenOf({ parsed }: ReadManifest): readonly Descriptor[] {
  return parsed.kind === 'index' ? parsed.manifests.filter(isManifest) : []
}

export function isManifest({ mediaType }: Descriptor): boolean {
  return isIndexMediaType(mediaType) || isManifestMediaType(mediaType)
}

function gone(where: string, digest: Digest): AppError {
  return new AppError('MANIFEST_NOT_FOUND', `${where} names ${digest}, and that is gone`, {
    side: 'source',
    details: { digest },
    hint: 'Copy the architectures that are there ("options.architectures"), or publish the missing one again.',
  })
}

function tooMany(where: string): AppError {
  return new AppError(
    'MANIFEST_TOO_LARGE',
    `${where} is made of more than ${MAX_MANIFESTS} manifests, or of more than ${MAX_BYTES / 1024 ** 2} MiB of them`,
    { side: 'source', hint: 'Copy its parts one by one, by digest.' },
  )
}

function tooDeep(where: string): AppError {
  return new AppError('MANIFEST_INVALID', `${where} has more than ${MAX_DEPTH} indexes inside one another`, {
    side: 'source',
  })
}
