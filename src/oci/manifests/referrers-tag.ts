import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { referrersTag } from './referrers.ts'
import { type IndexTarget, inspectTag, type RawEntry, writeIndex } from './tag-index.ts'

export interface ReferrersTagOptions extends Omit<IndexTarget, 'tag'> {
  readonly subject: Digest
  /** What refers to it. */
  readonly entry: Descriptor
  guard(): Promise<void>
}

/**
 * Adds to the list that clients keep where a registry keeps none. The caller serialises our own writers; a foreign one is
 * noticed by reading back. Throws what writeIndex throws. Source: oci-client.md F3.
 */
export async function addReferrer({ subject, entry, ...rest }: ReferrersTagOptions): Promise<void> {
  const target = { ...rest, tag: referrersTag(subject) }
  const there = await inspectTag(target)
  const isEntry = ({ digest }: { digest?: unknown }): boolean => digest === entry.digest
  if (there.kind === 'index' && there.index.manifests.some(isEntry)) return
  await writeIndex({
    ...target,
    merge: (entries) => [...entries.filter((known) => !isEntry(known)), entryOf(entry)],
    holds: (index) => index.manifests.some(isEntry),
    onContended: () => undefined,
  })
}

/** In the order in which Go writes a descriptor. */
function entryOf({ mediaType, digest, size, annotations, artifactType }: Descriptor): RawEntry {
  return {
    mediaType,
    digest,
    size,
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...(artifactType === undefined ? {} : { artifactType }),
  }
}

/**
 * Takes a manifest out of the list that clients keep for what it refers to. The caller serialises our own writers. Nothing where the
 * list is not there, or does not name it. Throws what writeIndex throws. Source: oci-client.md F5.
 */
export async function dropReferrer({
  subject,
  digest,
  ...rest
}: Omit<ReferrersTagOptions, 'entry'> & { readonly digest: Digest }): Promise<void> {
  const target = { ...rest, tag: referrersTag(subject) }
  const there = await inspectTag(target)
  const isIt = (entry: { digest?: unknown }): boolean => entry.digest === digest
  if (there.kind !== 'index' || !there.index.manifests.some(isIt)) return
  await writeIndex({
    ...target,
    merge: (entries) => entries.filter((known) => !isIt(known)),
    holds: (index) => !index.manifests.some(isIt),
    onContended: () => undefined,
  })
}
