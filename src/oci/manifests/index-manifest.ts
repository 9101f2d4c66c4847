import type { Descriptor } from '../../content/descriptor.ts'
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

/** How often the index is written again because somebody else wrote it in between. */
const MAX_WRITES = 5

export interface IndexEntry {
  readonly descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size' | 'artifactType'>
  /** As Zarf names it, "skeleton" included; it is the entry's identity. */
  readonly architecture: string
}

export interface IndexTarget {
  readonly repository: RepositoryManifests
  readonly tag: string
  readonly signal: AbortSignal
}

export interface UpdateIndexOptions extends IndexTarget {
  readonly entry: IndexEntry
  /** Throws when this run may no longer write. Awaited before each write begins, and right before its PUT goes out. */
  guard(): Promise<void>
  onWarning(code: 'INDEX_DANGLING' | 'INDEX_CONTENDED', message: string): void
}

export interface UpdatedIndex {
  readonly indexDigest: Digest
  /** Somebody else wrote the tag meanwhile: worth another look a little later (indexHolds). */
  readonly contended: boolean
}

export type TagContent = { kind: 'absent' } | { kind: 'index'; raw: RawManifest; index: ImageIndex }

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
 * The digest of the tag's index if that (still) names this entry; a foreign writer that read the index before us may have
 * dropped it.
 */
export async function indexHolds(target: IndexTarget & { entry: IndexEntry }): Promise<Digest | undefined> {
  const found = await inspectTag(target)
  return found.kind === 'index' && holds(found.index, target.entry) ? found.raw.digest : undefined
}

/**
 * Puts one architecture's manifest into the index under a tag, as `zarf package publish` does: the first entry of the
 * same architecture is replaced where it stands, else the entry is appended; everything else stays. The caller
 * serialises our own writers; foreign ones are noticed by a HEAD right before the PUT and by reading back.
 * Throws TAG_NOT_INDEX, TAG_IMMUTABLE, TAG_CONTENDED, what `guard` throws, REGISTRY_*.
 */
export async function updateIndex(options: UpdateIndexOptions): Promise<UpdatedIndex> {
  const { repository, tag, signal } = options
  const kept = new Set<Digest>()
  let contended = false
  const disturbed = (): void => {
    if (!contended) {
      options.onWarning(
        'INDEX_CONTENDED',
        `another client is writing ${place(options)}: reading and writing its index again`,
      )
    }
    contended = true
  }
  for (let write = 0; write < MAX_WRITES; write += 1) {
    throwIfAborted(signal)
    const current = await inspectTag(options)
    const index = mergedIndex(current, options.entry, place(options))
    await warnOfDangling(index, kept, options)
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
    if (after.kind === 'index' && holds(after.index, options.entry)) {
      return { indexDigest: after.raw.digest, contended }
    }
  }
  throw new AppError('TAG_CONTENDED', `other clients kept changing ${place(options)} while its index was written`, {
    hint: 'Publish to this tag from one place at a time, or retry the job.',
    upstream: { registry: repository.registry, repository: repository.repository, reference: tag },
  })
}

type RawEntry = Record<string, unknown> & { mediaType?: unknown; platform?: { architecture?: unknown } | null }

/** The bytes of the new index. Fields that are not known here stay as they are, in their order. */
export function mergedIndex(current: TagContent, entry: IndexEntry, where: string): RawManifest {
  const fresh = freshEntry(entry)
  if (current.kind === 'absent') {
    const manifests = [fresh]
    return rawManifest(OCI_INDEX, goJson({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  }
  const body = JSON.parse(current.raw.bytes.toString('utf8')) as Record<string, unknown> & { manifests?: RawEntry[] }
  const entries = [...(body.manifests ?? [])]
  const at = entries.findIndex((known) => known.platform?.architecture === entry.architecture)
  const known = entries[at]
  if (known) entries[at] = replacedEntry(known, fresh)
  else entries.push(fresh)
  const bytes = goJson({ ...body, manifests: entries })
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new AppError('MANIFEST_TOO_LARGE', `the index ${where} would have ${bytes.length} bytes`)
  }
  return rawManifest(isIndexMediaType(current.index.mediaType) ? current.index.mediaType : OCI_INDEX, bytes)
}

function freshEntry({ descriptor, architecture }: IndexEntry): RawEntry {
  const { mediaType, digest, size, artifactType } = descriptor
  const platform = { architecture, os: 'multi' }
  return { mediaType, digest, size, platform, ...(artifactType === undefined ? {} : { artifactType }) }
}

/** An artifact type is one of a kind of manifest; zarf leaves what it finds, so an entry of the same kind keeps its own. */
function replacedEntry(known: RawEntry, fresh: RawEntry): RawEntry {
  const { artifactType: _, ...rest } = known
  return { ...(known.mediaType === fresh.mediaType ? known : rest), ...fresh }
}

/** An entry whose manifest is gone makes registries refuse the index and clients fail; it is named and kept. */
async function warnOfDangling(index: RawManifest, kept: Set<Digest>, options: UpdateIndexOptions): Promise<void> {
  const { repository, signal } = options
  const parsed = parseManifest(index, place(options))
  if (parsed.kind !== 'index') return
  for (const { digest, platform } of parsed.manifests) {
    if (digest === options.entry.descriptor.digest || kept.has(digest)) continue
    kept.add(digest)
    if (await repository.headManifest(digest, { signal })) continue
    const name = platform ? ` for ${platform.architecture}` : ''
    options.onWarning('INDEX_DANGLING', `the index ${place(options)} names a manifest${name} that is gone: ${digest}`)
  }
}

/** Where the registry sends no digest with a HEAD nothing can be told, and the read-back has to do. */
function changed(current: TagContent, head: { digest: Digest | undefined } | undefined): boolean {
  if (current.kind === 'absent') return head !== undefined
  if (!head) return true
  return head.digest !== undefined && isDigest(head.digest) && head.digest !== current.raw.digest
}

function holds(index: ImageIndex, entry: IndexEntry): boolean {
  return index.manifests.some(
    ({ digest, platform }) => digest === entry.descriptor.digest && platform?.architecture === entry.architecture,
  )
}

function place({ repository, tag }: IndexTarget): string {
  return formatReference({ registry: repository.registry, repository: repository.repository, tag })
}
