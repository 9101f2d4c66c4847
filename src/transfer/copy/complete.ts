import { formatReference } from '../../content/reference.ts'
import type { Digest } from '../../content/digest.ts'
import type { RawManifest } from '../../content/manifest.ts'
import { putEntries } from '../commit.ts'
import { isMissingBlob } from '../missing-blob.ts'
import { totalBytes } from '../plan.ts'
import { tellReferrer } from '../refer.ts'
import { move } from './move.ts'
import type { PreparedCopy } from './prepare.ts'
import type { CopyDependencies, CopyOutcome } from './request.ts'

/**
 * Makes the copy visible: manifests, what refers to them, the tag last. Heals once, as a publish does, where the registry
 * lost blobs after it claimed to have them.
 */
export async function complete(copy: PreparedCopy, dependencies: CopyDependencies): Promise<CopyOutcome> {
  const { destination, tag, blobs, ending, related, mounts } = copy
  const indexDigest = await commit(copy, dependencies).catch(async (error: unknown) => {
    if (!isMissingBlob(error)) throw error
    const message = `the registry misses blobs that it had, so all of them are looked at again: ${error.message}`
    dependencies.onEvent({ type: 'log', level: 'warn', message })
    await move(copy, dependencies, true)
    return await commit(copy, dependencies)
  })
  await mounts.learn(blobs)
  const { architectures } = ending
  const isOne = ending.kind === 'merge' && ending.entries.length === 1
  const [entry] = ending.kind === 'merge' ? ending.entries : []
  return {
    reference: formatReference({ registry: destination.registry, repository: destination.repository, tag }),
    digest: isOne && entry ? entry.descriptor.digest : ending.raw.digest,
    ...(ending.kind === 'merge' ? { indexDigest } : {}),
    architecture: architectures.length === 1 ? (architectures[0] ?? '') : architectures.length === 0 ? '' : SEVERAL,
    architectures,
    layers: blobs.length,
    bytes: totalBytes(blobs),
    referrers: new Set([...related.referrers, ...related.tags].map(({ raw }) => raw.digest)).size,
  }
}

/** As zarf marks its indexes. */
const SEVERAL = 'multi'

async function commit(copy: PreparedCopy, dependencies: CopyDependencies): Promise<Digest> {
  const { destination, tree, related, tag } = copy
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'committing' })
  const put = (name: string, raw: RawManifest): Promise<void> =>
    destination.putManifest(name, raw, { signal, guard: () => dependencies.checkOwnership() })
  for (const { raw } of tree.all) await put(raw.digest, raw)
  for (const { raw, subject } of related.referrers) {
    await tellReferrer(raw, { repository: destination, subject }, dependencies)
  }
  for (const { raw, tag: name } of related.tags) await put(name, raw)
  const { ending } = copy
  if (ending.kind === 'merge') {
    const { entries, fresh } = ending
    return await putEntries(entries, { repository: destination, tag, fresh }, dependencies)
  }
  const where = formatReference({ registry: destination.registry, repository: destination.repository, tag })
  await dependencies.lockTag(where, () => put(tag, ending.raw))
  return ending.raw.digest
}
