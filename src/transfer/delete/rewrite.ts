import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { formatReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { type RawEntry, inspectTag, writeIndex } from '../../oci/manifests/tag-index.ts'
import type { Repository } from '../../oci/registry.ts'
import { architectureOf, chooseEntries } from '../copy/choice.ts'
import type { DeleteDependencies, RemovedItem } from './request.ts'

/** Architectures of an index that go, and what stays. */
export interface IndexCut {
  readonly tag: string
  readonly gone: readonly Descriptor[]
  readonly left: readonly Descriptor[]
  /** What lies there before. */
  readonly index: Digest
}

/** By which buildx says of which entry another one is the attestation. Source: buildkit docs/attestations/attestation-storage.md. */
const OF = 'vnd.docker.reference.digest'

/**
 * Which entries go with these architectures; attestations of theirs go along. Undefined where nothing would be left of the index.
 * Throws ARCHITECTURE_NOT_FOUND, TAG_NOT_INDEX, MANIFEST_NOT_FOUND.
 */
export async function cutIndex(
  repository: Repository,
  { tag, architectures, signal }: { tag: string; architectures: readonly string[]; signal: AbortSignal },
): Promise<IndexCut | undefined> {
  const where = whereOf(repository, tag)
  const found = await inspectTag({ repository, tag, signal })
  if (found.kind === 'absent') throw absent(where)
  const goes = goesWith(chooseEntries(found, architectures, where).entries)
  const gone = found.index.manifests.filter(goes)
  const left = found.index.manifests.filter((entry) => !goes(entry))
  return left.length === 0 ? undefined : { tag, gone, left, index: found.raw.digest }
}

/** The list under which clients keep a manifest that refers to another: what is named there for that alone may go. Undefined where it is not listed. */
export async function cutList(
  repository: Repository,
  { tag, digest, signal }: { tag: string; digest: Digest; signal: AbortSignal },
): Promise<IndexCut | undefined> {
  const found = await inspectTag({ repository, tag, signal })
  if (found.kind === 'absent') return undefined
  const { manifests } = found.index
  const gone = manifests.filter((entry) => entry.digest === digest)
  const left = manifests.filter((entry) => entry.digest !== digest)
  return gone.length === 0 ? undefined : { tag, gone, left, index: found.raw.digest }
}

export function entriesOf({ tag, gone }: IndexCut): RemovedItem[] {
  return gone.map((entry) => ({
    kind: 'entry',
    tag,
    digest: entry.digest,
    architecture: architectureOf(entry),
    why: 'it was asked for',
  }))
}

/** Writes the index without them, under the tag's lock; false where they are not in it any more. Throws what writeIndex throws. */
export async function writeCut(
  { tag, gone }: IndexCut,
  repository: Repository,
  dependencies: DeleteDependencies,
): Promise<boolean> {
  const goes = goesWith(gone)
  const where = whereOf(repository, tag)
  return await dependencies.lockTag(where, async (signal) => {
    const there = await inspectTag({ repository, tag, signal })
    if (there.kind === 'absent' || !there.index.manifests.some(goes)) return false
    await writeIndex({
      repository,
      tag,
      signal,
      merge: (entries) => entries.filter((entry) => !goes(entry)),
      holds: (index) => !index.manifests.some(goes),
      guard: () => dependencies.checkOwnership(),
      onContended: (message) => dependencies.onEvent({ type: 'warning', code: 'INDEX_CONTENDED', message }),
    })
    return true
  })
}

/** Entries are told apart by digest and architecture: two may name the same manifest. */
function goesWith(gone: readonly Descriptor[]): (entry: RawEntry | Descriptor) => boolean {
  const name = ({ digest, platform }: RawEntry | Descriptor): string =>
    `${String(digest)} ${String(platform?.architecture)}`
  const [entries, digests] = [new Set(gone.map(name)), new Set<unknown>(gone.map(({ digest }) => digest))]
  return (entry) => {
    const of = (entry.annotations as Record<string, unknown> | null | undefined)?.[OF]
    return entries.has(name(entry)) || (of !== undefined && digests.has(of))
  }
}

function whereOf({ registry, repository }: Repository, tag: string): string {
  return formatReference({ registry, repository, tag })
}

function absent(where: string): AppError {
  return new AppError('MANIFEST_NOT_FOUND', `${where} is not there`, {
    hint: 'layerd tags lists what there is; a registry also says so for what the credentials may not see.',
  })
}
