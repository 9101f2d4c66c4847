import { formatReference } from '../../content/reference.ts'
import type { Digest } from '../../content/digest.ts'
import type { RawManifest } from '../../content/manifest.ts'
import type { Repository } from '../../oci/registry.ts'
import { putEntries, putTag } from '../commit.ts'
import { isMissingBlob } from '../missing-blob.ts'
import { totalBytes } from '../plan.ts'
import { tellReferrer } from '../refer.ts'
import { move } from './move.ts'
import { SEVERAL } from './choice.ts'
import type { PreparedCopy, TaggedEnding } from './prepare.ts'
import type { CopyDependencies, CopyOutcome } from './request.ts'

/**
 * Makes the copy visible: manifests, what refers to them, the tag last. Heals once, as a publish does, where the registry
 * lost blobs after it claimed to have them.
 */
export async function complete(copy: PreparedCopy, dependencies: CopyDependencies): Promise<CopyOutcome> {
  const { blobs, mounts } = copy
  const indexDigests = await commit(copy, dependencies).catch(async (error: unknown) => {
    if (!isMissingBlob(error)) throw error
    const message = `the registry misses blobs that it had, so all of them are looked at again: ${error.message}`
    dependencies.onEvent({ type: 'log', level: 'warn', message })
    await move(copy, dependencies, true)
    return await commit(copy, dependencies)
  })
  await mounts.learn(blobs)
  return outcome(copy, indexDigests)
}

export function outcome(
  { request, destination, tagged, ...copy }: PreparedCopy,
  indexDigests: readonly Digest[],
): CopyOutcome {
  const { registry, repository } = destination
  const [first] = tagged
  const isOne = request.tags === undefined && first !== undefined
  const architectures = [...new Set(tagged.flatMap(({ ending }) => ending.architectures))]
  const { referrers, tags } = copy.related
  return {
    reference: formatReference({ registry, repository, ...(isOne ? { tag: first.tag } : {}) }),
    digest: isOne ? digestOf(first) : '',
    ...(isOne && first.ending.kind === 'merge' && indexDigests[0] ? { indexDigest: indexDigests[0] } : {}),
    ...(isOne ? {} : { tags: tagged.map(({ tag }) => tag), tagsThere: copy.tagsThere }),
    architecture: architectures.length > 1 ? SEVERAL : (architectures[0] ?? ''),
    architectures,
    layers: copy.blobs.length,
    bytes: totalBytes(copy.blobs),
    referrers: new Set([...referrers, ...tags].map(({ raw }) => raw.digest)).size,
    ...(copy.signing ? { signed: true } : {}),
  }
}

/** The one package's, where it is one. */
function digestOf({ ending }: TaggedEnding): Digest {
  const [entry, ...more] = ending.kind === 'merge' ? ending.entries : []
  return entry && more.length === 0 ? entry.descriptor.digest : ending.raw.digest
}

/** What lies under each tag then. */
async function commit(copy: PreparedCopy, dependencies: CopyDependencies): Promise<readonly Digest[]> {
  const { destination, tree, related } = copy
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'committing' })
  const put = (name: string, raw: RawManifest): Promise<void> =>
    destination.putManifest(name, raw, { signal, guard: () => dependencies.checkOwnership() })
  for (const { raw } of tree.all) await put(raw.digest, raw)
  for (const { raw, subject } of related.referrers) {
    await tellReferrer(raw, { repository: destination, subject }, dependencies)
  }
  for (const { raw, tag: name } of related.tags) await put(name, raw)
  const digests: Digest[] = []
  for (const { tag, ending } of copy.tagged) digests.push(await putEnding({ tag, ending }, destination, dependencies))
  return digests
}

async function putEnding(
  { tag, ending }: TaggedEnding,
  destination: Repository,
  dependencies: CopyDependencies,
): Promise<Digest> {
  if (ending.kind === 'merge') {
    const { entries, fresh } = ending
    return await putEntries(entries, { repository: destination, tag, fresh }, dependencies)
  }
  await putTag(ending.raw, { repository: destination, tag }, dependencies)
  return ending.raw.digest
}
