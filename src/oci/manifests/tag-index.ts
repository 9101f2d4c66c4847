import { type Digest, isDigest } from '../../content/digest.ts'
import {
  type ImageIndex,
  MAX_MANIFEST_BYTES,
  parseManifest,
  type RawManifest,
  rawManifest,
} from '../../content/manifest.ts'
import { isIndexMediaType, OCI_INDEX, toldMediaType } from '../../content/media-types.ts'
import { formatReference } from '../../content/reference.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { AppError } from '../../lib/errors.ts'
import { goJson } from './go-json.ts'
import type { RepositoryManifests } from './manifests.ts'

/** How often an index is written again because somebody else wrote it in between. */
const MAX_WRITES = 5

export interface IndexTarget {
  readonly repository: RepositoryManifests
  readonly tag: string
  readonly signal: AbortSignal
}

export interface UpdatedIndex {
  readonly indexDigest: Digest
  /** Somebody else wrote the tag meanwhile: worth another look a little later (indexHolds). */
  readonly contended: boolean
}

export type TagContent = { kind: 'absent' } | { kind: 'index'; raw: RawManifest; index: ImageIndex }

/** An entry with whatever fields its writer gave it. */
export type RawEntry = Record<string, unknown> & {
  mediaType?: unknown
  digest?: unknown
  platform?: { architecture?: unknown } | null
}

export interface WriteIndexOptions extends IndexTarget {
  /** The entries that the index is to have, of those that it has. */
  merge: (entries: readonly RawEntry[]) => readonly RawEntry[]
  /** What to write in place of what `merge` makes, where nothing is there that has to stay. */
  fresh?: RawManifest | undefined
  /** Whether something has to. Default: all of an index. */
  keeps?: (index: ImageIndex) => boolean
  /** Whether what was to be written is in it. */
  holds: (index: ImageIndex) => boolean
  /** Told of what is about to be written. */
  beforeWrite?: (index: RawManifest) => Promise<void>
  /** Throws when this run may no longer write. Awaited before each write begins, and right before its PUT goes out. */
  guard(): Promise<void>
  /** Told once that another client writes too. */
  onContended: (message: string) => void
}

/**
 * What a publish would meet under the tag, before any byte moves. Throws TAG_NOT_INDEX for a bare manifest: registries
 * refuse to turn it into an index, and only after all layers went up.
 */
export async function inspectTag(target: IndexTarget): Promise<TagContent> {
  const { repository, tag, signal } = target
  const raw = await repository.getManifest(tag, { signal })
  if (!raw) return { kind: 'absent' }
  const parsed = parseManifest(raw, place(target))
  if (parsed.kind === 'index') return { kind: 'index', raw, index: parsed }
  throw new AppError(
    'TAG_NOT_INDEX',
    `${place(target)} holds a manifest (${toldMediaType(parsed.mediaType)}), not an image index`,
    {
      hint: 'Choose another tag ("options.tag"), or delete this one: a package is published as an entry of an index.',
      upstream: {
        registry: repository.registry,
        repository: repository.repository,
        reference: tag,
        digest: raw.digest,
      },
    },
  )
}

/**
 * Reads, changes and writes the index under a tag; one that would stay as it is is not written. The caller serialises our own writers; foreign ones are noticed by a HEAD
 * right before the PUT and by reading back. Throws TAG_NOT_INDEX, TAG_IMMUTABLE, TAG_CONTENDED, what `guard` throws,
 * REGISTRY_*.
 */
export async function writeIndex(options: WriteIndexOptions): Promise<UpdatedIndex> {
  const { repository, tag, signal } = options
  let contended = false
  const disturbed = (): void => {
    if (!contended) {
      options.onContended(`another client is writing ${place(options)}: reading and writing its index again`)
    }
    contended = true
  }
  for (let write = 0; write < MAX_WRITES; write += 1) {
    throwIfAborted(signal)
    const current = await inspectTag(options)
    const { fresh, merge, keeps = () => true } = options
    const whole = current.kind === 'absent' || !keeps(current.index)
    const index = whole && fresh ? fresh : changedIndex(current, merge, place(options))
    await options.beforeWrite?.(index)
    // Where tags can't change, a registry refuses what is there already too (oci-client.md M6).
    if (current.kind === 'index' && current.raw.digest === index.digest) return { indexDigest: index.digest, contended }
    await options.guard()
    const before = await repository.headManifest(tag, { signal })
    if (changed(current, before)) {
      disturbed()
      continue
    }
    await repository.putManifest(tag, index, { signal, guard: () => options.guard() })
    const after = await inspectTag(options)
    if (after.kind === 'index' && after.raw.digest === index.digest) return { indexDigest: index.digest, contended }
    disturbed()
    // Somebody wrote after us, from what we wrote: nothing is lost.
    if (after.kind === 'index' && options.holds(after.index)) return { indexDigest: after.raw.digest, contended }
  }
  throw new AppError('TAG_CONTENDED', `other clients kept changing ${place(options)} while its index was written`, {
    hint: 'Publish to this tag from one place at a time, or retry the job.',
    upstream: { registry: repository.registry, repository: repository.repository, reference: tag },
  })
}

/** The bytes of the new index. Fields that are not known here stay as they are, in their order. */
export function changedIndex(current: TagContent, merge: WriteIndexOptions['merge'], where: string): RawManifest {
  if (current.kind === 'absent') {
    return rawManifest(OCI_INDEX, goJson({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: merge([]) }))
  }
  const body = JSON.parse(current.raw.bytes.toString('utf8')) as Record<string, unknown> & { manifests?: RawEntry[] }
  const bytes = goJson({ ...body, manifests: merge(body.manifests ?? []) })
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new AppError('MANIFEST_TOO_LARGE', `the index ${where} would have ${bytes.length} bytes`)
  }
  return rawManifest(isIndexMediaType(current.index.mediaType) ? current.index.mediaType : OCI_INDEX, bytes)
}

/** Where the registry sends no digest with a HEAD nothing can be told, and the read-back has to do. */
function changed(current: TagContent, head: { digest: Digest | undefined } | undefined): boolean {
  if (current.kind === 'absent') return head !== undefined
  if (!head) return true
  return head.digest !== undefined && isDigest(head.digest) && head.digest !== current.raw.digest
}

/** How errors name it. */
export function place({ repository, tag }: IndexTarget): string {
  return formatReference({ registry: repository.registry, repository: repository.repository, tag })
}
