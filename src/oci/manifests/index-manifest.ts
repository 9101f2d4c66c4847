import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { type ImageIndex, parseManifest, type RawManifest } from '../../content/manifest.ts'
import {
  changedIndex,
  type IndexTarget,
  inspectTag,
  place,
  type RawEntry,
  type TagContent,
  type UpdatedIndex,
  type WriteIndexOptions,
  writeIndex,
} from './tag-index.ts'

export interface IndexEntry {
  readonly descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size' | 'artifactType'>
  /** As Zarf names it, "skeleton" included; it is the entry's identity. */
  readonly architecture: string
  /** The whole entry as another index has it. Default: made of the rest. */
  readonly raw?: RawEntry | undefined
}

export interface UpdateIndexOptions extends IndexTarget, Pick<WriteIndexOptions, 'fresh'> {
  readonly entries: readonly IndexEntry[]
  /** Throws when this run may no longer write. Awaited before each write begins, and right before its PUT goes out. */
  guard(): Promise<void>
  onWarning: (code: 'INDEX_DANGLING' | 'INDEX_CONTENDED', message: string) => void
}

/**
 * The digest of the tag's index if that (still) names these entries; a foreign writer that read the index before us may
 * have dropped them.
 */
export async function indexHolds(
  target: IndexTarget & Pick<UpdateIndexOptions, 'entries'>,
): Promise<Digest | undefined> {
  const found = await inspectTag(target)
  return found.kind === 'index' && holdsAll(found.index, target.entries) ? found.raw.digest : undefined
}

/**
 * Puts architectures' manifests into the index under a tag, as `zarf package publish` does: the first entry of the same
 * architecture is replaced where it stands, else the entry is appended; everything else stays. Else as writeIndex.
 */
export async function updateIndex({ entries, onWarning, ...target }: UpdateIndexOptions): Promise<UpdatedIndex> {
  const kept = new Set<Digest>()
  return await writeIndex({
    ...target,
    merge: (known) => entries.reduce(mergedEntries, known),
    holds: (index) => holdsAll(index, entries),
    keeps: (index) => keepsOthers(index, entries),
    beforeWrite: (index) => warnOfDangling(index, kept, { ...target, entries, onWarning }),
    onContended: (message) => onWarning('INDEX_CONTENDED', message),
  })
}

/** The bytes of the new index. */
export function mergedIndex(current: TagContent, entry: IndexEntry, where: string): RawManifest {
  return changedIndex(current, (known) => mergedEntries(known, entry), where)
}

function mergedEntries(entries: readonly RawEntry[], entry: IndexEntry): readonly RawEntry[] {
  const fresh = freshEntry(entry)
  const at = entries.findIndex((known) => known.platform?.architecture === entry.architecture)
  const known = entries[at]
  return known ? entries.with(at, replacedEntry(known, fresh)) : [...entries, fresh]
}

function freshEntry({ descriptor, architecture, raw }: IndexEntry): RawEntry {
  if (raw) return raw
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
    if (kept.has(digest) || options.entries.some(({ descriptor }) => descriptor.digest === digest)) continue
    kept.add(digest)
    if (await repository.headManifest(digest, { signal })) continue
    const name = platform ? ` for ${platform.architecture}` : ''
    options.onWarning('INDEX_DANGLING', `the index ${place(options)} names a manifest${name} that is gone: ${digest}`)
  }
}

/** Whether an index has entries for other architectures than these. */
export function keepsOthers({ manifests }: ImageIndex, entries: readonly IndexEntry[]): boolean {
  return manifests.some((known) => !entries.some(({ architecture }) => architecture === known.platform?.architecture))
}

function holdsAll(index: ImageIndex, entries: readonly IndexEntry[]): boolean {
  return entries.every((entry) => holds(index, entry))
}

function holds(index: ImageIndex, entry: IndexEntry): boolean {
  return index.manifests.some(
    ({ digest, platform }) => digest === entry.descriptor.digest && platform?.architecture === entry.architecture,
  )
}
