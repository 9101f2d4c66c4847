import type { Digest } from '../../content/digest.ts'
import { parseManifest, type RawManifest } from '../../content/manifest.ts'
import { isManifestMediaType } from '../../content/media-types.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import type { Repository } from '../../oci/registry.ts'
import { isManifest, type ReadManifest } from '../copy/tree.ts'
import type { Named } from './survey.ts'

/** The manifests of a repository, and which of them name which; each is read once. */
export interface Graph {
  /** Undefined where it is gone. Throws MANIFEST_INVALID. */
  read(digest: Digest): Promise<ReadManifest | undefined>
  /**
   * These, and all that they name, those that name others before those; also what is gone. An image or a package names no other
   * manifest, so that it is not read.
   */
  closure(named: Iterable<Named>): Promise<readonly Digest[]>
}

const MAX_READ = 5000
const MAX_BYTES = 64 * 1024 * 1024
/** An index in an index is rare; a longer chain is somebody's joke. */
const MAX_DEPTH = 8

export interface GraphOptions {
  readonly repository: Repository
  /** How errors name it. */
  readonly where: string
  readonly signal: AbortSignal
  /** What is known without looking. Default: nothing. */
  readonly seed?: Iterable<RawManifest>
}

export function createGraph({ repository, where, signal, seed = [] }: GraphOptions): Graph {
  const manifests = new Map<Digest, ReadManifest | undefined>()
  let bytes = 0

  const parsed = (raw: RawManifest): ReadManifest => {
    bytes += raw.bytes.length
    if (bytes > MAX_BYTES || manifests.size >= MAX_READ) throw tooMany(where)
    return { raw, parsed: parseManifest(raw, `${where} (${raw.digest})`) }
  }
  const read = async (digest: Digest): Promise<ReadManifest | undefined> => {
    if (manifests.has(digest)) return manifests.get(digest)
    const raw = await repository.getManifest(digest, { signal })
    await nextTurn()
    const found = raw && parsed(raw)
    manifests.set(digest, found)
    return found
  }
  for (const raw of seed) manifests.set(raw.digest, parsed(raw))
  const childrenOf = async ({ digest, mediaType }: Named): Promise<readonly Named[]> => {
    if (mediaType !== undefined && isManifestMediaType(mediaType) && !manifests.has(digest)) return []
    const found = await read(digest)
    return found?.parsed.kind === 'index' ? found.parsed.manifests.filter(isManifest) : []
  }
  return {
    read,
    async closure(named) {
      const seen = new Set<Digest>()
      const done: Digest[] = []
      const visit = async (one: Named, depth: number): Promise<void> => {
        if (seen.has(one.digest)) return
        seen.add(one.digest)
        if (depth > MAX_DEPTH) throw tooDeep(where)
        for (const child of await childrenOf(one)) await visit(child, depth + 1)
        done.push(one.digest)
      }
      for (const one of named) await visit(one, 0)
      return done.toReversed()
    },
  }
}

function tooMany(where: string): AppError {
  return new AppError(
    'MANIFEST_TOO_LARGE',
    `the tags of ${where} name more than ${MAX_READ} manifests, or more than ${MAX_BYTES / 1024 ** 2} MiB of them`,
    { hint: 'Delete in several repositories, or with the tools of the registry.' },
  )
}

function tooDeep(where: string): AppError {
  return new AppError('MANIFEST_INVALID', `${where} has more than ${MAX_DEPTH} indexes inside one another`)
}
