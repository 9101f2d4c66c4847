import { type CopyBlobOptions, copyBlobs } from '../../content/copy-graph.ts'
import { titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { VerifyOptions } from '../../content/endpoints.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import {
  checksumMismatch,
  type IndexedPackage,
  type OpenedPackage,
  type PackageEntry,
  type PackageIdentity,
  type StreamedPackage,
} from '../../zarf/package.ts'
import type { Repository } from '../../oci/registry.ts'
import type { Check } from '../dry-run.ts'
import type { OnEvent } from '../events.ts'
import { checkManifestSize, leastManifestBytes, outlineOf, type Publishable, toldReads } from '../plan.ts'
import { moveArchive } from './move-archive.ts'

/** What is known of a package before its layers move. */
export interface KnownPackage {
  /** Digests of its files, as many as are known. */
  readonly digests: readonly Digest[]
  /** All of it; undefined where only moving its layers tells. */
  readonly contents: Publishable | undefined
  /** Who it is, where that is sure before all of it is known. */
  readonly identity?: PackageIdentity
}

export interface MoveOptions {
  readonly repository: Repository
  /** Blobs at once. */
  readonly concurrency: number
  /** Whether the plan was told, so that no row is. */
  readonly announced: boolean
  readonly mountFrom: NonNullable<CopyBlobOptions['mountFrom']>
  readonly signal: AbortSignal
  readonly onEvent: OnEvent
}

/** A package as a publish sees it. The kinds differ in when they know their files, and in who moves the bytes. */
export interface PublishSource {
  /** Who it says it is before that is known; undefined where it does not tell. */
  readonly guess: PackageIdentity | undefined
  /** Reads what is cheap; with `scan`, all of it. Throws PACKAGE_*, and through `check` MANIFEST_TOO_LARGE. */
  learn(options: { scan: boolean; check: Check; signal: AbortSignal; onEvent: OnEvent }): Promise<KnownPackage>
  /**
   * Brings every file that the repository lacks, hashed on its way (content/hashing). Resolves with the contents, known by
   * then at the latest.
   */
  move(options: MoveOptions): Promise<Publishable>
}

export function publishSource(opened: OpenedPackage): PublishSource {
  return opened.kind === 'indexed' ? indexedSource(opened) : streamedSource(opened)
}

/** Files are known at once, and read in any order. */
function indexedSource(opened: IndexedPackage): PublishSource {
  const { contents } = opened
  return {
    guess: contents.identity,
    async learn({ check }) {
      await check(async () => checkManifestSize(contents.manifest.bytes.length, contents.files.length))
      return { digests: contents.layers.map(({ digest }) => digest), contents }
    },
    async move({ repository, concurrency, mountFrom, signal, onEvent }) {
      // The largest first: the end of the job is then many short tails instead of one long one.
      const layers = contents.layers.toSorted((a, b) => b.size - a.size)
      await copyBlobs(layers, opened, repository, {
        concurrency,
        mountFrom,
        signal,
        onEvent,
        verify: (layer) => checksumMismatch(titleOrDigest(layer), layer.digest),
      })
      return contents
    },
  }
}

/** Digests are known from the archive's head, sizes and the rest from a pass over it: an earlier one, a scan, or the moving itself. */
function streamedSource(archive: StreamedPackage): PublishSource {
  const scanned = ({ signal, onEvent }: Pick<MoveOptions, 'signal' | 'onEvent'>): Promise<Publishable> => {
    throwIfAborted(signal)
    return archive.scan({ signal, onRead: toldReads(archive, onEvent) })
  }
  return {
    guess: archive.guess,
    async learn({ scan, check, ...options }) {
      const declared = await archive.declared(options)
      await check(async () => checkManifestSize(leastManifestBytes(declared), declared.size))
      if (scan && !archive.known) options.onEvent(outlineOf(declared))
      return { digests: [...declared.values()], contents: archive.known ?? (scan ? await scanned(options) : undefined) }
    },
    async move(options) {
      const declared = await archive.declared(options)
      return await archive.conclude(await moveArchive(archive, { ...options, declared, verify: declaredBytes }))
    },
  }
}

function declaredBytes({ path, digest }: PackageEntry): VerifyOptions {
  return checksumMismatch(path, digest)
}
